//! The access log: one line for every call, whatever becomes of it, and how lines look.

use std::{net::SocketAddr, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream;
use serde_json::{Value, json};
use tonic::Code;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest,
};
use videoconf_facade::{
    error::status::code_name,
    proto::health::{HealthCheckRequest, health_client::HealthClient},
    sandbox::{Reply, USERS},
};

use crate::support::{
    GET_INFO, SMALLEST, as_user,
    process::{Server, json_lines, serve},
    raw::{Answer, Connection, frame},
    request, sandbox,
};

const USER: [(&str, &str); 2] = [("x-user-id", USERS[0].id), ("x-auth-token", USERS[0].token)];

/// A call, and what its line must say beside times and addresses.
#[derive(Clone)]
struct Case {
    path: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    message: Bytes,
    replies: Vec<Reply>,
    line: Value,
}

/// A call that upstream answers with `replies`.
fn asked<const N: usize>(replies: [Reply; N], line: Value) -> Case {
    Case {
        path: GET_INFO,
        headers: USER.to_vec(),
        message: frame(&request("x")),
        replies: replies.into(),
        line,
    }
}

/// A call of a method that doesn't exist.
fn unknown(path: &'static str) -> Case {
    let logged: String = path.chars().take(128).collect();
    refused(json!({"code": "UNIMPLEMENTED", "method": "other", "path": logged})).path(path)
}

/// A call that upstream never hears of.
fn refused(line: Value) -> Case {
    asked([], line)
}

impl Case {
    fn path(mut self, path: &'static str) -> Self {
        self.path = path;
        self
    }

    fn headers(mut self, headers: &[(&'static str, &'static str)]) -> Self {
        self.headers = headers.to_vec();
        self
    }

    fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    fn message(mut self, message: impl Into<Bytes>) -> Self {
        self.message = message.into();
        self
    }
}

fn json(status: u16, body: &'static str) -> Reply {
    Reply::json(status, body)
}

