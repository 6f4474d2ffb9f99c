//! The end of `serve`: what it waits for, what it does not wait for, and what callers see of it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use rustix::process::Signal;
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};
use tonic::{Code, Status};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest,
};
use tonic_types::StatusExt;
use videoconf_facade::{
    api::SERVICE_NAME,
    proto::health::{
        HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
    },
    sandbox::Reply,
};

use crate::support::{
    Facade, SMALLEST, as_user,
    process::{Server, json_lines},
    raw, request, sandbox, soon,
};

/// Far more than an end needs that waits for nothing, far less than the drains below that would
/// have to be waited for.
const AT_ONCE: Duration = Duration::from_secs(20);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A SETTINGS frame without settings.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// Asserts that the log ends as it should, and gives its messages, with the access lines' codes.
#[track_caller]
fn story(log: &str) -> Vec<String> {
    let story: Vec<_> = json_lines(log)
        .iter()
        .map(|line| line.get("message").unwrap_or(&line["code"]))
        .map(|text| text.as_str().expect("text").to_owned())
        .collect();
    assert_eq!(story.first().map(String::as_str), Some("serving"), "{log}");
    assert_eq!(story.last().map(String::as_str), Some("ended"), "{log}");
    story
}

#[track_caller]
fn assert_shutting_down(status: &Status) {
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    let details = status.get_error_details();
    let info = details.error_info().expect("an ErrorInfo");
    assert_eq!(info.reason, "SHUTTING_DOWN");
    let retry = details.retry_info().and_then(|it| it.retry_delay);
    assert_eq!(retry, Some(Duration::from_secs(1)));
    let pushback = status.metadata().get("grpc-retry-pushback-ms");
    assert_eq!(pushback.expect("a pushback"), "1000");
}

#[tokio::test]
async fn either_signal_ends_an_idle_server() {
    let sandbox = sandbox().await;
    for signal in [Signal::TERM, Signal::INT] {
        let server = Server::before(&sandbox, &[]).await;
        server.process.signal(signal);
        let ended = server.process.ended().await;
        assert_eq!(ended.status, Some(0), "{signal:?}");
        assert_eq!(ended.stdout, "", "{signal:?}");
        assert_eq!(story(&ended.stderr), ["serving", "draining", "ended"]);
    }
}

#[tokio::test]
async fn a_call_in_flight_is_answered() {
    let sandbox = sandbox().await;
    // Long enough for the signal to come first.
    let late = Reply::json(200, SMALLEST).delay(Duration::from_secs(2));
    sandbox.script(late);
    let server = Server::before(&sandbox, &[]).await;
    let mut client = server.client();
    let call = tokio::spawn(async move { client.get_info(as_user(request("x"))).await });
    sandbox.wait_for_requests(1).await;

    server.process.signal(Signal::TERM);
    let draining = server.process.stderr.message("draining").await;
    assert_eq!(draining["connections"], 1);
    let answer = soon(call).await.expect("no panic");
    answer.expect("an answer");

    let ended = server.process.ended().await;
    assert_eq!(ended.status, Some(0));
    assert_eq!(story(&ended.stderr), ["serving", "draining", "OK", "ended"]);
}

/// Balancers that don't watch health find out by and by.
#[tokio::test]
async fn everything_is_served_during_the_notice() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let server = Server::before(&sandbox, &["--shutdown-notice", "2s"]).await;
    let mut health = HealthClient::new(server.channel());
    let whole_server = HealthCheckRequest::default();
    let watch = health.watch(whole_server.clone()).await;
    let mut watch = watch.unwrap().into_inner();
    let told = watch.message().await.unwrap().expect("a status");
    assert_eq!(told.status(), ServingStatus::Serving);

    server.process.signal(Signal::TERM);
    server.process.stderr.message("leaving soon").await;
    let told = watch.message().await.unwrap().expect("a status");
    assert_eq!(told.status(), ServingStatus::NotServing);
    let asked = health.check(whole_server).await.unwrap().into_inner();
    assert_eq!(asked.status(), ServingStatus::NotServing);
    // On a new connection.
    server.get("x").await.expect("an answer");

    let ended = server.process.ended().await;
    assert_eq!(ended.status, Some(0));
    let expected = ["serving", "leaving soon", "OK", "draining", "ended"];
    assert_eq!(story(&ended.stderr), expected);
}

#[tokio::test]
async fn a_call_that_outlasts_the_drain_gets_a_status() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::hang());
    let server = Server::before(&sandbox, &["--drain-timeout", "200ms"]).await;
    let mut client = server.client();
    let call = tokio::spawn(async move { client.get_info(as_user(request("x"))).await });
    sandbox.wait_for_requests(1).await;

    server.process.signal(Signal::TERM);
    let answer = soon(call).await.expect("no panic");
    assert_shutting_down(&answer.expect_err("no answer"));

    let ended = server.process.ended().await;
    assert_eq!(ended.status, Some(0));
    let expected = ["serving", "draining", "UNAVAILABLE", "ended"];
    assert_eq!(story(&ended.stderr), expected);
    let lines = json_lines(&ended.stderr);
    assert_eq!(lines[2]["reason"], "SHUTTING_DOWN");
    assert!(lines[2]["upstream_ms"].is_f64(), "{}", lines[2]);
}

