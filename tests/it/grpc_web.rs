//! Browsers are served where that is asked for: gRPC-Web over either HTTP, to pages that may.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic_types::StatusExt;

use crate::support::{
    Facade, GET_INFO, SMALLEST,
    authority::Authority,
    process::Server,
    raw::{self, Connection, frame},
    request, sandbox, soon,
    tls::{client, connect},
};
use videoconf_facade::{
    proto::v1::GetInfoResponse,
    sandbox::{Reply, Sandbox, USERS},
};

const PAGE: &str = "https://app.example.org";
const OTHER_PAGE: &str = "https://evil.example";

/// What pages of [`PAGE`] send.
const CALL: [(&str, &str); 4] = [
    ("content-type", "application/grpc-web+proto"),
    ("origin", PAGE),
    ("x-user-id", USERS[0].id),
    ("x-auth-token", USERS[0].token),
];

/// A browser's connection.
struct Browser(http1::SendRequest<Full<Bytes>>);

/// What it heard.
#[derive(Debug)]
struct Heard {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Browser {
    async fn open(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).await.expect("a connection");
        let (requests, connection) = http1::handshake(TokioIo::new(socket))
            .await
            .expect("HTTP/1");
        tokio::spawn(connection);
        Self(requests)
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Heard {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "facade");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).expect("a request");
        soon(self.0.ready()).await.expect("a connection");
        let answer = soon(self.0.send_request(request)).await.expect("an answer");
        let (head, body) = answer.into_parts();
        Heard {
            status: head.status,
            headers: head.headers,
            body: soon(body.collect()).await.expect("a body").to_bytes(),
        }
    }

    async fn call(&mut self, headers: &[(&str, &str)], call_id: &str) -> Heard {
        let body = frame(&request(call_id));
        self.send(Method::POST, GET_INFO, headers, body).await
    }

    /// Asks whether a page of `origin` may make calls.
    async fn ask(&mut self, origin: &str) -> Heard {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            (
                "access-control-request-headers",
                "content-type,x-auth-token",
            ),
        ];
        self.send(Method::OPTIONS, GET_INFO, &headers, Bytes::new())
            .await
    }
}

impl Heard {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|it| it.to_str().expect("text"))
    }

    /// The frames of the body: what kind each is of, and what it has.
    fn frames(&self) -> Vec<(u8, Bytes)> {
        frames(self.body.clone())
    }
}

fn frames(mut body: Bytes) -> Vec<(u8, Bytes)> {
    let mut frames = Vec::new();
    while !body.is_empty() {
        let head = body.split_to(5);
        let length = u32::from_be_bytes(head[1..].try_into().expect("four bytes"));
        frames.push((head[0], body.split_to(length as usize)));
    }
    frames
}

async fn serving_browsers(sandbox: &Sandbox, flags: &[&str]) -> Facade {
    let url = sandbox.url();
    let always = ["--upstream-url", &url, "--upstream-limit", "none"];
    Facade::with(&[&always, flags].concat()).await
}

#[tokio::test]
async fn a_call_is_answered_over_either_http() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let facade = serving_browsers(&sandbox, &["--grpc-web-origin", PAGE]).await;
    let mut browser = Browser::open(facade.address).await;
    let over_http1 = browser.call(&CALL, "x").await;
    assert_eq!(over_http1.status, 200);
    assert_eq!(
        over_http1.header("content-type"),
        Some("application/grpc-web+proto")
    );
    assert_eq!(over_http1.header("access-control-allow-origin"), Some(PAGE));
    let over_http1 = over_http1.frames();

    let mut connection = Connection::open(facade.address).await;
    let answer = connection.get_info("x", &[]).await;
    let mut head = Request::post(format!("http://facade{GET_INFO}"));
    for (name, value) in CALL {
        head = head.header(name, value);
    }
    let over_http2 = connection
        .send_request(head.body(()).unwrap(), frame(&request("x")))
        .await;
    let over_http2 = raw::Answer::read(over_http2).await;
    assert_eq!(over_http2.headers["access-control-allow-origin"], PAGE);

    for frames in [over_http1, frames(over_http2.body)] {
        let [(0, message), (0x80, trailers)] = &frames[..] else {
            panic!("{frames:?}");
        };
        assert_eq!(&trailers[..], b"grpc-status:0\r\n");
        let mut message = GetInfoResponse::decode(message.clone()).unwrap();
        let mut expected = GetInfoResponse::decode(&answer.body[5..]).unwrap();
        // Each is a read of its own.
        message.read_at = None;
        expected.read_at = None;
        assert_eq!(message, expected);
    }
    assert_eq!(sandbox.requests().len(), 3);
}