/// Calls that cost a read.
fn read() -> Vec<Case> {
    vec![
        asked(
            [json(200, SMALLEST)],
            json!({"code": "OK", "source": "own read", "upstream_ms": 0, "upstream_status": 200}),
        ),
        asked(
            [json(400, r#"{"success":false,"error":"invalid-params"}"#)],
            json!({"code": "INVALID_ARGUMENT", "reason": "CALL_NOT_FOUND_OR_NOT_VISIBLE",
                "upstream_ms": 0, "upstream_status": 400}),
        ),
        asked(
            [json(401, "{}")],
            json!({"code": "UNAUTHENTICATED", "reason": "CREDENTIALS_REJECTED",
                "upstream_ms": 0, "upstream_status": 401}),
        ),
        asked(
            [json(429, "{}")],
            json!({"code": "RESOURCE_EXHAUSTED", "reason": "UPSTREAM_RATE_LIMITED", "retry_ms": 3000,
                "upstream_ms": 0, "upstream_status": 429}),
        ),
        asked(
            [json(200, "[]")],
            json!({"code": "INTERNAL", "reason": "UPSTREAM_MALFORMED",
                "problem": "not a JSON object", "upstream_ms": 0, "upstream_status": 200}),
        ),
        asked(
            [json(503, ""), json(504, "")],
            json!({"code": "UNAVAILABLE", "reason": "UPSTREAM_UNAVAILABLE", "retry_ms": 1000,
                "problem": "status of passing trouble",
                "upstream_ms": 0, "upstream_status": 504, "upstream_attempts": 2}),
        ),
        asked(
            [Reply::raw("SSH-2.0-OpenSSH\r\n\r\n")],
            json!({"code": "UNAVAILABLE", "reason": "UPSTREAM_UNAVAILABLE", "retry_ms": 1000,
                "problem": "answer is not HTTP that can be read", "upstream_ms": 0}),
        ),
        asked(
            [Reply::close(), json(200, SMALLEST)],
            json!({"code": "OK", "source": "own read", "upstream_ms": 0, "upstream_status": 200,
                "upstream_attempts": 2}),
        ),
        asked(
            [Reply::close(), Reply::close()],
            json!({"code": "UNAVAILABLE", "reason": "UPSTREAM_UNAVAILABLE", "retry_ms": 1000,
                "problem": "connection closed before an answer",
                "upstream_ms": 0, "upstream_attempts": 2}),
        ),
        asked(
            [json(200, SMALLEST).delay(Duration::from_millis(150))],
            json!({"code": "OK", "source": "own read", "upstream_ms": 150, "upstream_status": 200}),
        ),
        asked(
            [Reply::hang()],
            json!({"code": "DEADLINE_EXCEEDED", "reason": "DEADLINE_EXCEEDED",
                "upstream_ms": 50}),
        )
        .header("grpc-timeout", "150m"),
        // A slow body isn't a slow head.
        asked(
            [json(200, SMALLEST).then_hang(9)],
            json!({"code": "DEADLINE_EXCEEDED", "reason": "DEADLINE_EXCEEDED",
                "upstream_ms": 50, "upstream_status": 200}),
        )
        .header("grpc-timeout", "150m"),
        asked(
            [json(200, SMALLEST).cut_after(9)],
            json!({"code": "UNAVAILABLE", "reason": "UPSTREAM_UNAVAILABLE", "retry_ms": 1000,
                "problem": "answer cut off", "upstream_ms": 0, "upstream_status": 200}),
        ),
        asked(
            [Reply::raw(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nno number\r\n",
            )],
            json!({"code": "UNAVAILABLE", "reason": "UPSTREAM_UNAVAILABLE", "retry_ms": 1000,
                "problem": "answer cut off", "upstream_ms": 0, "upstream_status": 200}),
        ),
    ]
}

/// Calls that cost none.
fn unread() -> Vec<Case> {
    let mut oversize = BytesMut::new();
    oversize.put_u8(0);
    oversize.put_u32(1 << 20);
    vec![
        refused(
            json!({"code": "UNAUTHENTICATED", "reason": "CREDENTIALS_MISSING",
            "problem": "absent or empty"}),
        )
        .headers(&[]),
        refused(
            json!({"code": "UNAUTHENTICATED", "reason": "CREDENTIALS_MALFORMED",
            "problem": "there more than once"}),
        )
        .header(USER[1].0, USER[1].1),
        refused(json!({"code": "INVALID_ARGUMENT", "reason": "INVALID_CALL_ID"}))
            .message(frame(&request(""))),
        // What the framework refuses before our code is asked.
        refused(json!({"code": "OUT_OF_RANGE"})).message(oversize),
        refused(json!({"code": "INTERNAL"})).message(&b"\0\0\0\0\x01\xff"[..]),
        refused(json!({"code": "UNIMPLEMENTED"})).header("grpc-encoding", "snappy"),
        unknown("/rocketchat.videoconference.v1.VideoConferenceService/Nothing"),
        unknown("/no.such.Service/Nothing"),
        unknown("/"),
        unknown(
            "/0123456789012345678901234567890123456789/0123456789012345678901234567890123456789\
             /0123456789012345678901234567890123456789/0123456789012345678901234567890123456789",
        ),
        refused(json!({"code": "NOT_FOUND"}))
            .path("/grpc.health.v1.Health/Check")
            .message(frame(&HealthCheckRequest {
                service: "no.such.Service".to_owned(),
            })),
    ]
}

/// Takes what differs from run to run out of `line`: the time, who asked, and how long it took,
/// which must be at least what is `expected`.
#[track_caller]
fn without_measures(mut line: Value, expected: &Value) -> (Value, SocketAddr) {
    let whole = line.to_string();
    let members = line.as_object_mut().expect("an object");
    members.remove("timestamp").expect("a time");
    let peer = members.remove("peer").expect("a peer");
    let peer = peer.as_str().and_then(|peer| peer.parse().ok());
    let ms = members.remove("ms").and_then(|ms| ms.as_f64());
    let ms = ms.expect("a time in ms");
    for measure in ["age_ms", "turn_ms"] {
        let measure = members.remove(measure);
        let is_time = |it: &Value| it.as_f64().is_some_and(|it| 0.0 <= it && it <= ms);
        assert!(measure.as_ref().is_none_or(is_time), "{whole}");
    }
    if let Some(upstream_ms) = members.get_mut("upstream_ms") {
        let taken = upstream_ms.as_f64().expect("a number");
        let least = expected["upstream_ms"].as_f64().unwrap_or(f64::INFINITY);
        assert!(0.0 < taken && least <= taken && taken <= ms, "{whole}");
        *upstream_ms = expected["upstream_ms"].clone();
    }
    (line, peer.expect("an address"))
}

/// The hash of the credentials in a line, which is then without it.
fn without_credential(line: &mut Value) -> Option<String> {
    let credential = line
        .as_object_mut()
        .expect("an object")
        .remove("credential");
    let hash = credential?.as_str().expect("text").to_owned();
    let is_digit = |byte: u8| byte.is_ascii_hexdigit();
    assert!(hash.len() == 8 && hash.bytes().all(is_digit), "{hash}");
    Some(hash)
}

#[tokio::test]
async fn every_call_has_one_line() {
    let sandbox = sandbox().await;
    let server = Server::before(&sandbox, &["--upstream-limit", "none"]).await;
    let mut connection = Connection::open(server.address).await;
    let cases = [read(), unread()].concat();
    let number_of_cases = cases.len();
    for (number, case) in cases.into_iter().enumerate() {
        for reply in case.replies {
            sandbox.script(reply);
        }
        let id = format!("case-{number}");
        let mut expected = case.line;
        expected["level"] = json!("INFO");
        expected["target"] = json!("access");
        if expected["method"].is_null() {
            expected["method"] = json!(case.path);
        }
        expected["request_id"] = json!(id);

        let mut headers = case.headers;
        headers.push(("x-request-id", &id));
        let answer = connection.send(case.path, &headers, case.message).await;
        let answer = Answer::read(answer).await;
        assert_eq!(answer.headers["x-request-id"], id);
        let line = server
            .process
            .stderr
            .find_json(|line| line["request_id"] == *id);
        let (mut line, peer) = without_measures(line.await, &expected);
        // Who it was is known of calls that got so far as to be asked.
        let was_asked = !expected["upstream_ms"].is_null();
        assert_eq!(without_credential(&mut line).is_some(), was_asked, "{line}");
        assert_eq!(line, expected);
        let code = code_name(Code::from_bytes(answer.grpc_status().as_bytes()));
        assert_eq!(line["code"], code, "the caller was told the same");
        assert_eq!(peer, connection.local);
    }

    let lines = json_lines(&server.end().await.stderr);
    let access = lines.iter().filter(|line| line["target"] == "access");
    assert_eq!(access.count(), number_of_cases);
}

#[tokio::test]
async fn a_call_that_its_caller_cancels_has_its_line() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::hang());
    let server = Server::before(&sandbox, &[]).await;
    let mut client = server.client();
    tokio::select! {
        answer = client.get_info(as_user(request("x"))) => panic!("{answer:?}"),
        _ = sandbox.wait_for_requests(1) => {}
    }
    let expected = json!({"level": "INFO", "target": "access", "method": GET_INFO,
        "code": "CANCELLED", "upstream_ms": 0});
    let line = server
        .process
        .stderr
        .find_json(|line| line["target"] == "access");
    let (mut line, _) = without_measures(line.await, &expected);
    // One was made, since the caller brought none.
    let id = line["request_id"].take();
    let id = id.as_str().expect("an id");
    assert!(
        id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{id}"
    );
    line.as_object_mut()
        .expect("an object")
        .remove("request_id");
    without_credential(&mut line).expect("it was asked");
    assert_eq!(line, expected);

    let lines = json_lines(&server.end().await.stderr);
    let access = lines.iter().filter(|line| line["target"] == "access");
    assert_eq!(access.count(), 1);
}

