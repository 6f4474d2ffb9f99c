//! What a failed call says.

use std::{collections::HashMap, error::Error as StdError, fmt, time::Duration};

use tonic::{Code, Status, TimeoutExpired};
use tonic_types::{ErrorDetails, StatusExt};

/// A failed call, with the details that the facade gives.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// gRPC's code.
    pub code: Code,
    /// A line for people.
    pub message: String,
    /// Why, as one of the proto's `ErrorReason`s without their prefix. Later versions have more.
    pub reason: Option<String>,
    /// What varies between refusals of one reason.
    pub metadata: HashMap<String, String>,
    /// After which time it makes sense to try again.
    pub retry_after: Option<Duration>,
    /// What is wrong with which field of the request.
    pub violations: Vec<(String, String)>,
    /// What the facade's log knows the call by.
    pub request_id: Option<String>,
}

/// What a caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// There is no such call, or this user can't see it: Rocket.Chat doesn't tell which.
    NoSuchCall,
    /// The request is wrong, and stays so.
    BadRequest,
    /// The credentials are wrong, or may not.
    BadCredentials,
    /// It may go better later.
    TryLater,
    /// There was no answer in time.
    DeadlineExceeded,
    /// Something else.
    Other,
}

impl Refusal {
    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match (self.code, self.reason.as_deref()) {
            (Code::InvalidArgument, Some("CALL_NOT_FOUND_OR_NOT_VISIBLE"))
            | (Code::NotFound, _) => Kind::NoSuchCall,
            (Code::InvalidArgument, _) => Kind::BadRequest,
            (Code::Unauthenticated | Code::PermissionDenied, _) => Kind::BadCredentials,
            (Code::Unavailable | Code::ResourceExhausted, _) => Kind::TryLater,
            (Code::DeadlineExceeded, _) => Kind::DeadlineExceeded,
            _ => Kind::Other,
        }
    }
}

impl Refusal {
    /// The code as gRPC writes it: `InvalidArgument` in Rust, INVALID_ARGUMENT everywhere else.
    #[must_use]
    pub fn code_name(&self) -> String {
        let mut name = String::new();
        for (at, letter) in format!("{:?}", self.code).char_indices() {
            if at > 0 && letter.is_ascii_uppercase() {
                name.push('_');
            }
            name.push(letter.to_ascii_uppercase());
        }
        name
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let details: ErrorDetails = status.get_error_details();
        let info = details.error_info();
        let request_id = status.metadata().get("x-request-id");
        Self {
            code: code(&status),
            message: message(&status),
            reason: info.map(|info| info.reason.clone()),
            metadata: info.map(|info| info.metadata.clone()).unwrap_or_default(),
            retry_after: details.retry_info().and_then(|it| it.retry_delay),
            violations: details.bad_request().map_or_else(Vec::new, |bad| {
                let violations = bad.field_violations.iter();
                violations
                    .map(|it| (it.field.clone(), it.description.clone()))
                    .collect()
            }),
            request_id: request_id
                .and_then(|id| id.to_str().ok())
                .map(str::to_owned),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for (field, description) in &self.violations {
            write!(f, "; {field} {description}")?;
        }
        let code = self.code_name();
        write!(f, " ({code}")?;
        // DEADLINE_EXCEEDED is both.
        if let Some(reason) = self.reason.as_ref().filter(|reason| **reason != code) {
            write!(f, ", {reason}")?;
        }
        if let Some(retry_after) = self.retry_after {
            write!(f, ", try again in {:.1} s", retry_after.as_secs_f64())?;
        }
        if let Some(request_id) = &self.request_id {
            write!(f, ", request {request_id}")?;
        }
        f.write_str(")")
    }
}

impl StdError for Refusal {}

/// tonic has codes of its own for what other libraries call DEADLINE_EXCEEDED and UNAVAILABLE: its own
/// timeout, and a connection that ends before the answer.
fn code(status: &Status) -> Code {
    match status.code() {
        Code::Cancelled if has_cause::<TimeoutExpired>(status) => Code::DeadlineExceeded,
        Code::Cancelled | Code::Unknown if status.source().is_some() => Code::Unavailable,
        code => code,
    }
}

fn message(status: &Status) -> String {
    let mut message = status.message().to_owned();
    let mut source = status.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !message.contains(&text) && !cause.is::<tonic::transport::Error>() {
            message = format!("{message}: {text}");
        }
        source = cause.source();
    }
    message
}

fn has_cause<T: StdError + 'static>(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(cause) = source {
        if cause.is::<T>() {
            return true;
        }
        source = cause.source();
    }
    false
}