/// In text mode everything is in base64.
#[tokio::test]
async fn a_call_may_be_text() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let facade = serving_browsers(&sandbox, &["--grpc-web-origin", PAGE]).await;
    let mut browser = Browser::open(facade.address).await;
    let text = "application/grpc-web-text";
    let headers = [&[("content-type", text), ("accept", text)], &CALL[1..]].concat();
    // A request for "x", and `grpc-status:0` in the frame of trailers.
    let body = Bytes::from("AAAAAAMKAXg=");
    let heard = browser.send(Method::POST, GET_INFO, &headers, body).await;
    assert_eq!(
        heard.header("content-type"),
        Some("application/grpc-web-text+proto")
    );
    assert!(heard.body.starts_with(b"AAAAA"), "{:?}", heard.body);
    assert!(
        heard.body.ends_with(b"gAAAAA9ncnBjLXN0YXR1czowDQo="),
        "{:?}",
        heard.body
    );
}

/// A page that is closed in the midst of its question.
#[tokio::test]
async fn who_leaves_has_cancelled() {
    let sandbox = sandbox().await;
    let flags = ["--grpc-web-origin", "*", "--admin-listen", "127.0.0.1:0"];
    let server = Server::before(&sandbox, &flags).await;
    let mut socket = TcpStream::connect(server.address)
        .await
        .expect("a connection");
    let head = format!(
        "POST {GET_INFO} HTTP/1.1\r\nhost: x\r\ncontent-type: application/grpc-web\r\n\
         x-user-id: u\r\nx-auth-token: t\r\ncontent-length: 100\r\n\r\nhalf"
    );
    socket.write_all(head.as_bytes()).await.expect("a head");
    drop(socket);
    let is_it = |line: &serde_json::Value| line["target"] == "access";
    let line = server.process.stderr.find_json(is_it).await;
    assert_eq!(line["code"], "CANCELLED");
}

#[tokio::test]
async fn a_refusal_can_be_read_by_the_page() {
    let sandbox = sandbox().await;
    let facade = serving_browsers(&sandbox, &["--grpc-web-origin", PAGE]).await;
    let mut browser = Browser::open(facade.address).await;
    let heard = browser.call(&CALL[..2], "x").await;
    assert_eq!(heard.status, 200);
    let readable = heard
        .header("access-control-expose-headers")
        .unwrap_or_default();
    for name in [
        "grpc-status",
        "grpc-message",
        "grpc-status-details-bin",
        "x-request-id",
    ] {
        assert!(readable.split(',').any(|it| it == name), "{name}");
        assert!(heard.headers.contains_key(name), "{name}");
    }
    let status = tonic::Status::from_header_map(&heard.headers).expect("a status");
    assert_eq!(status.code(), tonic::Code::Unauthenticated);
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "CREDENTIALS_MISSING");
}