/// What a load balancer asks for: a method that doesn't exist.
const LOAD_BALANCER: &str = "/AWS.ALB/healthcheck";

/// Health checks and reflection, as probes and a tool make them.
async fn probe(server: &Server) {
    let mut health = HealthClient::new(server.channel());
    let check = HealthCheckRequest::default();
    health.check(check).await.expect("a status");
    let message = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    let mut reflection = ServerReflectionClient::new(server.channel());
    let messages = stream::iter([message]);
    let answers = reflection.server_reflection_info(messages).await;
    let mut answers = answers.expect("answers").into_inner();
    while answers.message().await.expect("no refusal").is_some() {}
    let mut connection = Connection::open(server.address).await;
    let answer = connection.send(LOAD_BALANCER, &[], Bytes::new()).await;
    assert_eq!(Answer::read(answer).await.grpc_status(), "12");
}

#[tokio::test]
async fn probes_and_tools_are_logged_for_those_who_ask() {
    let sandbox = sandbox().await;
    let check = "/grpc.health.v1.Health/Check";
    let reflect = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    for (filter, expected) in [
        ("info", vec![]),
        (
            "info,access=debug",
            vec![
                ("DEBUG", check, "OK"),
                ("DEBUG", reflect, "OK"),
                ("DEBUG", "other", "UNIMPLEMENTED"),
            ],
        ),
    ] {
        let mut command = serve(&["--upstream-url", &sandbox.url()]);
        let server = Server::start(command.env("RUST_LOG", filter)).await;
        probe(&server).await;
        let lines = json_lines(&server.end().await.stderr);
        let access = lines.iter().filter(|line| line["target"] == "access");
        let seen: Vec<_> = access
            .map(|line| {
                assert_eq!(line.get("upstream_ms"), None, "{line}");
                ["level", "method", "code"].map(|key| line[key].as_str().expect("text"))
            })
            .map(|[level, method, code]| (level, method, code))
            .collect();
        assert_eq!(seen, expected, "{filter}");
    }
}

