//! What a failed call has to tell.

use std::error::Error as StdError;

use tonic::{Code, Status, TimeoutExpired};

use crate::{
    deadline::Limit,
    error::{
        Error,
        status::{code_name, to_status},
    },
};

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

/// The code of a failed call. The library has others for a connection that ends before its answer; other
/// clients say what it is.
pub(super) fn code(status: &Status) -> Code {
    match status.code() {
        Code::Cancelled | Code::Unknown if status.source().is_some() => Code::Unavailable,
        code => code,
    }
}

/// Code and message in a line, and what is behind it if the call came to nothing on its way.
pub(super) fn summary(status: &Status) -> String {
    let mut text = format!("{}: {}", code_name(code(status)), status.message());
    let mut source = status.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Most say again what they wrap.
        if !cause.is::<tonic::transport::Error>() && !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