#[tokio::test]
async fn many_calls_that_outlast_the_drain_get_a_status_each() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::hang());
    let url = sandbox.url();
    let flags = ["--upstream-url", &url, "--drain-timeout", "200ms"];
    let flags = [
        &flags[..],
        &["--upstream-limit", "none", "--max-reads-in-flight", "50"],
    ];
    let mut facade = Facade::with(&flags.concat()).await;
    let calls: Vec<_> = (0..50)
        .map(|number| {
            let mut client = facade.client();
            let request = as_user(request(&number.to_string()));
            tokio::spawn(async move { client.get_info(request).await })
        })
        .collect();
    soon(sandbox.wait_for_requests(calls.len())).await;
    facade.begin_shutdown();
    for call in calls {
        let answer = soon(call).await.expect("no panic");
        assert_shutting_down(&answer.expect_err("no answer"));
    }
    soon(facade.ended()).await;
}

/// A drain of zero is none: calls in flight are told at once.
#[tokio::test]
async fn a_drain_may_be_zero() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::hang());
    let flags = ["--upstream-url", &sandbox.url(), "--drain-timeout", "0s"];
    let mut facade = Facade::with(&flags).await;
    let mut client = facade.client();
    let call = tokio::spawn(async move { client.get_info(as_user(request("x"))).await });
    soon(sandbox.wait_for_requests(1)).await;
    facade.begin_shutdown();
    let answer = soon(call).await.expect("no panic");
    assert_shutting_down(&answer.expect_err("no answer"));
    soon(facade.ended()).await;
}

#[tokio::test]
async fn idle_connections_and_watches_are_not_waited_for() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let server = Server::before(&sandbox, &["--drain-timeout", "1h"]).await;

    let mut idle = server.client();
    idle.get_info(as_user(request("x"))).await.expect("a call");
    let mut watches = Vec::new();
    for service in ["", SERVICE_NAME] {
        let service = service.to_owned();
        let mut client = HealthClient::new(server.channel());
        let watch = client.watch(HealthCheckRequest { service }).await;
        let mut watch = watch.expect("a stream").into_inner();
        let first = watch.message().await.expect("no end").expect("a status");
        assert_eq!(first.status(), ServingStatus::Serving);
        watches.push(watch);
    }

    let begun = Instant::now();
    server.process.signal(Signal::TERM);
    for mut watch in watches {
        let mut seen = Vec::new();
        while let Ok(Some(message)) = soon(watch.message()).await {
            seen.push(message.status());
        }
        assert_eq!(seen, [ServingStatus::NotServing]);
    }
    let ended = server.process.ended().await;
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    assert_eq!(ended.status, Some(0));
    drop(idle);
}

/// A tool keeps its stream of reflection open for as long as it lives, whatever the server does.
#[tokio::test]
async fn open_streams_hear_of_the_end_when_it_begins() {
    let sandbox = sandbox().await;
    let server = Server::before(&sandbox, &["--drain-timeout", "1h"]).await;
    let question = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    let questions = stream::iter([question]).chain(stream::pending());
    let mut client = ServerReflectionClient::new(server.channel());
    let answers = client.server_reflection_info(questions).await;
    let mut answers = answers.expect("a stream").into_inner();
    let first = answers.message().await.expect("no end");
    first.expect("an answer");

    server.process.signal(Signal::TERM);
    let end = soon(answers.message()).await;
    assert_shutting_down(&end.expect_err("no other answer"));
    let ended = server.process.ended().await;
    assert_eq!(ended.status, Some(0));
    let story = story(&ended.stderr);
    assert_eq!(story[..3], ["serving", "draining", "UNAVAILABLE"]);
}

