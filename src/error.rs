//! Every way in which a call can fail, in the facade's own words.
//!
//! What becomes of an error on the wire is decided in [`status`] alone.

pub mod status;

use std::time::Duration;

use crate::{call_id, credentials, deadline::Limit, route::Route};

/// Why a call got no answer. Each variant names its gRPC code and reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// INVALID_ARGUMENT, `INVALID_CALL_ID`: refused here.
    InvalidCallId(call_id::Problem),
    /// INVALID_ARGUMENT, `INVALID_MAX_AGE`: negative or outside protobuf's range; refused here.
    InvalidMaxAge,
    /// INVALID_ARGUMENT, `INVALID_PARAMS`: a 400 of Rocket.Chat's validation.
    InvalidParams {
        /// Whose parameters.
        route: &'static Route,
        /// What it says.
        text: UpstreamText,
    },
    /// INVALID_ARGUMENT, `CALL_NOT_FOUND_OR_NOT_VISIBLE`: a 400 that says no more than that.
    CallNotFoundOrNotVisible,
    /// INVALID_ARGUMENT, `UPSTREAM_REJECTED`: any other 400.
    UpstreamRejected(UpstreamText),
    /// UNAUTHENTICATED, `CREDENTIALS_MISSING` or `CREDENTIALS_MALFORMED`: refused here.
    InvalidCredentials {
        /// The metadata key.
        key: &'static str,
        /// What is wrong with its value.
        problem: credentials::Problem,
    },
    /// UNAUTHENTICATED, `CREDENTIALS_REJECTED`: a 401.
    CredentialsRejected,
    /// PERMISSION_DENIED, `FORBIDDEN`: a 403.
    Forbidden(UpstreamText),
    /// NOT_FOUND, `CALL_NOT_FOUND`: a 404 in Rocket.Chat's own JSON.
    CallNotFound,
    /// UNIMPLEMENTED, `UPSTREAM_ENDPOINT_MISSING`: any other 404, or a 405.
    UpstreamEndpointMissing {
        /// 404 or 405.
        http_status: u16,
    },
    /// RESOURCE_EXHAUSTED, `UPSTREAM_RATE_LIMITED`: a 429.
    UpstreamRateLimited {
        /// Whose limit.
        route: &'static Route,
        /// Until the window opens again, by Rocket.Chat's clock.
        retry_after: Duration,
        /// The limit per window that Rocket.Chat named.
        limit: Option<u32>,
    },
    /// RESOURCE_EXHAUSTED, `BUDGET_EXHAUSTED`: the allowance has no turn before the deadline.
    BudgetExhausted {
        /// Whose allowance.
        route: &'static Route,
        /// Until it would have one.
        retry_after: Duration,
    },
    /// UNAVAILABLE, `UPSTREAM_UNAVAILABLE`: no answer to be had.
    UpstreamUnavailable {
        /// How that showed.
        cause: Unavailable,
        /// When another try makes sense.
        retry_after: Duration,
    },
    /// INTERNAL, `UPSTREAM_FAILED`: a 5xx that doesn't speak of passing trouble.
    UpstreamFailed {
        /// The status.
        http_status: u16,
    },
    /// DEADLINE_EXCEEDED, `DEADLINE_EXCEEDED`.
    DeadlineExceeded(Limit),
    /// INTERNAL, `UPSTREAM_MALFORMED`: an answer that this version doesn't understand.
    UpstreamMalformed {
        /// The status, if it could be read.
        http_status: Option<u16>,
        /// What was wrong with the answer.
        problem: &'static str,
        /// Where, if the JSON's parser said it. Never a piece of the answer.
        detail: Option<String>,
    },
    /// UNAVAILABLE, `OVERLOADED`: too many requests, or reads, in flight here.
    Overloaded,
    /// UNAVAILABLE, `SHUTTING_DOWN`: the server ended before the call did.
    ShuttingDown,
    /// INTERNAL, `INTERNAL`: a defect of the facade.
    Internal,
}

impl Error {
    /// Whether Rocket.Chat refuses to tell of a conference: that is an answer, too.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Forbidden(_) | Self::UpstreamEndpointMissing { .. }
        ) || self.is_worth_remembering()
    }

    /// Whether it is a refusal that is likely to hold for a moment.
    #[must_use]
    pub fn is_worth_remembering(&self) -> bool {
        matches!(
            self,
            Self::InvalidParams { .. }
                | Self::CallNotFoundOrNotVisible
                | Self::UpstreamRejected(_)
                | Self::CredentialsRejected
                | Self::CallNotFound
        )
    }
}

