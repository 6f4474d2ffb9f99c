//! The answers Rocket.Chat's REST layer gives, in the form each version gives them.

use std::time::Duration;

use super::limiter::Verdict;
use super::query::Invalid;
use super::reply::Reply;
use super::version::Version;

/// The call as it stands. `body` is the whole JSON document.
pub(super) fn found(body: String) -> Reply {
    action_result(200, body)
}

/// There is no such call, or the caller may not read its room. Nobody can tell which.
pub(super) fn not_found() -> Reply {
    action_result(
        400,
        r#"{"success":false,"error":"invalid-params"}"#.to_owned(),
    )
}

/// The query does not fit. In 7.0 the action finds out, later the router before it.
pub(super) fn invalid_query(version: Version, invalid: Invalid) -> Reply {
    match (version, invalid) {
        (_, Invalid::TooMany) => json(
            400,
            r#"{"success":false,"error":"Invalid query parameters"}"#.to_owned(),
        ),
        (Version::V7_0, Invalid::Schema(text)) => action_result(
            400,
            format!(
                r#"{{"success":false,"error":"{text} [invalid-params]","errorType":"invalid-params"}}"#
            ),
        ),
        (Version::V8_8 | Version::V8_9, Invalid::Schema(text)) => json(
            400,
            format!(r#"{{"success":false,"errorType":"error-invalid-params","error":"{text}"}}"#),
        ),
    }
}

/// Not logged in, for whatever reason. Restivus delays its answer by a random 500 to 1000 ms, to
/// slow down guessing; here the clock's last digits are random enough.
pub(super) fn unauthorized(version: Version, now_ms: u64) -> Reply {
    const MESSAGE: &str = "You must be logged in to do this.";
    if version == Version::V7_0 {
        let body = format!(r#"{{"status":"error","message":"{MESSAGE}"}}"#);
        return json(401, body).delay(Duration::from_millis(500 + now_ms % 501));
    }
    // 8.x sends the keys of 7.0 beside its own, until 9.0.
    json(
        401,
        format!(
            r#"{{"success":false,"error":"{MESSAGE}","status":"error","message":"{MESSAGE}"}}"#
        ),
    )
}

/// The client sent too much, and should wait. There is no `Retry-After`.
pub(super) fn too_many_requests(wait_ms: u64) -> Reply {
    let seconds = wait_ms.div_ceil(1000);
    action_result(
        429,
        format!(
            r#"{{"success":false,"error":"Error, too many requests. Please slow down. You must wait {seconds} seconds before trying this endpoint again. [error-too-many-requests]"}}"#
        ),
    )
}

/// Adds the limiter's headers. `X-RateLimit-Reset` is in milliseconds since the Unix epoch.
pub(super) fn with_limit(reply: Reply, verdict: &Verdict) -> Reply {
    reply
        .header("X-RateLimit-Limit", verdict.limit.to_string())
        .header("X-RateLimit-Remaining", verdict.remaining.to_string())
        .header("X-RateLimit-Reset", verdict.reset_ms.to_string())
}

/// Restivus knows the path but not the method.
pub(super) fn wrong_method() -> Reply {
    let body = r#"{"status":"error","message":"API endpoint does not exist"}"#;
    json(405, body.to_owned()).header("Allow", "GET")
}

/// Hono knows no such method and path.
pub(super) fn unknown_route() -> Reply {
    text(404, "404 Not Found")
}

/// What Hono's side says to any OPTIONS.
pub(super) fn options() -> Reply {
    text(200, "OK")
}

/// The page of the web app, which takes every path the API does not.
pub(super) fn web_app() -> Reply {
    const PAGE: &str = "<!DOCTYPE html>\n<html>\n<head><title>Rocket.Chat</title></head>\n\
        <body><div id=\"react-root\"></div></body>\n</html>\n";
    Reply::new(200)
        .header("Content-Type", "text/html; charset=utf-8")
        .body(PAGE)
        .chunked()
}

fn action_result(status: u16, body: String) -> Reply {
    json(status, body)
        .header("Cache-Control", "no-store")
        .header("Pragma", "no-cache")
}

fn json(status: u16, body: String) -> Reply {
    Reply::json(status, body).chunked()
}

fn text(status: u16, body: &'static str) -> Reply {
    Reply::new(status)
        .header("Content-Type", "text/plain; charset=UTF-8")
        .body(body)
        .chunked()
}
