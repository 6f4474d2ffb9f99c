//! Health by gRPC's own protocol.

use std::collections::HashMap;

use futures_util::FutureExt;
use tonic::{Code, Request};
use videoconf_facade::{
    api::SERVICE_NAME,
    proto::health::{
        HealthCheckRequest, HealthCheckResponse, HealthListRequest,
        health_check_response::ServingStatus, health_client::HealthClient,
    },
    sandbox::Reply,
};

use crate::support::{Facade, sandbox};

fn check(service: &str) -> Request<HealthCheckRequest> {
    Request::new(HealthCheckRequest {
        service: service.to_owned(),
    })
}

#[tokio::test]
async fn the_server_and_the_service_are_serving() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    let mut health = HealthClient::new(facade.channel());
    for service in ["", SERVICE_NAME] {
        let answer = health.check(check(service)).await.expect(service);
        assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
    }
    let status = health.check(check("no.such.Service")).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);

    let all = health
        .list(HealthListRequest {})
        .await
        .unwrap()
        .into_inner();
    let serving = HealthCheckResponse {
        status: ServingStatus::Serving.into(),
    };
    let expected = ["", SERVICE_NAME].map(|name| (name.to_owned(), serving));
    assert_eq!(all.statuses, HashMap::from(expected));
}

/// All replicas would vanish at once, and with them the statuses that say what is wrong.
#[tokio::test]
async fn an_outage_of_rocketchat_changes_nothing() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::close());
    let facade = Facade::before(&sandbox).await;
    facade.get("x").await.expect_err("an outage");
    let answer = HealthClient::new(facade.channel()).check(check("")).await;
    assert_eq!(
        answer.unwrap().into_inner().status(),
        ServingStatus::Serving
    );
}

#[tokio::test]
async fn a_watch_hears_of_the_end() {
    let sandbox = sandbox().await;
    let mut facade = Facade::before(&sandbox).await;
    let mut health = HealthClient::new(facade.channel());
    let mut watch = health.watch(check("")).await.unwrap().into_inner();
    let first = watch.message().await.unwrap().expect("a status");
    assert_eq!(first.status(), ServingStatus::Serving);
    facade.begin_shutdown();
    let second = watch.message().await.unwrap().expect("a status");
    assert_eq!(second.status(), ServingStatus::NotServing);
    facade.ended().await;
}

/// It might become known, so the protocol has it go on.
#[tokio::test]
async fn a_watch_of_an_unknown_service_says_so_and_stays_open() {
    let sandbox = sandbox().await;
    let mut facade = Facade::before(&sandbox).await;
    let mut health = HealthClient::new(facade.channel());
    let watch = health.watch(check("no.such.Service")).await;
    let mut watch = watch.unwrap().into_inner();
    let first = watch.message().await.unwrap().expect("a status");
    assert_eq!(first.status(), ServingStatus::ServiceUnknown);
    // It is still open after a call that came later.
    health.check(check("")).await.unwrap();
    assert!(watch.message().now_or_never().is_none());
    facade.begin_shutdown();
    facade.ended().await;
}