/// How it showed that Rocket.Chat gives no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// The host's name has no address.
    UnknownHost,
    /// Nobody listens there, or the network says no.
    ConnectionRefused,
    /// No connection within the time limit for connecting.
    ConnectTimeout,
    /// The other side's certificate has expired.
    CertificateExpired,
    /// The other side's certificate isn't valid yet.
    CertificateNotYetValid,
    /// The other side's certificate is for another name.
    CertificateForAnotherName,
    /// Nobody who is trusted vouches for the other side's certificate.
    AuthorityNotTrusted,
    /// TLS can't be spoken for another reason.
    Tls,
    /// The connection was closed before TLS, or a proxy's tunnel, was agreed on.
    ClosedInHandshake,
    /// The proxy makes no tunnel: it doesn't want to, or can't.
    ProxyRefused,
    /// The proxy asks for credentials, with a 407.
    ProxyAuthentication,
    /// No connection for another reason.
    NotConnected,
    /// The connection was closed under the request, before an answer.
    ConnectionClosed,
    /// What came back isn't HTTP.
    NotHttp,
    /// The answer ended before its end.
    CutOff,
    /// It doesn't answer at all.
    Silent,
    /// 408, 502 to 504, 520 to 527, or 530.
    Status(u16),
}

/// The two texts with which Rocket.Chat explains a refusal, cut to a size and without the caller's
/// token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamText {
    /// `error` of the body.
    pub error: Option<String>,
    /// `errorType` of the body.
    pub error_type: Option<String>,
}

impl Error {
    /// The HTTP status with which Rocket.Chat caused this error, if it did.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        match self {
            Self::InvalidParams { .. }
            | Self::CallNotFoundOrNotVisible
            | Self::UpstreamRejected(_) => Some(400),
            Self::CredentialsRejected => Some(401),
            Self::Forbidden(_) => Some(403),
            Self::CallNotFound => Some(404),
            Self::UpstreamRateLimited { .. } => Some(429),
            Self::UpstreamUnavailable {
                cause: Unavailable::Status(http_status),
                ..
            }
            | Self::UpstreamEndpointMissing { http_status }
            | Self::UpstreamFailed { http_status } => Some(*http_status),
            Self::UpstreamMalformed { http_status, .. } => *http_status,
            Self::UpstreamUnavailable {
                cause: Unavailable::ProxyAuthentication,
                ..
            } => Some(407),
            Self::InvalidCallId(_)
            | Self::InvalidMaxAge
            | Self::InvalidCredentials { .. }
            | Self::BudgetExhausted { .. }
            | Self::UpstreamUnavailable { .. }
            | Self::DeadlineExceeded(_)
            | Self::Overloaded
            | Self::ShuttingDown
            | Self::Internal => None,
        }
    }

    /// What is wrong in particular, in a few constant words, where a reason has several causes.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        match self {
            Self::InvalidCredentials { problem, .. } => Some(problem.as_str()),
            Self::UpstreamUnavailable { cause, .. } => Some(cause.as_str()),
            Self::UpstreamMalformed { problem, .. } => Some(problem),
            _ => None,
        }
    }
}

impl Unavailable {
    /// The cause in a few constant words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownHost => "unknown host",
            Self::ConnectionRefused => "connection refused",
            Self::ConnectTimeout => "no connection in time",
            Self::CertificateExpired => "certificate expired",
            Self::CertificateNotYetValid => "certificate not valid yet",
            Self::CertificateForAnotherName => "certificate for another name",
            Self::AuthorityNotTrusted => "authority not trusted",
            Self::Tls => "TLS handshake failed",
            Self::ClosedInHandshake => "closed during the handshake",
            Self::ProxyRefused => "refused by the proxy",
            Self::ProxyAuthentication => "the proxy asks for credentials",
            Self::NotConnected => "no connection",
            Self::ConnectionClosed => "connection closed before an answer",
            Self::NotHttp => "answer is not HTTP that can be read",
            Self::CutOff => "answer cut off",
            Self::Silent => "no answer",
            Self::Status(_) => "status of passing trouble",
        }
    }
}
