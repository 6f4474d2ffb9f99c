//! From a refusal of Rocket.Chat, or from no answer at all, to our error.

use std::{
    error::Error as StdError,
    io,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value};

use super::json;
use crate::{
    credentials::AuthToken,
    error::{Error, Unavailable, UpstreamText},
};

/// The longest piece of `error` that is passed on, in bytes.
const MAX_ERROR_BYTES: usize = 512;

/// The longest piece of `errorType` that is passed on, in bytes.
const MAX_ERROR_TYPE_BYTES: usize = 128;

/// After a failed connection or a status of passing trouble without a `Retry-After`.
const RETRY_UNAVAILABLE: Duration = Duration::from_secs(1);

/// One window of Rocket.Chat's limit for this endpoint, for a 429 that doesn't say when it ends.
const RETRY_RATE_LIMITED: Duration = Duration::from_secs(3);

/// No caller is told to stay away for longer, whatever an answer says.
const MAX_RETRY: Duration = Duration::from_secs(60);

/// What an answer with a status other than 2xx means. The status decides; `body` only refines it,
/// and whatever is wrong with the body, the status holds.
pub(super) fn refusal(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    token: &AuthToken,
) -> Error {
    let http_status = status.as_u16();
    let json = json::object(body).ok();
    let text = || upstream_text(json.as_ref(), token);
    match http_status {
        400 => bad_request(json.as_ref(), text()),
        401 => Error::CredentialsRejected,
        403 => Error::Forbidden(text()),
        404 if is_refusal_of_rocketchat(json.as_ref()) => Error::CallNotFound,
        404 | 405 => Error::UpstreamEndpointMissing { http_status },
        408 | 502 | 503 | 504 => Error::UpstreamUnavailable {
            cause: Unavailable::Status(http_status),
            retry_after: retry_after(headers).unwrap_or(RETRY_UNAVAILABLE),
        },
        429 => Error::UpstreamRateLimited {
            retry_after: rate_limit_reset(headers)
                .or_else(|| retry_after(headers))
                .unwrap_or(RETRY_RATE_LIMITED),
            limit: number(headers, "x-ratelimit-limit"),
        },
        500..=599 => Error::UpstreamFailed { http_status },
        _ => Error::UpstreamMalformed {
            http_status,
            problem: match http_status {
                300..=399 => "a redirect, which is not followed",
                _ => "a status that Rocket.Chat does not use here",
            },
            detail: None,
        },
    }
}

/// What it means that a request got no answer.
pub(super) fn no_answer(error: &reqwest::Error) -> Error {
    let cause = if error.is_dns() {
        Unavailable::UnknownHost
    } else if error.is_connect() && error.is_timeout() {
        Unavailable::ConnectTimeout
    } else if find::<rustls::Error>(error).is_some() {
        Unavailable::TlsHandshake
    } else if error.is_connect() {
        match find::<io::Error>(error).map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => Unavailable::ConnectionRefused,
            _ => Unavailable::NotConnected,
        }
    } else if find::<hyper::Error>(error).is_some_and(hyper::Error::is_parse) {
        Unavailable::NotHttp
    } else {
        Unavailable::ConnectionClosed
    };
    Error::UpstreamUnavailable {
        cause,
        retry_after: RETRY_UNAVAILABLE,
    }
}

/// What it means that an answer's body ended before its end.
pub(super) fn cut_off() -> Error {
    Error::UpstreamUnavailable {
        cause: Unavailable::CutOff,
        retry_after: RETRY_UNAVAILABLE,
    }
}

/// The first error of type `T` in the chain of causes.
pub(super) fn find<T: StdError + 'static>(error: &reqwest::Error) -> Option<&T> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(found) = cause.downcast_ref() {
            return Some(found);
        }
        // An `io::Error` that wraps another error skips it when asked for its source.
        let wrapped = cause.downcast_ref().and_then(io::Error::get_ref);
        source = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => cause.source(),
        };
    }
    None
}

