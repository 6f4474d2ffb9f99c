//! What the operator reads of connections that fail.

use std::net::Ipv4Addr;

use rcgen::{CertificateParams, date_time_ymd};
use serde_json::Value;
use tokio::net::TcpListener;
use videoconf_facade::sandbox::Reply;

use crate::support::{
    SMALLEST,
    authority::Authority,
    process::{Server, json_lines, serve},
    sandbox,
};

const MESSAGE: &str = "no usable answer from Rocket.Chat";

/// The log of a server with `flags`, after three calls.
async fn reports(flags: &[&str]) -> Vec<Value> {
    let server = Server::start(&mut serve(flags)).await;
    for _ in 0..3 {
        server.get("x").await.expect_err("no answer");
    }
    let lines = json_lines(&server.end().await.stderr);
    lines
        .into_iter()
        .filter(|line| line["message"] == MESSAGE)
        .collect()
}

#[tokio::test]
async fn the_causes_are_in_one_line() {
    let authority = Authority::new();
    let ca = authority.file();
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_after = date_time_ymd(2020, 1, 1);
    let expired = authority.serve_with(params, sandbox.address()).await;
    let other = authority
        .serve("elsewhere.example", sandbox.address())
        .await;
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let closed = nobody.local_addr().unwrap();
    drop(nobody);
    for (port, problem, cause) in [
        (expired.port(), "certificate expired", "not valid after"),
        (
            other.port(),
            "certificate for another name",
            "elsewhere.example",
        ),
        (closed.port(), "connection refused", "os error"),
    ] {
        let url = format!("https://localhost:{port}");
        let lines = reports(&["--upstream-url", &url, "--upstream-ca", &ca]).await;
        let [line] = &lines[..] else {
            panic!("not one line: {lines:?}")
        };
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["upstream"], url);
        assert_eq!(line["problem"], problem);
        assert_eq!(line["count"], 1);
        let causes = line["causes"].as_str().unwrap();
        assert!(causes.contains(cause), "{causes}");
    }
}

#[tokio::test]
async fn a_certificate_with_many_names_makes_no_long_line() {
    let authority = Authority::new();
    let ca = authority.file();
    let sandbox = sandbox().await;
    let names: Vec<_> = (0..200).map(|it| format!("name-{it}.example")).collect();
    let params = CertificateParams::new(names).unwrap();
    let port = authority.serve_with(params, sandbox.address()).await.port();
    let url = format!("https://localhost:{port}");
    let lines = reports(&["--upstream-url", &url, "--upstream-ca", &ca]).await;
    let causes = lines[0]["causes"].as_str().unwrap();
    assert!(causes.len() <= 512, "{}", causes.len());
}

/// The proxy is named without its password, and a connection that was replaced isn't mentioned.
#[tokio::test]
async fn nothing_is_said_that_is_a_secret_or_routine() {
    let proxy = sandbox().await;
    proxy.always(Reply::new(407));
    let address = proxy.address();
    let with_password = format!("http://user:hunter2@{address}");
    let flags = [
        "--upstream-url",
        "http://chat.invalid",
        "--upstream-proxy",
        &with_password,
    ];
    let lines = reports(&flags).await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["proxy"], format!("http://{address}"));
    assert_eq!(lines[0]["problem"], "the proxy asks for credentials");
    assert!(!lines[0].to_string().contains("hunter2"));

    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    sandbox.script(Reply::json(200, SMALLEST).then_close());
    let server = Server::before(&sandbox, &[]).await;
    server.get("x").await.expect("an answer");
    server.get("x").await.expect("an answer");
    assert_eq!(sandbox.requests().len(), 3, "one was asked twice");
    let log = server.end().await.stderr;
    assert!(!log.contains(MESSAGE), "{log}");
}

/// Though it isn't the first attempt's trouble.
#[tokio::test]
async fn the_trouble_of_a_second_attempt_is_reported() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    sandbox.script(Reply::new(503));
    sandbox.script(Reply::close());
    let server = Server::before(&sandbox, &[]).await;
    server.get("x").await.expect_err("no answer");
    assert_eq!(sandbox.requests().len(), 2);
    let line = server.process.stderr.message(MESSAGE).await;
    assert_eq!(line["problem"], "connection closed before an answer");
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_reported() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST).cut_after(3));
    let lines = reports(&["--upstream-url", &sandbox.url(), "--upstream-limit", "none"]).await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["problem"], "answer cut off");
}
