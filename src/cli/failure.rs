//! What a failed call has to tell.

use std::{error::Error as StdError, time::Duration};

use tokio::time::timeout;
use tonic::{Code, Status, TimeoutExpired};

use crate::{
    deadline::Limit,
    error::{
        Error,
        status::{code_name, to_status},
    },
};

/// The outcome of `call`, which has `time` in all. The library's own timeout begins when there is a
/// connection, and says CANCELLED.
///
/// # Errors
/// What the facade answers, DEADLINE_EXCEEDED, or UNAVAILABLE without a connection.
pub(super) async fn within<T>(
    time: Duration,
    call: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    let exceeded = || to_status(&Error::DeadlineExceeded(Limit::Caller));
    match timeout(time, call).await {
        Ok(Err(status)) if is_timeout(&status) => Err(exceeded()),
        Ok(outcome) => outcome,
        Err(_) => Err(exceeded()),
    }
}

fn is_timeout(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(cause) = source {
        if cause.is::<TimeoutExpired>() {
            return true;
        }
        source = cause.source();
    }
    false
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