/// Rocket.Chat's 400s. Its validation sets `errorType`, with or without the prefix `error-`
/// depending on the version; a call that doesn't exist, or that the user can't see, has only
/// `error`; everything else is a failure of its handler.
fn bad_request(json: Option<&Map<String, Value>>, text: UpstreamText) -> Error {
    let member = |key| json.and_then(|json| json.get(key)).and_then(Value::as_str);
    match (member("error"), member("errorType")) {
        (_, Some("invalid-params" | "error-invalid-params")) => Error::InvalidParams(text),
        (Some("invalid-params"), None) => Error::CallNotFoundOrNotVisible,
        _ => Error::UpstreamRejected(text),
    }
}

fn is_refusal_of_rocketchat(json: Option<&Map<String, Value>>) -> bool {
    json.is_some_and(|json| json.get("success") == Some(&Value::Bool(false)))
}

fn upstream_text(json: Option<&Map<String, Value>>, token: &AuthToken) -> UpstreamText {
    let text = |key, max_bytes| {
        let text = json?.get(key)?.as_str()?;
        // Before the cut, which might leave half of a token.
        let text = token.redact(text);
        Some(text[..text.floor_char_boundary(max_bytes)].to_owned())
    };
    UpstreamText {
        error: text("error", MAX_ERROR_BYTES),
        error_type: text("errorType", MAX_ERROR_TYPE_BYTES),
    }
}

/// Until Rocket.Chat's window ends. `X-RateLimit-Reset` is in epoch milliseconds by its clock, so
/// it is compared to its `Date`; `Date` is cut to the second, which errs towards too long.
fn rate_limit_reset(headers: &HeaderMap) -> Option<Duration> {
    let reset = Duration::from_millis(number(headers, "x-ratelimit-reset")?);
    let now = date(headers, header::DATE)
        .unwrap_or_else(SystemTime::now)
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()?;
    // One that has passed says nothing about the refusal at hand.
    let left = reset.checked_sub(now).filter(|left| !left.is_zero())?;
    Some(left.min(MAX_RETRY))
}

/// `Retry-After`, which proxies send: seconds, or a date by the sender's clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let left = match number(headers, header::RETRY_AFTER.as_str()) {
        Some(seconds) => Duration::from_secs(seconds),
        None => date(headers, header::RETRY_AFTER)?
            .duration_since(date(headers, header::DATE).unwrap_or_else(SystemTime::now))
            .ok()?,
    };
    Some(left.min(MAX_RETRY))
}

