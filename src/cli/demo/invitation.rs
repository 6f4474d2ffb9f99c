//! What there is to try.

use super::Certificates;
use crate::{
    api::SERVICE_NAME,
    sandbox::{CALLS, USERS},
};

/// Calls that can be made to a demo at `address`.
pub(super) fn invitation(address: &str, certificates: Option<&Certificates>) -> String {
    let (user, call) = (&USERS[0], &CALLS[0]);
    let calls = CALLS.map(|call| format!("  {}  {}\n", call.id, call.purpose));
    let users = USERS.map(|user| format!("  {}  {}  {}\n", user.id, user.token, user.purpose));
    let (of_grpcurl, of_ghz) = match certificates {
        Some(certificates) => {
            let authority = certificates.authority();
            let authority = authority.display();
            (
                format!("-cacert {authority}"),
                format!("--cacert {authority}"),
            )
        }
        None => ("-plaintext".to_owned(), "--insecure".to_owned()),
    };
    format!(
        "Try it yourself, until ctrl-c:\n\n  \
           grpcurl {of_grpcurl} -H 'x-user-id: {}' \\\n    \
             -H 'x-auth-token: {}' \\\n    \
             -d '{{\"call_id\":\"{}\"}}' \\\n    \
             {address} {SERVICE_NAME}/GetInfo\n\n\
         500 calls a second, of which Rocket.Chat allows 5:\n\n  \
           ghz {of_ghz} --rps 500 --duration 10s --call {SERVICE_NAME}/GetInfo \\\n    \
             --metadata '{{\"x-user-id\":\"{}\",\"x-auth-token\":\"{}\"}}' \\\n    \
             --data '{{\"call_id\":\"{}\"}}' {address}\n\n\
         Conferences:\n{}\nUsers:\n{}",
        user.id,
        user.token,
        call.id,
        user.id,
        user.token,
        call.id,
        calls.concat(),
        users.concat()
    )
}