#[tokio::test]
async fn pages_that_may_make_calls_are_told_so() {
    let sandbox = sandbox().await;
    let both = format!("{PAGE},http://localhost:3000");
    for (flag, origin, allowed) in [
        (PAGE, PAGE, Some(PAGE)),
        (PAGE, OTHER_PAGE, None),
        (PAGE, "https://app.example.org:8443", None),
        (PAGE, "null", None),
        (&both, PAGE, Some(PAGE)),
        (
            &both,
            "http://localhost:3000",
            Some("http://localhost:3000"),
        ),
        (&both, OTHER_PAGE, None),
        ("*", OTHER_PAGE, Some("*")),
    ] {
        let facade = serving_browsers(&sandbox, &["--grpc-web-origin", flag]).await;
        let heard = Browser::open(facade.address).await.ask(origin).await;
        let case = format!("{flag} {origin}");
        assert_eq!(heard.status, 200, "{case}");
        assert_eq!(
            heard.header("access-control-allow-origin"),
            allowed,
            "{case}"
        );
        assert_eq!(
            heard.header("access-control-allow-methods"),
            Some("POST"),
            "{case}"
        );
        let headers = heard.header("access-control-allow-headers");
        assert_eq!(headers, Some("content-type,x-auth-token"), "{case}");
        assert_eq!(
            heard.header("access-control-max-age"),
            Some("7200"),
            "{case}"
        );
    }
    assert!(sandbox.requests().is_empty());
}

#[tokio::test]
async fn nothing_else_is_a_call() {
    let sandbox = sandbox().await;
    let facade = serving_browsers(&sandbox, &["--grpc-web-origin", "*"]).await;
    let mut browser = Browser::open(facade.address).await;
    for (method, content_type, status) in [
        (Method::GET, "application/grpc-web", 405),
        (Method::PUT, "application/grpc-web", 405),
        (Method::GET, "text/html", 405),
        (Method::OPTIONS, "text/html", 405),
        (Method::POST, "application/json", 415),
        (Method::POST, "application/grpc-web+json", 415),
        (Method::POST, "application/grpc-web-text; x=y", 415),
        (Method::POST, "application/grpc", 505),
        (Method::POST, "application/grpc+proto", 505),
    ] {
        let case = format!("{method} {content_type}");
        let headers = [&[("content-type", content_type)], &CALL[1..]].concat();
        let body = frame(&request("x"));
        let heard = browser.send(method, GET_INFO, &headers, body).await;
        assert_eq!(heard.status, status, "{case}");
        assert!(!heard.body.is_empty(), "{case}: without a word");
        assert_eq!(heard.headers.contains_key("allow"), status == 405, "{case}");
    }
    assert!(sandbox.requests().is_empty());
}

#[tokio::test]
async fn without_the_flag_there_are_no_browsers() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    let said = raw::said_to(
        facade.address,
        b"OPTIONS / HTTP/1.1\r\norigin: null\r\n\r\n",
    )
    .await;
    assert!(said.starts_with(b"HTTP/1.1 400 "), "{said:?}");

    let mut connection = Connection::open(facade.address).await;
    let headers = [("origin", PAGE), ("access-control-request-method", "POST")];
    let answer = connection
        .send_as(&Method::OPTIONS, GET_INFO, &headers, Bytes::new())
        .await;
    assert_eq!(raw::Answer::read(answer).await.http_status, 405);
}