fn number<N: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Option<N> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn date(headers: &HeaderMap, name: header::HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const DATE: &str = "Mon, 23 Nov 2026 10:00:00 GMT";
    const DATE_MILLIS: u64 = 1_795_428_000_000;

    fn refused(status: u16, headers: &[(&'static str, &str)], body: &str) -> Error {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                (
                    header::HeaderName::from_static(name),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect();
        let token = AuthToken::new(HeaderValue::from_static("canary")).unwrap();
        let status = StatusCode::from_u16(status).unwrap();
        refusal(status, &headers, body.as_bytes(), &token)
    }

    fn text(error: Option<&str>, error_type: Option<&str>) -> UpstreamText {
        UpstreamText {
            error: error.map(str::to_owned),
            error_type: error_type.map(str::to_owned),
        }
    }

    #[test]
    fn the_status_decides_and_the_body_refines() {
        let html = "<html>no</html>";
        let malformed = |http_status, problem| Error::UpstreamMalformed {
            http_status,
            problem,
            detail: None,
        };
        let strange = "a status that Rocket.Chat does not use here";
        let unavailable = |http_status| Error::UpstreamUnavailable {
            cause: Unavailable::Status(http_status),
            retry_after: RETRY_UNAVAILABLE,
        };
        for (status, body, expected) in [
            (
                400,
                r#"{"success":false,"error":"x [invalid-params]","errorType":"invalid-params"}"#,
                Error::InvalidParams(text(Some("x [invalid-params]"), Some("invalid-params"))),
            ),
            (
                400,
                r#"{"success":false,"errorType":"error-invalid-params","error":"x"}"#,
                Error::InvalidParams(text(Some("x"), Some("error-invalid-params"))),
            ),
            (
                400,
                r#"{"success":false,"error":"invalid-params"}"#,
                Error::CallNotFoundOrNotVisible,
            ),
            (
                400,
                r#"{"success":false,"error":"invalid-params","errorType":"other"}"#,
                Error::UpstreamRejected(text(Some("invalid-params"), Some("other"))),
            ),
            (
                400,
                r#"{"success":false,"error":"db says canary"}"#,
                Error::UpstreamRejected(text(Some("db says [redacted]"), None)),
            ),
            (
                400,
                r#"{"success":false,"error":{"code":1},"errorType":7}"#,
                Error::UpstreamRejected(text(None, None)),
            ),
            (400, html, Error::UpstreamRejected(text(None, None))),
            (400, "", Error::UpstreamRejected(text(None, None))),
            (401, html, Error::CredentialsRejected),
            (403, "", Error::Forbidden(text(None, None))),
            (
                403,
                r#"{"success":false,"error":"Not allowed"}"#,
                Error::Forbidden(text(Some("Not allowed"), None)),
            ),
            (404, r#"{"success":false,"error":"x"}"#, Error::CallNotFound),
            (
                404,
                r#"{"success":true}"#,
                Error::UpstreamEndpointMissing { http_status: 404 },
            ),
            (
                404,
                "404 Not Found",
                Error::UpstreamEndpointMissing { http_status: 404 },
            ),
            (
                405,
                r#"{"success":false}"#,
                Error::UpstreamEndpointMissing { http_status: 405 },
            ),
            (408, "", unavailable(408)),
            (502, html, unavailable(502)),
            (503, html, unavailable(503)),
            (504, html, unavailable(504)),
            (500, html, Error::UpstreamFailed { http_status: 500 }),
            (501, "", Error::UpstreamFailed { http_status: 501 }),
            (599, "", Error::UpstreamFailed { http_status: 599 }),
            (302, "", malformed(302, "a redirect, which is not followed")),
            (402, "", malformed(402, strange)),
            (431, "", malformed(431, strange)),
            (418, "", malformed(418, strange)),
        ] {
            assert_eq!(refused(status, &[], body), expected, "{status} {body}");
        }
    }

    #[test]
    fn upstream_text_is_cut_between_characters() {
        let body = format!(r#"{{"error":"{}"}}"#, "é".repeat(400));
        let Error::UpstreamRejected(text) = refused(400, &[], &body) else {
            panic!()
        };
        assert_eq!(text.error.unwrap(), "é".repeat(256));
    }

    #[test]
    fn the_wait_after_a_429() {
        let reset = |millis: u64| (DATE_MILLIS + millis).to_string();
        for (headers, millis) in [
            (vec![], 3000),
            (
                vec![("x-ratelimit-reset", reset(1234)), ("date", DATE.into())],
                1234,
            ),
            (
                vec![("x-ratelimit-reset", reset(0)), ("date", DATE.into())],
                3000,
            ),
            (
                vec![
                    ("x-ratelimit-reset", reset(86_400_000)),
                    ("date", DATE.into()),
                ],
                60_000,
            ),
            (
                vec![("x-ratelimit-reset", "soon".into()), ("date", DATE.into())],
                3000,
            ),
            (vec![("x-ratelimit-reset", "-1".into())], 3000),
            (vec![("retry-after", "7".into())], 7000),
            (vec![("retry-after", "99999999999".into())], 60_000),
            (
                vec![
                    ("retry-after", "Mon, 23 Nov 2026 10:00:05 GMT".into()),
                    ("date", DATE.into()),
                ],
                5000,
            ),
        ] {
            let headers: Vec<_> = headers
                .iter()
                .map(|(k, v): &(_, String)| (*k, v.as_str()))
                .collect();
            let expected = Error::UpstreamRateLimited {
                retry_after: Duration::from_millis(millis),
                limit: None,
            };
            assert_eq!(refused(429, &headers, ""), expected, "{headers:?}");
        }
    }

    #[test]
    fn the_wait_after_a_503() {
        let expected = Error::UpstreamUnavailable {
            cause: Unavailable::Status(503),
            retry_after: Duration::from_secs(5),
        };
        assert_eq!(refused(503, &[("retry-after", "5")], ""), expected);
    }
}
