//! From an error to what the caller sees: the one table of codes, reasons, messages and details.

use std::{collections::HashMap, time::Duration};

use tonic::{
    Code, Status,
    metadata::{MetadataMap, MetadataValue},
};
use tonic_types::{ErrorDetails, QuotaViolation, StatusExt};

use super::Error;
use crate::{
    credentials,
    proto::v1::ErrorReason as Reason,
    record::{Record, Refusal},
};

/// `google.rpc.ErrorInfo.domain` of every error of ours.
pub const DOMAIN: &str = "videoconf-facade";

/// The metadata key with which stock clients learn when to try again, in milliseconds.
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// How long a caller should leave us alone when we are the trouble.
const OWN_TROUBLE: Duration = Duration::from_secs(1);

/// Refuses a call: what its caller hears, and what its record tells.
#[must_use]
pub fn refuse(error: &Error, record: &Record) -> Status {
    let (_, reason, _) = row(error);
    record.refused(Refusal {
        reason,
        problem: error.problem(),
        retry_millis: retry_millis(error),
    });
    to_status(error)
}

/// The reason that callers hear of `error`.
#[must_use]
pub fn reason_of(error: &Error) -> &'static str {
    let (_, reason, _) = row(error);
    wire_name(reason)
}

/// What went wrong with what nobody waited for any more, as [`error_type`] has it.
pub const GIVEN_UP: &str = "given up";

/// What went wrong, in constant words: the problem where there is one, else the reason.
#[must_use]
pub fn error_type(error: &Error) -> &'static str {
    error.problem().unwrap_or_else(|| reason_of(error))
}

/// The status of `error`, with its details: always an `ErrorInfo`, and what else applies.
#[must_use]
pub fn to_status(error: &Error) -> Status {
    let (code, reason, message) = row(error);
    let mut details = ErrorDetails::with_error_info(wire_name(reason), DOMAIN, metadata(error));
    let mut headers = MetadataMap::new();
    if let Some((field, description)) = violation(error) {
        details.add_bad_request_violation(field, description);
    }
    if let Some(violation) = quota(error) {
        details.set_quota_failure(vec![violation]);
    }
    if let Some(millis) = retry_millis(error) {
        details.set_retry_info(Some(Duration::from_millis(millis)));
        headers.insert(PUSHBACK, MetadataValue::from(millis));
    }
    Status::with_error_details_and_metadata(code, message, details, headers)
}

/// The status of a unary call with more than one message, as gRPC's status page has it: a code alone,
/// like all that concerns the protocol and not the service.
pub(crate) fn second_message() -> Status {
    Status::unimplemented("a unary call has one message")
}

/// The status of a question about the health of a service that doesn't exist, as the health protocol
/// has it.
pub(crate) fn no_such_service() -> Status {
    Status::not_found("no such service")
}

/// The code's name in the protocol.
#[must_use]
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// The code, the reason and the message of `error`. The message is constant per reason; what varies
/// stands in the details.
fn row(error: &Error) -> (Code, Reason, &'static str) {
    use credentials::Problem;
    match error {
        Error::InvalidCallId(_) => (
            Code::InvalidArgument,
            Reason::InvalidCallId,
            "call_id is not valid",
        ),
        Error::InvalidMaxAge => (
            Code::InvalidArgument,
            Reason::InvalidMaxAge,
            "max_age is not valid",
        ),
        Error::InvalidParams { .. } => (
            Code::InvalidArgument,
            Reason::InvalidParams,
            "Rocket.Chat does not accept the parameters",
        ),
        Error::CallNotFoundOrNotVisible => (
            Code::InvalidArgument,
            Reason::CallNotFoundOrNotVisible,
            "no such conference, or not visible to this user",
        ),
        Error::UpstreamRejected(_) => (
            Code::InvalidArgument,
            Reason::UpstreamRejected,
            "Rocket.Chat rejected the request",
        ),
        Error::InvalidCredentials { problem, .. } => match problem {
            Problem::Missing => (
                Code::Unauthenticated,
                Reason::CredentialsMissing,
                "x-user-id and x-auth-token are required metadata",
            ),
            Problem::Repeated | Problem::NotPrintableAscii | Problem::Padded => (
                Code::Unauthenticated,
                Reason::CredentialsMalformed,
                "x-user-id and x-auth-token must be one printable ASCII value each, without spaces around it",
            ),
        },
        Error::CredentialsRejected => (
            Code::Unauthenticated,
            Reason::CredentialsRejected,
            "Rocket.Chat does not accept the credentials",
        ),
        Error::Forbidden(_) => (
            Code::PermissionDenied,
            Reason::Forbidden,
            "Rocket.Chat does not allow this",
        ),
        Error::CallNotFound => (Code::NotFound, Reason::CallNotFound, "no such conference"),
        Error::UpstreamEndpointMissing { .. } => (
            Code::Unimplemented,
            Reason::UpstreamEndpointMissing,
            "the upstream server has no such endpoint",
        ),
        Error::UpstreamRateLimited { .. } => (
            Code::ResourceExhausted,
            Reason::UpstreamRateLimited,
            "Rocket.Chat's rate limit is used up",
        ),
        Error::BudgetExhausted { .. } => (
            Code::ResourceExhausted,
            Reason::BudgetExhausted,
            "Rocket.Chat's rate limit leaves no turn before the deadline",
        ),
        Error::UpstreamUnavailable { .. } => (
            Code::Unavailable,
            Reason::UpstreamUnavailable,
            "Rocket.Chat is not available",
        ),
        Error::UpstreamFailed { .. } => {
            (Code::Internal, Reason::UpstreamFailed, "Rocket.Chat failed")
        }
        Error::DeadlineExceeded(_) => (
            Code::DeadlineExceeded,
            Reason::DeadlineExceeded,
            "the call took too long",
        ),
        Error::UpstreamMalformed { .. } => (
            Code::Internal,
            Reason::UpstreamMalformed,
            "Rocket.Chat's answer is not understood",
        ),
        Error::Overloaded => (
            Code::Unavailable,
            Reason::Overloaded,
            "too many requests in flight",
        ),
        Error::ShuttingDown => (
            Code::Unavailable,
            Reason::ShuttingDown,
            "the server is shutting down",
        ),
        Error::Internal => (Code::Internal, Reason::Internal, "internal error"),
    }
}

