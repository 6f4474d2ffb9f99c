//! What failed on its way is asked once more; what was answered isn't.

use std::{io::ErrorKind, net::Ipv4Addr, time::Duration};

use tokio::net::TcpListener;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use videoconf_facade::sandbox::{Reply, Sandbox};

use crate::support::{Facade, SMALLEST, authority::Authority, sandbox, soon};

fn smallest() -> Reply {
    Reply::json(200, SMALLEST)
}

fn problem(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().expect("an ErrorInfo");
    info.metadata["problem"].clone()
}

/// The targets that were asked for, by the ids in them.
fn asked(sandbox: &Sandbox) -> Vec<String> {
    let requests = sandbox.requests().into_iter();
    let ids = requests.map(|request| request.target.rsplit('=').next().unwrap().to_owned());
    ids.collect()
}

#[tokio::test]
async fn a_connection_closed_under_a_request_is_replaced() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    sandbox.always(smallest());
    sandbox.script(smallest().then_close());

    facade.get("first").await.expect("an answer");
    assert_eq!(sandbox.connections(), 1);
    facade.get("second").await.expect("an answer");
    assert_eq!(asked(&sandbox), ["first", "second", "second"]);
    assert_eq!(sandbox.connections(), 2, "asked again on a new connection");
    let [_, one, other] = &sandbox.requests()[..] else {
        unreachable!("three requests")
    };
    assert_eq!((&one.method, &one.target), (&other.method, &other.target));
    assert_eq!(one.headers, other.headers);

    facade.get("third").await.expect("an answer");
    assert_eq!(sandbox.connections(), 3, "no other connection is left");
}

/// How many idle connections there are.
const IDLE: usize = 5;

/// After a pause, all of the pool's connections are closed under their next requests.
#[tokio::test]
async fn the_second_attempt_trusts_no_other_idle_connection() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    for _ in 0..IDLE {
        // Delayed, so that each of them needs a connection of its own.
        sandbox.script(smallest().delay(Duration::from_millis(200)).then_close());
    }
    let ids: Vec<_> = (0..IDLE).map(|number| number.to_string()).collect();
    let calls = ids.iter().map(|id| facade.get(id));
    for answer in futures_util::future::join_all(calls).await {
        answer.expect("an answer");
    }
    assert_eq!(sandbox.connections(), IDLE);

    sandbox.always(smallest());
    for _ in 0..IDLE {
        facade.get("second").await.expect("an answer");
    }
}

#[tokio::test]
async fn a_connection_closed_twice_is_given_up() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    sandbox.always(smallest());
    sandbox.script(smallest().then_close());
    sandbox.script(Reply::close());

    facade.get("first").await.expect("an answer");
    let status = facade.get("second").await.expect_err("a refusal");
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(problem(&status), "connection closed before an answer");
    assert_eq!(asked(&sandbox), ["first", "second", "second"]);

    facade.get("third").await.expect("an answer");
    assert_eq!(sandbox.requests().len(), 4);
}

/// The second attempt's answer is the answer, whatever it is.
#[tokio::test]
async fn the_second_attempt_is_the_last() {
    for (reply, code) in [
        (Reply::new(503), Code::Unavailable),
        (Reply::new(401), Code::Unauthenticated),
        (smallest().cut_after(3), Code::Unavailable),
        (Reply::close(), Code::Unavailable),
    ] {
        let case = format!("{reply:?}");
        let sandbox = sandbox().await;
        let facade = Facade::before(&sandbox).await;
        sandbox.always(smallest());
        sandbox.script(Reply::close());
        sandbox.script(reply);
        let status = facade.get("x").await.expect_err(&case);
        assert_eq!(status.code(), code, "{case}");
        assert_eq!(sandbox.requests().len(), 2, "{case}");
    }
}

