//! How a connection begins and ends: what isn't HTTP/2, and how long one may take, rest and last.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::Request;
use rustix::process::Signal;
use tokio::net::TcpStream;
use tonic::transport::Channel;
use videoconf_facade::sandbox::{Reply, USERS};

use crate::support::{
    Facade, GET_INFO, SMALLEST, as_user,
    process::{Server, json_lines},
    raw::{Answer, frame, said_to},
    request, sandbox, soon,
};

#[tokio::test]
async fn who_speaks_something_else_is_told_so_and_logged() {
    let sandbox = sandbox().await;
    for (message, spoken, answer) in [
        (
            &b"GET / HTTP/1.1\r\nhost: facade\r\n\r\n"[..],
            "HTTP/1",
            "HTTP/1.1 400 Bad Request\r\n",
        ),
        (b"POST /x HTTP/1.0\r\n\r\n", "HTTP/1", "HTTP/1.1 400 "),
        (&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00], "TLS", ""),
        (
            b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n",
            "the PROXY protocol",
            "",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "something unknown", ""),
    ] {
        let server = Server::before(&sandbox, &[]).await;
        let said = String::from_utf8(said_to(server.address, message).await).unwrap();
        assert!(said.starts_with(answer), "{spoken}: {said}");
        assert_eq!(said.is_empty(), answer.is_empty(), "{spoken}: {said}");
        let line = server
            .process
            .stderr
            .find_json(|line| line["spoken"] == spoken);
        let line = line.await;
        assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
        assert_eq!(line["level"], "WARN");
        // Others are served as before.
        sandbox.script(Reply::json(200, SMALLEST));
        server.get("x").await.expect("an answer");
    }
}

#[tokio::test]
async fn strangers_cannot_fill_the_log() {
    let sandbox = sandbox().await;
    let server = Server::before(&sandbox, &[]).await;
    for _ in 0..50 {
        said_to(server.address, b"SSH-2.0-x\r\n").await;
    }
    let log = server.end().await.stderr;
    let lines = json_lines(&log);
    let lines = lines.iter().filter(|line| line.get("spoken").is_some());
    // As many as there were seconds.
    assert!((1..10).contains(&lines.count()), "{log}");
}

/// As probes do that only connect.
#[tokio::test]
async fn who_says_nothing_or_too_little_is_left_soon_and_in_silence() {
    let sandbox = sandbox().await;
    let server = Server::before(&sandbox, &["--handshake-timeout", "200ms"]).await;
    for message in ["", "P", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r"] {
        let said = said_to(server.address, message.as_bytes()).await;
        assert!(said.is_empty(), "{message}");
    }
    drop(TcpStream::connect(server.address).await.unwrap());
    let ended = server.end().await;
    let lines = json_lines(&ended.stderr);
    let messages: Vec<_> = lines.iter().map(|line| &line["message"]).collect();
    assert_eq!(messages, ["serving", "draining", "ended"]);
}

/// A connection of HTTP/2 as its client sees it.
struct Client {
    requests: h2::client::SendRequest<Bytes>,
    ended: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

impl Client {
    async fn open(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        let (requests, connection) = h2::client::handshake(socket).await.unwrap();
        let ended = tokio::spawn(connection);
        Self { requests, ended }
    }

    /// Asks for a conference, unless the connection is at its end; the answer comes later.
    async fn ask(&mut self) -> Option<h2::client::ResponseFuture> {
        let head = Request::post(format!("http://facade{GET_INFO}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("x-user-id", USERS[0].id)
            .header("x-auth-token", USERS[0].token);
        let mut requests = self.requests.clone().ready().await.ok()?;
        let head = head.body(()).unwrap();
        let (answer, mut body) = requests.send_request(head, false).ok()?;
        body.send_data(frame(&request("x")), true).ok()?;
        Some(answer)
    }
}

#[tokio::test]
async fn a_connection_without_a_call_is_ended() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let flags = [
        "--upstream-url",
        &sandbox.url(),
        "--connection-idle-timeout",
        "200ms",
    ];
    let facade = Facade::with(&flags).await;
    let client = Client::open(facade.address).await;
    let ended = soon(client.ended).await.unwrap();
    assert!(ended.is_ok(), "GOAWAY without an error: {ended:?}");
}

#[tokio::test]
async fn a_call_keeps_its_connection_from_being_idle_and_from_ending_with_its_age() {
    let sandbox = sandbox().await;
    for flag in ["--connection-idle-timeout", "--connection-max-age"] {
        let late = Reply::json(200, SMALLEST).delay(Duration::from_secs(1));
        sandbox.script(late);
        let facade = Facade::with(&["--upstream-url", &sandbox.url(), flag, "200ms"]).await;
        let mut client = Client::open(facade.address).await;
        let answer = client.ask().await.expect("a connection");
        let answer = Answer::read(answer).await;
        assert_eq!(answer.grpc_status(), "0", "{flag}");
        drop(client.requests);
        let ended = soon(client.ended).await.unwrap();
        assert!(ended.is_ok(), "{flag}: {ended:?}");
    }
}

/// What the client sent before it heard of the end is either answered, or was never looked at.
#[tokio::test]
async fn an_age_limit_loses_no_call() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let url = sandbox.url();
    let flags = [
        "--upstream-url",
        &url,
        "--upstream-limit",
        "none",
        "--connection-max-age",
        "100ms",
    ];
    let facade = Facade::with(&flags).await;
    let mut client = Client::open(facade.address).await;
    let mut answered = 0;
    while let Some(answer) = client.ask().await {
        match answer.await {
            Ok(answer) => {
                assert_eq!(answer.status(), 200);
                answered += 1;
            }
            Err(error) => {
                assert!(error.is_go_away(), "{error}");
                break;
            }
        }
    }
    drop(client.requests);
    soon(client.ended).await.unwrap().expect("no error");
    assert!(answered > 0);
    assert_eq!(sandbox.requests().len(), answered);
}

#[tokio::test]
async fn there_are_no_more_connections_than_allowed_and_the_others_wait() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let server = Server::before(&sandbox, &["--max-connections", "2"]).await;
    let channel = || -> Channel { server.channel() };
    let first = Client::open(server.address).await;
    let _second = Client::open(server.address).await;
    let waiting = tokio::spawn({
        let channel = channel();
        async move {
            let mut client =
                videoconf_facade::proto::v1::video_conference_service_client::VideoConferenceServiceClient::new(channel);
            client.get_info(as_user(request("x"))).await
        }
    });
    server
        .process
        .stderr
        .message("as many connections as --max-connections: others wait")
        .await;
    assert!(!waiting.is_finished());
    drop(first);
    soon(waiting).await.unwrap().expect("an answer");
    server.process.signal(Signal::TERM);
    let log = server.process.ended().await.stderr;
    let full = json_lines(&log);
    let full = full.iter().filter(|line| line["level"] == "WARN");
    assert_eq!(full.count(), 1, "{log}");
}
