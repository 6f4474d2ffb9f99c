//! From a refusal of Rocket.Chat to our error.

mod causes;
mod no_answer;
mod wait;

use serde_json::{Map, Value};

use super::json;
use crate::{
    credentials::AuthToken,
    error::{Error, Unavailable, UpstreamText},
    exchange::Head,
    route::Route,
};
pub(super) use causes::text as causes;
pub(super) use no_answer::{cut_off, no_answer, proxy_authentication};

/// The longest piece of `error` that is passed on, in bytes.
const MAX_ERROR_BYTES: usize = 512;

/// The longest piece of `errorType` that is passed on, in bytes.
const MAX_ERROR_TYPE_BYTES: usize = 128;

/// Whether the body of an answer with this status says more than the status.
pub(super) fn is_refined_by_body(http_status: u16) -> bool {
    matches!(http_status, 400 | 403 | 404)
}

/// What an answer with a status other than 2xx means. The status decides; `body` only refines it,
/// and whatever is wrong with the body, the status holds.
pub(super) fn refusal(route: &'static Route, head: &Head, body: &[u8], token: &AuthToken) -> Error {
    let http_status = head.status;
    let json = json::object(body).ok();
    let text = || upstream_text(json.as_ref(), token);
    match http_status {
        400 => bad_request(route, json.as_ref(), text()),
        401 => Error::CredentialsRejected,
        403 => Error::Forbidden(text()),
        404 if is_refusal_of_rocketchat(json.as_ref()) => Error::CallNotFound,
        404 | 405 => Error::UpstreamEndpointMissing { http_status },
        // From 520 on they are those of a CDN that speaks for a server which it can't reach.
        408 | 502..=504 | 520..=527 | 530 => Error::UpstreamUnavailable {
            cause: Unavailable::Status(http_status),
            retry_after: wait::while_unavailable(head),
        },
        429 => Error::UpstreamRateLimited {
            route,
            retry_after: wait::while_rate_limited(head),
            limit: head.rate_limit.and_then(|limit| limit.limit),
        },
        500..=599 => Error::UpstreamFailed { http_status },
        _ => Error::UpstreamMalformed {
            http_status: Some(http_status),
            problem: match http_status {
                300..=399 => "a redirection, which is not followed",
                _ => "a status that Rocket.Chat does not use here",
            },
            detail: None,
        },
    }
}

/// Rocket.Chat's 400s. Its validation sets `errorType`, with or without the prefix `error-`
/// depending on the version; a call that doesn't exist, or that the user can't see, has only
/// `error`; everything else is a failure of its handler.
fn bad_request(
    route: &'static Route,
    json: Option<&Map<String, Value>>,
    text: UpstreamText,
) -> Error {
    let member = |key| json.and_then(|json| json.get(key)).and_then(Value::as_str);
    match (member("error"), member("errorType")) {
        (_, Some("invalid-params" | "error-invalid-params")) => {
            Error::InvalidParams { route, text }
        }
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

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::route::INFO;

    fn refused(status: u16, body: &str) -> Error {
        let token = AuthToken::new(HeaderValue::from_static("canary")).unwrap();
        let head = Head {
            status,
            rate_limit: None,
            retry_after: None,
        };
        refusal(&INFO, &head, body.as_bytes(), &token)
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
            http_status: Some(http_status),
            problem,
            detail: None,
        };
        let invalid_params = |text| Error::InvalidParams { route: &INFO, text };
        let strange = "a status that Rocket.Chat does not use here";
        let unavailable = |http_status| Error::UpstreamUnavailable {
            cause: Unavailable::Status(http_status),
            retry_after: wait::UNAVAILABLE,
        };
        for (status, body, expected) in [
            (
                400,
                r#"{"success":false,"error":"x [invalid-params]","errorType":"invalid-params"}"#,
                invalid_params(text(Some("x [invalid-params]"), Some("invalid-params"))),
            ),
            (
                400,
                r#"{"success":false,"errorType":"error-invalid-params","error":"x"}"#,
                invalid_params(text(Some("x"), Some("error-invalid-params"))),
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
            (520, html, unavailable(520)),
            (527, "", unavailable(527)),
            (530, html, unavailable(530)),
            (407, html, malformed(407, strange)),
            (500, html, Error::UpstreamFailed { http_status: 500 }),
            (501, "", Error::UpstreamFailed { http_status: 501 }),
            (519, "", Error::UpstreamFailed { http_status: 519 }),
            (528, "", Error::UpstreamFailed { http_status: 528 }),
            (531, "", Error::UpstreamFailed { http_status: 531 }),
            (599, "", Error::UpstreamFailed { http_status: 599 }),
            (
                302,
                "",
                malformed(302, "a redirection, which is not followed"),
            ),
            (402, "", malformed(402, strange)),
            (431, "", malformed(431, strange)),
            (418, "", malformed(418, strange)),
        ] {
            assert_eq!(refused(status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn upstream_text_is_cut_between_characters() {
        let body = format!(r#"{{"error":"{}"}}"#, "é".repeat(400));
        let Error::UpstreamRejected(text) = refused(400, &body) else {
            panic!()
        };
        assert_eq!(text.error.unwrap(), "é".repeat(256));
    }
}