/// Whoever is silent, or says only half of something, is cut off when the drain is over.
#[tokio::test]
async fn connections_that_do_not_end_are_cut() {
    let sandbox = sandbox().await;
    let server = Server::before(&sandbox, &["--drain-timeout", "300ms"]).await;
    let mut silent = Vec::new();
    for bytes in [
        b"".to_vec(),
        b"PRI".to_vec(),
        PREFACE.to_vec(),
        [PREFACE, SETTINGS].concat(),
        [PREFACE, SETTINGS, b"\0\0\x09\x01\x04"].concat(),
    ] {
        let mut socket = TcpStream::connect(server.address).await.expect("a socket");
        socket.write_all(&bytes).await.expect("a write");
        silent.push(socket);
    }
    // A call whose message never comes.
    let socket = TcpStream::connect(server.address).await.expect("a socket");
    let (half, connection) = h2::client::handshake(socket).await.expect("HTTP/2");
    tokio::spawn(connection);
    let head = http::Request::post(format!("http://facade{}", crate::support::GET_INFO));
    let head = head.header("content-type", "application/grpc").body(());
    let mut half = half.ready().await.expect("a stream");
    let unfinished = half.send_request(head.expect("a request"), false);
    let (answer, _body) = unfinished.expect("a stream");
    // Accepted last, so the others are too.
    let mut last = raw::Connection::open(server.address).await;
    let path = "/grpc.health.v1.Health/Check";
    let checked = last.send(path, &[], Bytes::from_static(&[0; 5])).await;
    assert_eq!(raw::Answer::read(checked).await.grpc_status(), "0");

    let begun = Instant::now();
    server.process.signal(Signal::TERM);
    let draining = server.process.stderr.message("draining").await;
    assert_eq!(draining["connections"], silent.len() + 2);
    let ended = server.process.ended().await;
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    assert_eq!(ended.status, Some(0));
    let answer = soon(raw::Answer::read(answer)).await;
    assert_eq!(answer.grpc_status(), (Code::Unavailable as i32).to_string());
    let expected = [
        "serving",
        "draining",
        "UNAVAILABLE",
        "cutting connections",
        "ended",
    ];
    assert_eq!(story(&ended.stderr), expected);
    drop(silent);
}

#[tokio::test]
async fn new_connections_are_refused_while_draining() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::hang());
    let server = Server::before(&sandbox, &["--drain-timeout", "1h"]).await;
    let mut client = server.client();
    let call = tokio::spawn(async move { client.get_info(as_user(request("x"))).await });
    sandbox.wait_for_requests(1).await;
    server.process.signal(Signal::TERM);
    server.process.stderr.message("draining").await;

    let refused = TcpStream::connect(server.address).await.map(drop);
    let kind = refused.map_err(|error| error.kind());
    assert_eq!(kind, Err(std::io::ErrorKind::ConnectionRefused));

    call.abort();
    assert_eq!(server.process.ended().await.status, Some(0));
}

/// The last caller gone, nothing is left to wait for; and each has its line in the log all the same.
#[tokio::test]
async fn calls_cancelled_while_draining_are_not_waited_for() {
    const CALLS: usize = 50;
    let sandbox = sandbox().await;
    sandbox.always(Reply::hang());
    let times = ["--drain-timeout", "1h", "--request-timeout", "1h"];
    let reads = ["--upstream-limit", "none", "--max-reads-in-flight", "50"];
    let server = Server::before(&sandbox, &[times, reads].concat()).await;
    let client = server.client();
    let mut calls = JoinSet::new();
    for number in 0..CALLS {
        let mut client = client.clone();
        let request = as_user(request(&number.to_string()));
        calls.spawn(async move { client.get_info(request).await });
    }
    drop(client);
    sandbox.wait_for_requests(CALLS).await;
    server.process.signal(Signal::TERM);
    server.process.stderr.message("draining").await;

    calls.shutdown().await;
    let ended = server.process.ended().await;
    assert_eq!(ended.status, Some(0));
    let story = story(&ended.stderr);
    let cancelled = story.iter().filter(|it| *it == "CANCELLED");
    assert_eq!(cancelled.count(), CALLS, "{story:?}");
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::hang());
    for (number, (first, second)) in [
        (Signal::TERM, Signal::TERM),
        (Signal::INT, Signal::INT),
        (Signal::TERM, Signal::INT),
        (Signal::INT, Signal::TERM),
    ]
    .into_iter()
    .enumerate()
    {
        let flags = ["--drain-timeout", "1h", "--request-timeout", "1h"];
        let server = Server::before(&sandbox, &flags).await;
        let mut client = server.client();
        let call = tokio::spawn(async move { client.get_info(as_user(request("x"))).await });
        sandbox.wait_for_requests(number + 1).await;
        server.process.signal(first);
        server.process.stderr.message("draining").await;
        let begun = Instant::now();
        server.process.signal(second);
        let ended = server.process.ended().await;
        assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
        assert_eq!(ended.status, Some(1), "{first:?} {second:?}");
        soon(call).await.expect("no panic").expect_err("no answer");
    }
}

/// A caller on a connection that was there before learns that the server goes, and not that
/// something broke.
#[tokio::test]
async fn a_call_right_after_the_signal_is_unavailable_or_answered() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let server = Server::before(&sandbox, &[]).await;
    let mut client = server.client();
    client
        .get_info(as_user(request("x")))
        .await
        .expect("a call");
    server.process.signal(Signal::TERM);
    loop {
        let answer = soon(client.get_info(as_user(request("x")))).await;
        let Err(status) = answer else { continue };
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        break;
    }
    assert_eq!(server.process.ended().await.status, Some(0));
}
