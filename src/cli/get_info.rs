//! `get-info`: a client of the facade for the command line.

use std::{env, fs, process::ExitCode, time::Duration};

use http::{HeaderName, HeaderValue};
use tonic::{Extensions, Request, Status, metadata::MetadataMap};

use super::{
    block_on, fail,
    failure::{code, summary, within},
    json, print, refuse, say,
    server::{Server, ServerFlags},
};
use crate::{
    config::{Problem, Problems, time},
    credentials::{self, AUTH_TOKEN, AuthToken, Credentials, USER_ID, UserId},
    proto::v1::{
        GetInfoRequest, GetInfoResponse,
        video_conference_service_client::VideoConferenceServiceClient,
    },
};

/// The exit status of a failed call is this plus its code, as in grpcurl.
const EXIT_CODE_OFFSET: i32 = 64;

#[derive(clap::Args)]
pub(super) struct Flags {
    /// The conference's id
    #[arg(value_name = "CALL_ID")]
    call_id: String,

    #[command(flatten)]
    server: ServerFlags,

    /// How long to wait for the answer
    #[arg(long, env = "VIDEOCONF_TIMEOUT", value_name = "TIME")]
    #[arg(default_value = "10s")]
    timeout: String,

    /// The oldest answer to accept [default: the facade's choice]
    #[arg(long, env = "VIDEOCONF_MAX_AGE", value_name = "TIME")]
    max_age: Option<String>,

    /// A file with the user's id
    #[arg(long, env = "VIDEOCONF_USER_ID_FILE", value_name = "FILE")]
    user_id_file: Option<String>,

    /// A file with the auth token
    #[arg(long, env = "VIDEOCONF_AUTH_TOKEN_FILE", value_name = "FILE")]
    auth_token_file: Option<String>,
}

/// What to ask, of whom, on whose behalf.
pub(super) struct Call {
    pub(super) server: Server,
    pub(super) timeout: Duration,
    pub(super) request: GetInfoRequest,
    pub(super) credentials: Credentials,
}

pub(super) fn run(flags: &Flags, problems: Problems) -> ExitCode {
    match flags.check(problems) {
        Ok(call) => block_on(async { show(&call.send().await) }),
        Err(problems) => refuse(&problems),
    }
}

/// Prints the answer on stdout, or the refusal with its details on stderr.
pub(super) fn show(answer: &Result<GetInfoResponse, Status>) -> ExitCode {
    match answer.as_ref().map(json::response) {
        Ok(Ok(json)) => print(json),
        Ok(Err(problem)) => fail(format_args!("the answer can't be shown: {problem}")),
        Err(status) => {
            say(summary(status));
            match json::details(status.details()) {
                Ok(details) if !status.details().is_empty() => say(details),
                _ => {}
            }
            ExitCode::from(u8::try_from(EXIT_CODE_OFFSET + code(status) as i32).unwrap_or(1))
        }
    }
}

impl Call {
    /// Makes the call.
    ///
    /// # Errors
    /// UNAVAILABLE without a connection, else what the facade answers.
    pub(super) async fn send(self) -> Result<GetInfoResponse, Status> {
        let mut client = VideoConferenceServiceClient::new(self.server.connect());
        let request = request(self.request, &self.credentials, self.timeout);
        let answer = within(self.timeout, client.get_info(request)).await;
        answer.map(tonic::Response::into_inner)
    }
}

impl Flags {
    fn check(&self, mut problems: Problems) -> Result<Call, Vec<Problem>> {
        let server = self.server.check(&mut problems);
        let timeout = problems.check("--timeout", &self.timeout, time);
        let max_age = match &self.max_age {
            Some(text) => problems.check("--max-age", text, max_age).map(Some),
            None => Some(None),
        };
        let user_id = self.user_id_file.as_deref();
        let user_id = credential(&mut problems, "VIDEOCONF_USER_ID", user_id, UserId::new);
        let token = self.auth_token_file.as_deref();
        let token = credential(&mut problems, "VIDEOCONF_AUTH_TOKEN", token, AuthToken::new);
        let call = || {
            Some(Call {
                server: server?,
                timeout: timeout?,
                request: GetInfoRequest {
                    call_id: self.call_id.clone(),
                    max_age: max_age?,
                },
                credentials: Credentials {
                    user_id: user_id?,
                    auth_token: token?,
                },
            })
        };
        problems.result(call())
    }
}

/// What is sent. The values of the credentials go in as they are, since their mark keeps them out of
/// HPACK's tables and of debug output.
fn request(
    message: GetInfoRequest,
    credentials: &Credentials,
    timeout: Duration,
) -> Request<GetInfoRequest> {
    let headers = [
        (USER_ID, credentials.user_id.expose()),
        (AUTH_TOKEN, credentials.auth_token.expose()),
    ];
    let headers = headers.map(|(key, value)| (HeaderName::from_static(key), value.clone()));
    let metadata = MetadataMap::from_headers(headers.into_iter().collect());
    let mut request = Request::from_parts(metadata, Extensions::default(), message);
    request.set_timeout(timeout);
    request
}

fn max_age(text: &str) -> Result<prost_types::Duration, String> {
    let max_age = crate::config::time_or_zero(text)?;
    prost_types::Duration::try_from(max_age).map_err(|error| error.to_string())
}

/// A credential from a file if one is named, else from the environment.
fn credential<T>(
    problems: &mut Problems,
    variable: &str,
    file: Option<&str>,
    checked: impl FnOnce(HeaderValue) -> Result<T, credentials::Problem>,
) -> Option<T> {
    let (place, text) = match file {
        Some(path) => (
            // Without the path, since some put the credential itself there.
            format!("{variable}_FILE"),
            fs::read_to_string(path).map_err(|error| format!("can't be read: {error}")),
        ),
        None => (
            variable.to_owned(),
            env::var(variable).map_err(|_| "is not set, and neither is its file".to_owned()),
        ),
    };
    problems.check_secret(&place, "", |_| {
        let value = HeaderValue::from_str(text?.trim_end())
            .map_err(|_| "has a byte outside printable ASCII".to_owned())?;
        checked(value).map_err(|problem| problem.as_str().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_keep_their_mark() {
        let credentials = Credentials {
            user_id: UserId::new(HeaderValue::from_static("u")).unwrap(),
            auth_token: AuthToken::new(HeaderValue::from_static("canary")).unwrap(),
        };
        let request = request(
            GetInfoRequest::default(),
            &credentials,
            Duration::from_secs(1),
        );
        assert!(!format!("{request:?}").contains("canary"));
        let headers = request.into_parts().0.into_headers();
        assert_eq!(headers[AUTH_TOKEN], "canary");
        assert!(headers[AUTH_TOKEN].is_sensitive() && headers[USER_ID].is_sensitive());
    }
}
