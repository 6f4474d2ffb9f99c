//! A caller who leaves harms nobody: what was sent has been paid for, and its answer is kept.

use std::time::Duration;

use videoconf_facade::sandbox::{Reply, USERS};

use crate::support::{Facade, GET_INFO, SMALLEST, any_age, as_user, raw, request, sandbox};

fn late() -> Reply {
    Reply::json(200, SMALLEST).delay(Duration::from_millis(200))
}

/// The answer that nobody waited for is there, for the next who asks.
async fn assert_kept(facade: &Facade) {
    let mut client = facade.client();
    client
        .get_info(as_user(any_age("x")))
        .await
        .expect("an answer");
}

#[tokio::test]
async fn a_cancelled_call_leaves_its_read() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::new(500));
    sandbox.script(late());
    let facade = Facade::before(&sandbox).await;
    let mut client = facade.client();
    let call = tokio::spawn(async move { client.get_info(as_user(request("x"))).await });
    sandbox.wait_for_requests(1).await;
    call.abort();
    assert_kept(&facade).await;
    assert_eq!(sandbox.requests().len(), 1);
}

#[tokio::test]
async fn so_does_a_connection_that_goes_away() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::new(500));
    sandbox.script(late());
    let facade = Facade::before(&sandbox).await;
    {
        let mut connection = raw::Connection::open(facade.address).await;
        let user = [("x-user-id", USERS[0].id), ("x-auth-token", USERS[0].token)];
        let _answer = connection
            .send(GET_INFO, &user, raw::frame(&request("x")))
            .await;
        sandbox.wait_for_requests(1).await;
    }
    assert_kept(&facade).await;
    assert_eq!(sandbox.requests().len(), 1);
}

/// Not even the ceiling is waited for.
#[tokio::test]
async fn a_read_that_hangs_holds_up_nobody_else() {
    let sandbox = sandbox().await;
    sandbox.script(Reply::hang());
    sandbox.always(Reply::json(200, SMALLEST));
    let facade = Facade::before(&sandbox).await;
    let mut client = facade.client();
    let mut leaving = client.clone();
    let call = tokio::spawn(async move { leaving.get_info(as_user(request("x"))).await });
    sandbox.wait_for_requests(1).await;
    call.abort();
    client.get_info(as_user(request("x"))).await.expect("OK");
}
