//! `grpc-timeout` and the server's ceiling, as HTTP/2 shows them: a stock client would end the call
//! by itself and hide what the server said.

use tokio::net::TcpStream;
use videoconf_facade::sandbox::{Reply, USERS};

use crate::support::{
    Facade, GET_INFO, SMALLEST,
    raw::{Answer, Connection, frame},
    request, sandbox, soon,
};

const DEADLINE_EXCEEDED: &str = "4";

/// `limit` of the ErrorInfo's metadata is somewhere in the details.
#[track_caller]
fn assert_exceeded(answer: &Answer, limit: &str) {
    assert_eq!(answer.http_status, 200);
    assert_eq!(answer.grpc_status(), DEADLINE_EXCEEDED, "{answer:?}");
    assert!(
        answer.trailers.is_none(),
        "trailers only, so that it can be retried"
    );
    let status = tonic::Status::from_header_map(&answer.headers).expect("a status");
    let details = tonic_types::StatusExt::get_error_details(&status);
    let info = details.error_info().expect("an ErrorInfo");
    assert_eq!(info.reason, "DEADLINE_EXCEEDED");
    assert_eq!(info.metadata["limit"], limit);
}

#[tokio::test]
async fn the_callers_deadline_ends_the_call() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::hang());
    let facade = Facade::before(&sandbox).await;
    let mut connection = Connection::open(facade.address).await;
    for timeout in ["50m", "50000u", "1m", "40000000n"] {
        let answer = connection.get_info("x", &[("grpc-timeout", timeout)]).await;
        assert_exceeded(&answer, "caller");
    }
}

#[tokio::test]
async fn no_time_at_all_is_exceeded_too() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::hang());
    let facade = Facade::before(&sandbox).await;
    let mut connection = Connection::open(facade.address).await;
    for _ in 0..100 {
        for timeout in ["0n", "0S", "1n", "100n"] {
            let answer = connection.get_info("x", &[("grpc-timeout", timeout)]).await;
            assert_exceeded(&answer, "caller");
        }
    }
    assert_eq!(sandbox.requests().len(), 0, "no request is spent on them");
}

#[tokio::test]
async fn the_ceiling_ends_the_call_whatever_the_caller_says() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::hang());
    let url = sandbox.url();
    let facade = Facade::with(&["--upstream-url", &url, "--request-timeout", "50ms"]).await;
    let mut connection = Connection::open(facade.address).await;
    for (dropped, headers) in [
        &[][..],
        &[("grpc-timeout", "1H")],
        &[("grpc-timeout", "99999999H")],
        &[("grpc-timeout", "soon")],
        &[("grpc-timeout", "")],
    ]
    .into_iter()
    .enumerate()
    {
        let answer = connection.get_info("x", headers).await;
        assert_exceeded(&answer, "server");
        sandbox.wait_for_dropped(dropped + 1).await;
    }
}

/// The whole call is bounded, not only the wait for the head of Rocket.Chat's answer.
#[tokio::test]
async fn a_body_that_never_ends_is_bounded() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST).then_hang(5));
    let facade = Facade::before(&sandbox).await;
    let mut connection = Connection::open(facade.address).await;
    let answer = connection.get_info("x", &[("grpc-timeout", "50m")]).await;
    assert_exceeded(&answer, "caller");
}

#[tokio::test]
async fn a_deadline_that_holds_changes_nothing() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let facade = Facade::before(&sandbox).await;
    let mut connection = Connection::open(facade.address).await;
    let answer = connection.get_info("x", &[("grpc-timeout", "10S")]).await;
    assert_eq!(answer.grpc_status(), "0");
}

/// Whose window is shut, so that no answer can be sent, or all but: a byte of it would be enough for the HTTP/2
/// library to take the rest.
#[tokio::test]
async fn a_caller_that_does_not_take_its_answer_holds_no_place() {
    let large = format!(
        r#"{{"_id":"x","success":true,"title":"{}"}}"#,
        "x".repeat(5000)
    );
    tokio::join!(
        assert_is_cut_off(0, SMALLEST.to_owned()),
        assert_is_cut_off(1, large)
    );
}

async fn assert_is_cut_off(window: u32, answer: String) {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, answer));
    let url = sandbox.url();
    let facade = Facade::with(&["--upstream-url", &url, "--max-in-flight", "1"]).await;
    let socket = TcpStream::connect(facade.address).await.unwrap();
    let mut client = h2::client::Builder::new();
    let handshake = client.initial_window_size(window).handshake(socket);
    let (mut requests, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let head = http::Request::post(format!("http://facade{GET_INFO}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", "300m")
        .header("x-user-id", USERS[0].id)
        .header("x-auth-token", USERS[0].token);
    let (answer, mut body) = requests
        .send_request(head.body(()).unwrap(), false)
        .unwrap();
    body.send_data(frame(&request("x")), true).unwrap();
    let mut answer = answer.await.unwrap().into_body();
    let refused = facade.get("x").await.expect_err("no place");
    assert_eq!(refused.code(), tonic::Code::Unavailable);

    let mut taken = 0;
    let end = loop {
        match soon(answer.data()).await.expect("a reset") {
            Ok(data) => taken += data.len(),
            Err(end) => break end,
        }
    };
    assert_eq!(end.reason(), Some(h2::Reason::CANCEL));
    assert_eq!(taken, window as usize);
    facade.get("x").await.expect("a place");
}