/// What varies between errors of one reason, as `ErrorInfo` has it.
fn metadata(error: &Error) -> HashMap<String, String> {
    let mut metadata = HashMap::new();
    let mut add = |key: &str, value: Option<&str>| {
        metadata.extend(value.map(|value| (key.to_owned(), value.to_owned())));
    };
    let http_status = error.http_status().map(|status| status.to_string());
    add("http_status", http_status.as_deref());
    add("problem", error.problem());
    match error {
        Error::InvalidParams { text, .. }
        | Error::UpstreamRejected(text)
        | Error::Forbidden(text) => {
            add("upstream_error", text.error.as_deref());
            add("upstream_error_type", text.error_type.as_deref());
        }
        Error::InvalidCredentials { key, .. } => add("metadata_key", Some(key)),
        Error::UpstreamMalformed { detail, .. } => add("detail", detail.as_deref()),
        Error::DeadlineExceeded(limit) => add("limit", Some(limit.as_str())),
        _ => {}
    }
    metadata
}

/// The field that is to blame, and why.
fn violation(error: &Error) -> Option<(&'static str, String)> {
    match error {
        Error::InvalidCallId(problem) => Some(("call_id", problem.to_string())),
        Error::InvalidMaxAge => Some((
            "max_age",
            "must be a valid Duration and not negative".to_owned(),
        )),
        Error::InvalidParams { route, text } => {
            let said = text.error.as_deref();
            let said = said.unwrap_or("not accepted by Rocket.Chat");
            Some((route.blamed_field, said.to_owned()))
        }
        _ => None,
    }
}

/// When the caller should try again, where that makes sense. Rounded up to whole milliseconds, so
/// that who waits that long doesn't come a moment too early.
fn retry_millis(error: &Error) -> Option<u64> {
    let after = match error {
        Error::UpstreamRateLimited { retry_after, .. }
        | Error::BudgetExhausted { retry_after, .. }
        | Error::UpstreamUnavailable { retry_after, .. } => *retry_after,
        Error::Overloaded | Error::ShuttingDown => OWN_TROUBLE,
        _ => return None,
    };
    u64::try_from(after.as_nanos().div_ceil(1_000_000)).ok()
}

/// Whose limit it is that was met.
fn quota(error: &Error) -> Option<QuotaViolation> {
    let (route, limit) = match error {
        Error::UpstreamRateLimited { route, limit, .. } => (route, *limit),
        Error::BudgetExhausted { route, .. } => (route, None),
        _ => return None,
    };
    Some(QuotaViolation {
        subject: "client address of the facade".to_owned(),
        description: format!("requests to {} per client address and window", route.name),
        api_service: "Rocket.Chat".to_owned(),
        quota_id: route.name.to_owned(),
        quota_value: limit.map_or(0, i64::from),
        ..QuotaViolation::default()
    })
}

/// A reason as it travels: the name of its value without the prefix.
#[must_use]
pub fn wire_name(reason: Reason) -> &'static str {
    reason.as_str_name().trim_start_matches("ERROR_REASON_")
}
