//! Which answer a request gets, version by version.

use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::super::conferences::CALLS;
use super::super::users::USERS;
use super::*;

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const NOW: u64 = 1_769_498_326_491;

fn rules(version: Version) -> Rules {
    Rules::new(Options {
        version,
        ..Options::default()
    })
}

fn request(method: Method, target: &str, user: &User) -> Request {
    let mut headers = HeaderMap::new();
    headers.insert("x-user-id", HeaderValue::from_static(user.id));
    headers.insert("x-auth-token", HeaderValue::from_static(user.token));
    Request {
        method,
        target: target.to_owned(),
        headers,
    }
}

fn get(query: &str, user: &User) -> Request {
    request(Method::GET, &format!("{PATH}?{query}"), user)
}

fn text(reply: &Reply) -> (u16, &str) {
    (reply.status, str::from_utf8(&reply.body).unwrap())
}

fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    let header = reply.headers.iter().find(|(known, _)| known == name);
    header.map(|(_, value)| value.as_str())
}

#[test]
fn nobody_gets_in_without_a_matching_pair() {
    let mut missing = get("", &USERS[0]);
    missing.headers.remove("x-user-id");
    let mut empty = get("", &USERS[0]);
    empty
        .headers
        .insert("x-auth-token", HeaderValue::from_static(""));
    let mut foreign = get("", &USERS[0]);
    foreign
        .headers
        .insert("x-user-id", HeaderValue::from_static(USERS[1].id));
    let mut twice = get("", &USERS[0]);
    twice
        .headers
        .append("x-user-id", HeaderValue::from_static(USERS[0].id));
    for request in [missing, empty, foreign, twice] {
        let reply = rules(Version::V8_8).reply_to(&request, PEER, NOW);
        let body = r#"{"success":false,"error":"You must be logged in to do this.","status":"error","message":"You must be logged in to do this."}"#;
        assert_eq!(text(&reply), (401, body));
        assert_eq!(
            (header(&reply, "Cache-Control"), reply.delay),
            (None, Duration::ZERO)
        );
        let reply = rules(Version::V7_0).reply_to(&request, PEER, NOW);
        let body = r#"{"status":"error","message":"You must be logged in to do this."}"#;
        assert_eq!(text(&reply), (401, body));
        assert!((500..=1000).contains(&reply.delay.as_millis()));
    }
}

#[test]
fn a_call_comes_with_the_headers_of_an_action() {
    for version in [Version::V7_0, Version::V8_8, Version::V8_9] {
        let query = format!("callId={}", CALLS[0].id);
        let reply = rules(version).reply_to(&get(&query, &USERS[0]), PEER, NOW);
        assert!(reply.chunked);
        let expected = [
            ("Content-Type", "application/json"),
            ("Cache-Control", "no-store"),
            ("Pragma", "no-cache"),
            ("X-RateLimit-Limit", "15"),
            ("X-RateLimit-Remaining", "14"),
            ("X-RateLimit-Reset", "1769498329491"),
        ];
        for (name, value) in expected {
            assert_eq!(header(&reply, name), Some(value), "{name}");
        }
    }
}