#[tokio::test]
async fn nothing_else_is_asked_twice() {
    let html = "<html>no</html>";
    for reply in [
        Reply::new(400),
        Reply::new(401),
        Reply::new(403),
        Reply::new(404),
        Reply::new(407),
        Reply::new(408),
        Reply::new(429).header("retry-after", "0"),
        Reply::new(500),
        Reply::new(503).header("retry-after", "0"),
        Reply::new(522).header("retry-after", "0"),
        Reply::new(302).header("location", "/"),
        Reply::new(200),
        Reply::json(200, html),
        Reply::json(200, SMALLEST).header("content-encoding", "gzip"),
        smallest().cut_after(0),
        smallest().cut_after(3),
        smallest().chunked().cut_after(SMALLEST.len()),
        Reply::raw("SSH-2.0-OpenSSH\r\n\r\n"),
        Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"),
    ] {
        let case = format!("{reply:?}");
        let sandbox = sandbox().await;
        sandbox.always(smallest());
        // Once on a new connection, once on one that was used before.
        let facade = Facade::before(&sandbox).await;
        facade
            .get_scripted(&sandbox, reply.clone())
            .await
            .expect_err(&case);
        assert_eq!(sandbox.requests().len(), 1, "{case}");
        facade.get("x").await.expect("an answer");
        facade.get_scripted(&sandbox, reply).await.expect_err(&case);
        assert_eq!(sandbox.requests().len(), 3, "{case}");
    }
}

#[tokio::test]
async fn silence_is_not_asked_twice() {
    let sandbox = sandbox().await;
    sandbox.always(smallest());
    let url = sandbox.url();
    let facade = Facade::with(&["--upstream-url", &url, "--request-timeout", "200ms"]).await;
    let status = facade
        .get_scripted(&sandbox, Reply::hang())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(sandbox.requests().len(), 1);
}

#[tokio::test]
async fn what_a_proxy_says_of_passing_trouble_is_asked_twice() {
    for reply in [
        Reply::new(502).body("<html>no</html>"),
        Reply::new(503).header("connection", "close"),
        Reply::new(504),
        Reply::new(520),
        Reply::new(530),
    ] {
        let case = format!("{reply:?}");
        let sandbox = sandbox().await;
        let facade = Facade::before(&sandbox).await;
        sandbox.always(smallest());
        facade
            .get_scripted(&sandbox, reply.clone())
            .await
            .expect(&case);
        assert_eq!(sandbox.requests().len(), 2, "{case}");
        sandbox.script(reply.clone());
        facade.get_scripted(&sandbox, reply).await.expect_err(&case);
        assert_eq!(sandbox.requests().len(), 4, "{case}");
    }
}

#[tokio::test]
async fn no_connection_is_tried_twice() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let ca = Authority::new().file();
    let facade = Facade::with(&["--upstream-url", &url, "--upstream-ca", &ca]).await;
    // Closed before the TLS handshake has begun.
    let close = async {
        for _ in 0..2 {
            drop(listener.accept().await.unwrap());
        }
    };
    let (answer, ()) = tokio::join!(facade.get("x"), soon(close));
    assert_eq!(answer.unwrap_err().code(), Code::Unavailable);
    let again = listener.into_std().unwrap().accept();
    assert_eq!(again.unwrap_err().kind(), ErrorKind::WouldBlock);
}

/// Also after a refusal whose body nobody needs, and that isn't there yet when its head is read.
#[tokio::test]
async fn a_connection_is_used_again_after_a_refusal() {
    let pause = Duration::from_millis(2);
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    for status in [400, 401, 403, 404, 429, 500, 503] {
        for reply in [
            Reply::json(status, "{}"),
            Reply::json(status, "{}").chunked(),
            Reply::json(status, "{}").in_pieces(pause),
            Reply::json(status, "{}").chunked().in_pieces(pause),
        ] {
            // What comes late on a busy machine isn't waited for, but that doesn't happen each time.
            let mut is_used_again = false;
            for _ in 0..5 {
                let before = sandbox.connections();
                for _ in 0..2 {
                    let heard = facade.get_scripted(&sandbox, reply.clone()).await;
                    heard.expect_err("a refusal");
                }
                // The first one of all is new.
                is_used_again = sandbox.connections() == before.max(1);
                if is_used_again {
                    break;
                }
            }
            assert!(is_used_again, "{reply:?}");
        }
    }
}
