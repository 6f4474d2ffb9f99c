//! What the commands that call a facade share.

use std::error::Error as StdError;

use http::uri::Authority;
use tonic::{Status, TimeoutExpired, transport::Endpoint};

use crate::{
    deadline::Limit,
    error::{
        Error,
        status::{code_name, to_status},
    },
};

/// The endpoint of a server named by address or by host name.
pub(super) fn endpoint(server: &str) -> Result<Endpoint, String> {
    let has_port = |authority: Authority| authority.port().is_some();
    if !server.parse().is_ok_and(has_port) {
        return Err("is not a host with a port, like 127.0.0.1:50051".to_owned());
    }
    Endpoint::from_shared(format!("http://{server}")).map_err(|error| error.to_string())
}

/// The library says CANCELLED where it gives up waiting; other clients say what it is.
pub(super) fn timed_out(status: Status) -> Status {
    let mut source = status.source();
    while let Some(cause) = source {
        if cause.is::<TimeoutExpired>() {
            return to_status(&Error::DeadlineExceeded(Limit::Caller));
        }
        source = cause.source();
    }
    status
}

/// Code and message in a line.
pub(super) fn summary(status: &Status) -> String {
    format!("{}: {}", code_name(status.code()), status.message())
}
