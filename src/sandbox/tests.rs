//! The stand-in over a bare socket: every kind of reply, and what is noticed of the client.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

async fn start() -> Sandbox {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Sandbox::start(listen, Options::default()).await.unwrap()
}

fn request(call_id: &str) -> String {
    let User { id, token, .. } = USERS[0];
    format!(
        "GET /api/v1/video-conference.info?callId={call_id} HTTP/1.1\r\nHost: sandbox\r\n\
         X-User-Id: {id}\r\nX-Auth-Token: {token}\r\n\r\n"
    )
}

async fn send(sandbox: &Sandbox, request: &str) -> TcpStream {
    let mut client = TcpStream::connect(sandbox.address()).await.unwrap();
    client.write_all(request.as_bytes()).await.unwrap();
    client
}

/// Reads until what has come ends with `end`.
async fn read_until(client: &mut TcpStream, end: &str) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(end.as_bytes()) {
        answer.push(client.read_u8().await.unwrap());
    }
    String::from_utf8(answer).unwrap()
}

async fn read_to_end(client: &mut TcpStream) -> String {
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    answer
}

/// The answer of a sandbox that plays `reply`, up to the end of the connection.
async fn whole_answer(reply: Reply) -> String {
    let sandbox = start().await;
    sandbox.script(reply);
    let mut client = send(&sandbox, &request("a")).await;
    read_to_end(&mut client).await
}

#[tokio::test]
async fn answers_by_the_rules_and_keeps_the_connection() {
    let sandbox = start().await;
    let mut client = send(&sandbox, &request(CALLS[0].id)).await;
    let answer = read_until(&mut client, "0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(answer.contains("\r\nTransfer-Encoding: chunked\r\n"));
    assert!(answer.contains("\r\nDate: ") && !answer.contains("Content-Length"));
    assert!(answer.contains("\r\n\r\n283\r\n{\"_id\":\"697866d5c8b053302078137a\""));
    client.write_all(request("b").as_bytes()).await.unwrap();
    let answer = read_until(&mut client, "0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"));
    let windows = sandbox.windows();
    assert_eq!(windows.iter().map(|it| it.accepted).sum::<u64>(), 2);
    assert_eq!(sandbox.connections(), 1);
    let requests = sandbox.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].target, "/api/v1/video-conference.info?callId=b");
    assert_eq!(requests[1].header("X-USER-ID"), Some(USERS[0].id));
    let debug = format!("{requests:?}");
    assert!(debug.contains(USERS[0].id) && !debug.contains(USERS[0].token));
}