#[tokio::test]
async fn the_limits_are_those_of_all() {
    let sandbox = sandbox().await;
    let flags = ["--grpc-web-origin", PAGE, "--max-in-flight", "1"];
    let facade = serving_browsers(&sandbox, &flags).await;
    let mut browser = Browser::open(facade.address).await;

    let hurried = [&CALL[..], &[("grpc-timeout", "50m")]].concat();
    sandbox.script(Reply::hang());
    let heard = browser.call(&hurried, "x").await;
    assert_eq!(heard.header("grpc-status"), Some("4"));

    // What is too large isn't read to its end.
    let large = Bytes::from(vec![b'a'; 100_000]);
    let body = frame(&request(std::str::from_utf8(&large).unwrap()));
    let heard = browser.send(Method::POST, GET_INFO, &CALL, body).await;
    assert_eq!(heard.header("grpc-status"), Some("11"));

    sandbox.script(Reply::hang());
    let mut waiting = Browser::open(facade.address).await;
    let waiting = tokio::spawn(async move { waiting.call(&CALL, "x").await });
    soon(sandbox.wait_for_requests(2)).await;
    let heard = Browser::open(facade.address).await.call(&CALL, "x").await;
    assert_eq!(heard.header("grpc-status"), Some("14"));
    assert!(heard.header("grpc-retry-pushback-ms").is_some());
    // The place is free again as soon as whoever has it leaves.
    waiting.abort();
    let _ = waiting.await;
    sandbox.always(Reply::json(200, SMALLEST));
    let mut browser = Browser::open(facade.address).await;
    soon(async { while browser.call(&CALL, "x").await.header("grpc-status") == Some("14") {} })
        .await;
}

#[tokio::test]
async fn a_connection_that_says_too_little_ends() {
    let sandbox = sandbox().await;
    let flags = [
        "--grpc-web-origin",
        PAGE,
        "--handshake-timeout",
        "200ms",
        "--connection-idle-timeout",
        "200ms",
    ];
    let facade = serving_browsers(&sandbox, &flags).await;
    let began = Instant::now();
    for said in ["P", "POST / HTTP/1.1\r\nhost: "] {
        raw::said_to(facade.address, said.as_bytes()).await;
    }
    // Without these flags it would take longer.
    assert!(began.elapsed() < Duration::from_secs(20));
    // A head that doesn't end isn't collected without end either.
    let head = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(20_000));
    let said = raw::said_to(facade.address, head.as_bytes()).await;
    assert!(said.starts_with(b"HTTP/1.1 431 "), "{said:?}");
}

#[tokio::test]
async fn the_end_of_the_server_loses_no_call() {
    let sandbox = sandbox().await;
    let mut facade = serving_browsers(&sandbox, &["--grpc-web-origin", PAGE]).await;
    let mut idle = Browser::open(facade.address).await;
    idle.ask(PAGE).await;
    // Longer than connections without a call have.
    sandbox.script(Reply::json(200, SMALLEST).delay(Duration::from_millis(1500)));
    let mut busy = Browser::open(facade.address).await;
    let busy = tokio::spawn(async move { busy.call(&CALL, "x").await });
    soon(sandbox.wait_for_requests(1)).await;
    facade.begin_shutdown();
    let heard = busy.await.expect("an answer");
    assert_eq!(heard.frames().len(), 2, "{heard:?}");
    soon(facade.ended()).await;
    assert!(idle.0.ready().await.is_err(), "the idle one goes on");
}

#[tokio::test]
async fn browsers_may_speak_http1_over_tls() {
    let sandbox = sandbox().await;
    let authority = Authority::new();
    let (certificate, key) = authority.issue_for("localhost").files();
    for (flags, expected) in [
        (&["--grpc-web-origin", "*"][..], "HTTP/1.1 200 "),
        (&[], "NoApplicationProtocol"),
    ] {
        let tls = ["--tls-cert", &certificate, "--tls-key", &key];
        let server = Server::before(&sandbox, &[&tls, flags].concat()).await;
        let mut config = client(&authority, None);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let heard = match connect(server.address, config).await {
            Ok(mut stream) => {
                let asked = format!(
                    "OPTIONS / HTTP/1.1\r\nhost: facade\r\norigin: {PAGE}\r\n\
                     access-control-request-method: POST\r\nconnection: close\r\n\r\n"
                );
                stream.write_all(asked.as_bytes()).await.expect("a request");
                let mut said = String::new();
                soon(stream.read_to_string(&mut said))
                    .await
                    .expect("an answer");
                said
            }
            Err(error) => error.to_string(),
        };
        assert!(heard.contains(expected), "{flags:?}: {heard}");
    }
}