#[test]
fn unknown_and_unreadable_calls_look_alike() {
    let mut rules = rules(Version::V8_8);
    for call_id in ["nope", "", CALLS[5].id] {
        let request = get(&format!("callId={call_id}"), &USERS[1]);
        let reply = rules.reply_to(&request, PEER, NOW);
        assert_eq!(
            text(&reply),
            (400, r#"{"success":false,"error":"invalid-params"}"#)
        );
        assert!(header(&reply, "X-RateLimit-Limit").is_some());
    }
}

#[test]
fn bad_queries_cost_allowance_in_7_0_only() {
    let bad = get("callid=a", &USERS[0]);
    let mut old = rules(Version::V7_0);
    let reply = old.reply_to(&bad, PEER, NOW);
    let body = r#"{"success":false,"error":"must have required property 'callId' [invalid-params]","errorType":"invalid-params"}"#;
    assert_eq!(text(&reply), (400, body));
    assert_eq!(header(&reply, "X-RateLimit-Remaining"), Some("14"));
    let mut new = rules(Version::V8_8);
    let body = r#"{"success":false,"errorType":"error-invalid-params","error":"must have required property 'callId'"}"#;
    for _ in 0..20 {
        let reply = new.reply_to(&bad, PEER, NOW);
        assert_eq!(text(&reply), (400, body));
        assert_eq!(header(&reply, "X-RateLimit-Remaining"), None);
    }
    let too_many = get(&"&callId=a".repeat(501), &USERS[0]);
    let reply = new.reply_to(&too_many, PEER, NOW);
    assert_eq!(
        text(&reply),
        (
            400,
            r#"{"success":false,"error":"Invalid query parameters"}"#
        )
    );
}

#[test]
fn the_sixteenth_is_told_to_wait() {
    let mut rules = rules(Version::V8_9);
    let request = get("callId=a", &USERS[0]);
    for _ in 0..15 {
        assert_eq!(rules.reply_to(&request, PEER, NOW).status, 400);
    }
    let reply = rules.reply_to(&request, PEER, NOW + 999);
    let body = r#"{"success":false,"error":"Error, too many requests. Please slow down. You must wait 3 seconds before trying this endpoint again. [error-too-many-requests]"}"#;
    assert_eq!(text(&reply), (429, body));
    assert_eq!(header(&reply, "X-RateLimit-Remaining"), Some("0"));
    assert_eq!(header(&reply, "X-RateLimit-Reset"), Some("1769498329491"));
    // The address decides, not the user; the bot does not even get the headers.
    assert_eq!(
        rules
            .reply_to(&get("callId=a", &USERS[1]), PEER, NOW)
            .status,
        429
    );
    let reply = rules.reply_to(&get("callId=a", &USERS[2]), PEER, NOW);
    assert_eq!(
        (reply.status, header(&reply, "X-RateLimit-Limit")),
        (400, None)
    );
}

#[test]
fn the_client_is_who_the_headers_say() {
    let cases: &[(&[(&str, &'static str)], &str)] = &[
        (&[], "127.0.0.1"),
        (&[("x-real-ip", "192.0.2.1")], "192.0.2.1"),
        (
            &[("x-real-ip", "192.0.2.1"), ("x-forwarded-for", "a, b ")],
            "b",
        ),
        (&[("x-forwarded-for", "a"), ("x-forwarded-for", "c")], "c"),
        (&[("x-forwarded-for", "")], "127.0.0.1"),
    ];
    for (fields, client) in cases {
        let mut headers = HeaderMap::new();
        for (name, value) in *fields {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        assert_eq!(client_address(&headers, PEER), *client);
    }
}

#[test]
fn other_methods_and_paths() {
    let cases = [
        (Method::POST, PATH, (405, "{"), (404, "404 Not Found")),
        (Method::OPTIONS, PATH, (405, "{"), (200, "OK")),
        (
            Method::GET,
            "/api/v1/video-conference.info/",
            (200, "<"),
            (404, "404 Not Found"),
        ),
        (
            Method::GET,
            "/api/v1/Video-Conference.info",
            (200, "<"),
            (404, "404 Not Found"),
        ),
        (
            Method::GET,
            "/api/v1/no-such",
            (200, "<"),
            (404, "404 Not Found"),
        ),
        (
            Method::GET,
            "//api/v1/video-conference.info",
            (200, "<"),
            (200, "<"),
        ),
        (Method::GET, "/home", (200, "<"), (200, "<")),
        (
            Method::GET,
            "/api/v1/video-conference%2Einfo",
            (200, "<"),
            (400, "{"),
        ),
    ];
    for (method, target, old, new) in cases {
        for (version, (status, start)) in [(Version::V7_0, old), (Version::V8_8, new)] {
            let request = request(method.clone(), target, &USERS[0]);
            let reply = rules(version).reply_to(&request, PEER, NOW);
            assert_eq!(reply.status, status, "{method} {target} {version}");
            assert!(
                text(&reply).1.starts_with(start),
                "{method} {target} {version}"
            );
            let allow = (status == 405).then_some("GET");
            assert_eq!(header(&reply, "Allow"), allow);
        }
    }
}

#[test]
fn head_is_a_get_without_a_limit() {
    let target = format!("{PATH}?callId={}", CALLS[0].id);
    let request = request(Method::HEAD, &target, &USERS[0]);
    let mut rules = rules(Version::V8_8);
    for _ in 0..20 {
        let reply = rules.reply_to(&request, PEER, NOW);
        assert_eq!(
            (reply.status, header(&reply, "X-RateLimit-Limit")),
            (200, None)
        );
    }
}