#[tokio::test]
async fn the_401_of_7_0_is_late() {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let options = Options {
        version: Version::V7_0,
        rate_limit: false,
        ..Options::default()
    };
    let sandbox = Sandbox::start(listen, options).await.unwrap();
    let asked = std::time::Instant::now();
    let target = "GET /api/v1/video-conference.info HTTP/1.1\r\nConnection: close\r\n\r\n";
    let mut client = send(&sandbox, target).await;
    let answer = read_to_end(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 401 Unauthorized\r\n"));
    assert!(answer.contains("\r\nConnection: close\r\n"));
    assert!(asked.elapsed() >= Duration::from_millis(500));
}

#[tokio::test]
async fn scripted_replies_come_first_and_in_order() {
    let sandbox = start().await;
    sandbox.always(Reply::new(503));
    sandbox.script(Reply::json(200, "{}").header("X-Extra", "1"));
    sandbox.script(Reply::new(502));
    let mut client = send(&sandbox, &request("a").repeat(4)).await;
    let mut status = Vec::new();
    for end in ["{}", "\r\n\r\n", "\r\n\r\n", "\r\n\r\n"] {
        let answer = read_until(&mut client, end).await;
        status.push(answer[9..12].to_owned());
    }
    assert_eq!(status, ["200", "502", "503", "503"]);
}

#[tokio::test]
async fn close_and_raw() {
    assert_eq!(whole_answer(Reply::close()).await, "");
    assert_eq!(
        whole_answer(Reply::raw("SSH-2.0-x\r\n")).await,
        "SSH-2.0-x\r\n"
    );
}

#[tokio::test]
async fn cut_after() {
    let answer = whole_answer(Reply::json(200, "{\"a\":1}").cut_after(3)).await;
    assert!(answer.contains("\r\nContent-Length: 7\r\n"));
    assert!(answer.ends_with("\r\n\r\n{\"a"));
    let answer = whole_answer(Reply::new(200).body("abc").chunked().cut_after(2)).await;
    assert!(answer.ends_with("\r\n\r\n2\r\nab\r\n"));
}

#[tokio::test]
async fn hang_and_then_hang_last_until_the_client_leaves() {
    let sandbox = start().await;
    sandbox.script(Reply::hang());
    sandbox.script(Reply::json(200, "{}").then_hang(1));
    let silent = send(&sandbox, &request("a")).await;
    assert_eq!(sandbox.wait_for_requests(1).await.len(), 1);
    let mut partial = send(&sandbox, &request("b")).await;
    assert!(
        read_until(&mut partial, "{")
            .await
            .contains("\r\nContent-Length: 2\r\n")
    );
    drop(silent);
    sandbox.wait_for_dropped(1).await;
    drop(partial);
    sandbox.wait_for_dropped(2).await;
    assert_eq!(sandbox.connections(), 2);
}

#[tokio::test]
async fn a_delayed_answer_can_be_abandoned() {
    let sandbox = start().await;
    sandbox.script(Reply::new(200).delay(Duration::from_hours(1)));
    let client = send(&sandbox, &request("a")).await;
    sandbox.wait_for_requests(1).await;
    drop(client);
    sandbox.wait_for_dropped(1).await;
}

#[tokio::test]
async fn then_close_leaves_the_next_request_unanswered() {
    let sandbox = start().await;
    sandbox.script(Reply::json(200, "{}").then_close());
    sandbox.script(Reply::json(200, "{\"retried\":1}"));
    let mut client = send(&sandbox, &request("a")).await;
    let answer = read_until(&mut client, "{}").await;
    assert!(!answer.contains("Connection:"));
    client.write_all(request("b").as_bytes()).await.unwrap();
    assert_eq!(read_to_end(&mut client).await, "");
    let mut client = send(&sandbox, &request("b")).await;
    read_until(&mut client, "{\"retried\":1}").await;
    assert_eq!(sandbox.requests().len(), 3);
}

#[tokio::test]
async fn a_body_in_the_request_is_skipped() {
    let sandbox = start().await;
    sandbox.always(Reply::json(200, "{}"));
    let with_body = "GET / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
    let mut client = send(&sandbox, &with_body.repeat(2)).await;
    read_until(&mut client, "{}").await;
    read_until(&mut client, "{}").await;
}

#[tokio::test]
async fn node_refuses_what_it_cannot_read() {
    let sandbox = start().await;
    // Node counts 16 bytes beside the filler: the slash, and the header's name and value.
    let head = |filler: usize| {
        let filler = "a".repeat(filler);
        format!("GET /{filler} HTTP/1.1\r\nConnection: close\r\n\r\n")
    };
    let cases = [
        (head(16_383 - 16), "HTTP/1.1 200 "),
        (head(16_384 - 16), "HTTP/1.1 431 "),
        (head(100_000), "HTTP/1.1 431 "),
        ("nonsense\r\n\r\n".to_owned(), "HTTP/1.1 400 "),
    ];
    for (request, start) in cases {
        let mut client = send(&sandbox, &request).await;
        assert!(read_to_end(&mut client).await.starts_with(start));
    }
    assert_eq!(sandbox.requests().len(), 1);
}

#[tokio::test]
async fn dropping_the_last_clone_stops_the_server() {
    let sandbox = start().await;
    let clone = sandbox.clone();
    let address = sandbox.address();
    let mut client = send(&sandbox, "").await;
    drop(sandbox);
    client.write_all(request("a").as_bytes()).await.unwrap();
    clone.wait_for_requests(1).await;
    drop(clone);
    read_until(&mut client, "\r\n\r\n").await;
    while client.read_u8().await.is_ok() {}
    assert!(TcpStream::connect(address).await.is_err());
}
