//! What callers may send as a message, and how answers are sent.

use bytes::Bytes;
use tonic::{Code, codec::CompressionEncoding};
use videoconf_facade::sandbox::{Reply, USERS};

use crate::support::{
    Facade, GET_INFO, SMALLEST, as_user,
    raw::{Answer, Connection, frame},
    request, sandbox,
};

#[tokio::test]
async fn compressed_requests_are_understood_and_answers_are_not_compressed() {
    let sandbox = sandbox().await;
    let large = format!(
        r#"{{"_id":"x","success":true,"title":"{}"}}"#,
        "a".repeat(9999)
    );
    sandbox.always(Reply::json(200, large));
    let facade = Facade::before(&sandbox).await;
    let mut client = facade
        .client()
        .send_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Gzip);
    let answer = client.get_info(as_user(request("x"))).await.expect("OK");
    assert!(!answer.metadata().contains_key("grpc-encoding"));
}

#[tokio::test]
async fn a_large_request_is_refused() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    let status = facade.get(&"x".repeat(65 * 1024)).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
    assert!(sandbox.requests().is_empty());
}

#[tokio::test]
async fn a_second_message_is_refused() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let facade = Facade::before(&sandbox).await;
    let mut connection = Connection::open(facade.address).await;
    let user = [("x-user-id", USERS[0].id), ("x-auth-token", USERS[0].token)];
    let one = frame(&request("x"));
    for (second, status) in [(&b""[..], "0"), (&one, "12"), (b"\0\0\0\0\0", "12")] {
        let body = [&one, second].concat();
        let answer = connection.send(GET_INFO, &user, body.into()).await;
        let answer = Answer::read(answer).await;
        assert_eq!(answer.grpc_status(), status, "{second:?}");
    }
    assert_eq!(sandbox.requests().len(), 1);
}

/// What somebody sends may be long; what is said of it isn't, or clients lose their connection.
#[tokio::test]
async fn what_a_library_quotes_is_cut() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    let mut connection = Connection::open(facade.address).await;
    let long = "x".repeat(12 << 10);
    let answer = connection.get_info("x", &[("grpc-encoding", &long)]).await;
    assert_eq!(answer.grpc_status(), "12");
    let message = answer.headers["grpc-message"].as_bytes();
    assert!(message.len() < 2 << 10, "{}", message.len());
}

/// Whatever bytes a caller sends, it gets a status, and the next one is served.
#[tokio::test]
async fn what_is_no_message_gets_a_status() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let facade = Facade::before(&sandbox).await;
    let mut connection = Connection::open(facade.address).await;
    let user = [("x-user-id", USERS[0].id), ("x-auth-token", USERS[0].token)];
    for body in [
        &b""[..],
        b"\0",
        b"\0\0\0\0\x05ab",
        b"\0\0\0\0\x02\xff\xff",
        b"\0\0\0\0\x03\x0a\x01\xff",
        b"\x01\0\0\0\x01a",
        b"\x07\0\0\0\x01a",
        b"\0\xff\xff\xff\xff",
    ] {
        let answer = connection.send(GET_INFO, &user, Bytes::from_static(body));
        let answer = Answer::read(answer.await).await;
        assert_ne!(answer.grpc_status(), "0", "{body:?}");
    }
    assert!(sandbox.requests().is_empty());
    let answer = connection.get_info("x", &[]).await;
    assert_eq!(answer.grpc_status(), "0");
    assert!(!answer.body.is_empty());
}