#[tokio::test]
async fn lines_have_the_format_that_is_asked_for() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    for (flags, is_json) in [
        (&[][..], true),
        (&["--log-format", "auto"], true),
        (&["--log-format", "json"], true),
        (&["--log-format", "human"], false),
    ] {
        let server = Server::before(&sandbox, flags).await;
        let answer = server.client().get_info(as_user(request("x"))).await;
        answer.expect("a conference");
        let log = server.end().await.stderr;
        let lines: Vec<_> = log.lines().collect();
        assert_eq!(lines.len(), 4, "serving, access, draining, ended: {log}");
        for line in lines {
            let json = serde_json::from_str::<Value>(line);
            assert_eq!(json.is_ok(), is_json, "{flags:?}: {line}");
        }
        // Nobody could see colours in a pipe.
        assert!(!log.contains('\u{1b}'), "{flags:?}: {log}");
        assert!(log.contains(GET_INFO), "{flags:?}: {log}");
    }
}

/// The flag wins over the variable, and both choose by target.
#[tokio::test]
async fn lines_are_chosen_by_a_filter() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let (own, access, both) = (
        "off,videoconf_facade=info",
        "off,access=info,videoconf_facade=info",
        "info",
    );
    for (variable, flag, has_access) in [
        (None, None, true),
        (Some(both), None, true),
        (Some(own), None, false),
        (Some(access), None, true),
        (None, Some(own), false),
        (None, Some(access), true),
        (Some(own), Some(access), true),
        (Some(both), Some(own), false),
    ] {
        let mut command = serve(&["--upstream-url", &sandbox.url()]);
        command.envs(variable.map(|filter| ("RUST_LOG", filter)));
        command.args(flag.map(|filter| ["--log-filter", filter]).iter().flatten());
        let server = Server::start(&mut command).await;
        let answer = server.client().get_info(as_user(request("x"))).await;
        answer.expect("a conference");
        let lines = json_lines(&server.end().await.stderr);
        let access = lines.iter().filter(|line| line["target"] == "access");
        let case = format!("{variable:?} {flag:?}");
        assert_eq!(access.count(), usize::from(has_access), "{case}");
    }
}
