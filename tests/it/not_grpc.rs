//! gRPC's calls are POSTs with a content type of their own; nothing else is one, and nothing else costs
//! anything.

use http::{Method, Request};

use crate::support::{
    Facade, GET_INFO, SMALLEST,
    raw::{Answer, Connection, frame},
    request, sandbox,
};
use videoconf_facade::sandbox::{Reply, USERS};

#[tokio::test]
async fn what_is_no_post_is_no_call() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    let mut connection = Connection::open(facade.address).await;
    let headers = [("x-user-id", USERS[0].id), ("x-auth-token", USERS[0].token)];
    for path in [
        GET_INFO,
        "/grpc.health.v1.Health/Check",
        "/no.such.Service/Nothing",
        "/",
    ] {
        for method in [
            Method::GET,
            Method::HEAD,
            Method::PUT,
            Method::DELETE,
            Method::OPTIONS,
            Method::PATCH,
        ] {
            let case = format!("{method} {path}");
            let message = frame(&request("x"));
            let answer = connection.send_as(&method, path, &headers, message).await;
            let answer = Answer::read(answer).await;
            assert_eq!(answer.http_status, 405, "{case}");
            assert_eq!(answer.headers["allow"], "POST", "{case}");
            assert_eq!(answer.grpc_status(), "12", "{case}");
            assert!(answer.headers.contains_key("x-request-id"), "{case}");
            let is_told = answer.body.starts_with(b"This is a gRPC server");
            assert_eq!(is_told, method != Method::HEAD, "{case}");
            assert_eq!(answer.body.is_empty(), !is_told, "{case}");
        }
    }
    assert!(sandbox.requests().is_empty());
    // The connection is none the worse for it.
    assert_eq!(connection.get_info("", &[]).await.grpc_status(), "3");
}

#[tokio::test]
async fn what_does_not_say_that_it_is_grpc_is_no_call() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let facade = Facade::before(&sandbox).await;
    let mut connection = Connection::open(facade.address).await;
    for (content_type, http_status) in [
        (None, 415),
        (Some(""), 415),
        (Some("application/json"), 415),
        (Some("text/html"), 415),
        (Some("application/grp"), 415),
        (Some("application/grpcx"), 415),
        (Some("application/grpc-web"), 415),
        (Some("application/grpc-web+proto"), 415),
        (Some("application/grpc"), 200),
        (Some("application/grpc+proto"), 200),
        (Some("Application/GRPC; charset=utf-8"), 200),
    ] {
        let mut head = Request::post(format!("http://facade{GET_INFO}"))
            .header("te", "trailers")
            .header("x-user-id", USERS[0].id)
            .header("x-auth-token", USERS[0].token);
        if let Some(content_type) = content_type {
            head = head.header("content-type", content_type);
        }
        let (head, before) = (head.body(()).unwrap(), sandbox.requests().len());
        let answer = connection.send_request(head, frame(&request("x"))).await;
        let answer = Answer::read(answer).await;
        assert_eq!(answer.http_status, http_status, "{content_type:?}");
        let (status, asked) = if http_status == 200 {
            ("0", 1)
        } else {
            ("12", 0)
        };
        assert_eq!(answer.grpc_status(), status, "{content_type:?}");
        assert_eq!(sandbox.requests().len() - before, asked, "{content_type:?}");
    }
}
