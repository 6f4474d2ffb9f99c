//! gRPC's calls are POSTs; nothing else is one, and nothing else costs anything.

use http::Method;

use crate::support::{
    Facade, GET_INFO,
    raw::{Answer, Connection, frame},
    request, sandbox,
};
use videoconf_facade::sandbox::USERS;

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
            assert!(answer.body.is_empty(), "{case}");
        }
    }
    assert!(sandbox.requests().is_empty());
    // The connection is none the worse for it.
    assert_eq!(connection.get_info("", &[]).await.grpc_status(), "3");
}
