//! A caller who leaves takes the upstream request along.

use videoconf_facade::sandbox::Reply;

use crate::support::{Facade, GET_INFO, as_user, raw, request, sandbox};

#[tokio::test]
async fn a_cancelled_call_drops_its_upstream_request() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::hang());
    let facade = Facade::before(&sandbox).await;
    let mut client = facade.client();
    let call = tokio::spawn(async move { client.get_info(as_user(request("x"))).await });
    sandbox.wait_for_requests(1).await;
    call.abort();
    sandbox.wait_for_dropped(1).await;
}

#[tokio::test]
async fn a_connection_that_goes_away_does_too() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::hang());
    let facade = Facade::before(&sandbox).await;
    {
        let mut connection = raw::Connection::open(facade.address).await;
        let user = sandbox_user();
        let _answer = connection
            .send(GET_INFO, &user, raw::frame(&request("x")))
            .await;
        sandbox.wait_for_requests(1).await;
    }
    sandbox.wait_for_dropped(1).await;
}

#[tokio::test]
async fn the_facade_goes_on() {
    let sandbox = sandbox().await;
    sandbox.script(Reply::hang());
    sandbox.always(Reply::json(200, crate::support::SMALLEST));
    let facade = Facade::before(&sandbox).await;
    let mut client = facade.client();
    let mut leaving = client.clone();
    let call = tokio::spawn(async move { leaving.get_info(as_user(request("x"))).await });
    sandbox.wait_for_requests(1).await;
    call.abort();
    client.get_info(as_user(request("x"))).await.expect("OK");
}

fn sandbox_user() -> [(&'static str, &'static str); 2] {
    let user = videoconf_facade::sandbox::USERS[0];
    [("x-user-id", user.id), ("x-auth-token", user.token)]
}
