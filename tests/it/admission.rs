//! More calls than are let in at a time.

use std::time::Duration;

use futures_util::stream;
use tonic::{Code, Request};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
};
use tonic_types::StatusExt;
use videoconf_facade::{
    proto::health::{HealthCheckRequest, health_client::HealthClient},
    sandbox::Reply,
};

use crate::support::{Facade, SMALLEST, as_user, request, sandbox, soon};

#[tokio::test]
async fn who_comes_when_all_places_are_taken_hears_so_at_once() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::hang());
    let url = sandbox.url();
    let flags = [
        "--upstream-url",
        &url,
        "--upstream-limit",
        "none",
        "--max-in-flight",
        "2",
    ];
    let facade = Facade::with(&flags).await;
    let ask = |call_id: &'static str| {
        let mut client = facade.client();
        tokio::spawn(async move { client.get_info(as_user(request(call_id))).await })
    };
    let (first, second) = (ask("a"), ask("b"));
    sandbox.wait_for_requests(2).await;

    let status = soon(ask("c")).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "OVERLOADED");
    let retry = details.retry_info().and_then(|it| it.retry_delay);
    assert_eq!(retry, Some(Duration::from_secs(1)));
    assert_eq!(sandbox.requests().len(), 2, "nothing was sent for it");
    let mut health = HealthClient::new(facade.channel());
    let check = Request::new(HealthCheckRequest::default());
    health.check(check).await.expect("health is never refused");

    // Who leaves makes room.
    first.abort();
    sandbox.always(Reply::json(200, SMALLEST));
    let answered = async {
        while let Err(status) = ask("d").await.unwrap() {
            assert_eq!(
                status.get_error_details().error_info().unwrap().reason,
                "OVERLOADED"
            );
        }
    };
    soon(answered).await;
    second.abort();
}

/// From its beginning to its end, however long its caller takes to read it.
#[tokio::test]
async fn a_stream_has_a_place_until_its_end_and_takes_none_of_a_call() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let url = sandbox.url();
    let flags = ["--upstream-url", &url, "--max-in-flight", "1"];
    let facade = Facade::with(&flags).await;
    let watch = || async {
        let mut health = HealthClient::new(facade.channel());
        health.watch(HealthCheckRequest::default()).await
    };
    let mut first = watch().await.unwrap().into_inner();
    first.message().await.unwrap().expect("a status");

    facade.get("x").await.expect("calls have their own");
    let refused = watch().await.expect_err("all are taken");
    let details = refused.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "OVERLOADED");
    let mut reflection = ServerReflectionClient::new(facade.channel());
    let questions = stream::empty::<ServerReflectionRequest>();
    let refused = reflection.server_reflection_info(questions).await;
    let refused = refused.expect_err("it is a stream, too");
    assert_eq!(refused.code(), Code::Unavailable);

    drop(first);
    soon(async { while watch().await.is_err() {} }).await;
}
