//! An https upstream: who is trusted, and what it means when the other side isn't.

use std::net::Ipv4Addr;

use rcgen::{CertificateParams, date_time_ymd};
use tokio::net::TcpListener;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use videoconf_facade::sandbox::{Reply, Sandbox};

use crate::support::{
    Facade, SMALLEST,
    authority::{Authority, pem_file},
    process::{Server, serve},
    sandbox, soon,
};

const HANDSHAKE: &str = "TLS handshake failed";

async fn answering() -> Sandbox {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    sandbox
}

#[track_caller]
fn assert_unavailable(status: &Status, problem: &str, case: &str) {
    let details = status.get_error_details();
    let info = details.error_info().expect("an ErrorInfo");
    let seen = (
        status.code(),
        &*info.reason,
        info.metadata.get("problem").map(String::as_str),
    );
    let expected = (Code::Unavailable, "UPSTREAM_UNAVAILABLE", Some(problem));
    assert_eq!(seen, expected, "{case}");
    assert!(details.retry_info().is_some(), "{case}");
}

#[tokio::test]
async fn a_given_authority_is_trusted_and_no_other() {
    let (ours, other) = (Authority::new(), Authority::new());
    let sandbox = answering().await;
    let url = format!("https://{}", ours.serve("127.0.0.1", &sandbox).await);
    let both = pem_file(&(other.pem() + &ours.pem()));

    for ca in [&ours.file(), &both] {
        let facade = Facade::with(&["--upstream-url", &url, "--upstream-ca", ca]).await;
        facade.get("x").await.expect("an answer");
    }
    assert_eq!(sandbox.requests().len(), 2);

    let facade = Facade::with(&["--upstream-url", &url, "--upstream-ca", &other.file()]).await;
    let status = facade.get("x").await.expect_err("not trusted");
    assert_unavailable(&status, HANDSHAKE, "another authority");
    assert_eq!(sandbox.requests().len(), 2, "nothing is sent to a stranger");
}

/// The system's anchors are those of a file here, so that the test knows them.
#[tokio::test]
async fn without_a_given_authority_the_systems_are_trusted() {
    let (ours, other) = (Authority::new(), Authority::new());
    let sandbox = answering().await;
    let url = format!("https://{}", ours.serve("127.0.0.1", &sandbox).await);
    let ask = async |flags: &[&str], system: &Authority| {
        let flags = [&["--upstream-url", &url], flags].concat();
        let mut command = serve(&flags);
        command.env("SSL_CERT_FILE", system.file());
        Server::start(&mut command).await.get("x").await
    };

    ask(&[], &ours).await.expect("an answer");
    let given = other.file();
    for (case, flags, system) in [
        ("not the system's", &[][..], &other),
        (
            "the system's, but another was given",
            &["--upstream-ca", &given],
            &ours,
        ),
    ] {
        let status = ask(flags, system).await.expect_err(case);
        assert_unavailable(&status, HANDSHAKE, case);
    }
    assert_eq!(sandbox.requests().len(), 1);
}

#[tokio::test]
async fn the_certificate_must_be_for_this_host_and_now() {
    let authority = Authority::new();
    let ca = authority.file();
    let sandbox = answering().await;
    let with = |name: &str, change: fn(&mut CertificateParams)| {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        change(&mut params);
        params
    };
    for (case, host, params) in [
        ("another address", "127.0.0.1", with("127.0.0.2", |_| ())),
        (
            "a name for an address",
            "127.0.0.1",
            with("localhost", |_| ()),
        ),
        (
            "another name",
            "localhost",
            with("elsewhere.example", |_| ()),
        ),
        (
            "expired",
            "127.0.0.1",
            with("127.0.0.1", |it| it.not_after = date_time_ymd(2020, 1, 1)),
        ),
        (
            "not yet valid",
            "127.0.0.1",
            with("127.0.0.1", |it| it.not_before = date_time_ymd(4000, 1, 1)),
        ),
    ] {
        let port = authority.serve_with(params, &sandbox).await.port();
        let url = format!("https://{host}:{port}");
        let facade = Facade::with(&["--upstream-url", &url, "--upstream-ca", &ca]).await;
        let status = facade.get("x").await.expect_err(case);
        assert_unavailable(&status, HANDSHAKE, case);
    }
    assert!(sandbox.requests().is_empty());

    let port = authority.serve("localhost", &sandbox).await.port();
    let url = format!("https://localhost:{port}");
    let facade = Facade::with(&["--upstream-url", &url, "--upstream-ca", &ca]).await;
    facade.get("x").await.expect("an answer");
}

#[tokio::test]
async fn plain_http_on_an_https_url() {
    let ca = Authority::new().file();
    let sandbox = answering().await;
    let url = format!("https://{}", sandbox.address());
    let facade = Facade::with(&["--upstream-url", &url, "--upstream-ca", &ca]).await;
    let status = facade.get("x").await.expect_err("no TLS");
    assert_unavailable(&status, HANDSHAKE, "plain HTTP");
    assert!(sandbox.requests().is_empty());
}

#[tokio::test]
async fn tls_on_a_plain_http_url() {
    let authority = Authority::new();
    let sandbox = answering().await;
    let url = format!("http://{}", authority.serve("127.0.0.1", &sandbox).await);
    let facade = Facade::with(&["--upstream-url", &url]).await;
    let status = facade.get("x").await.expect_err("no HTTP");
    assert_unavailable(&status, "answer is not HTTP that can be read", "TLS");
    assert!(sandbox.requests().is_empty());
}

#[tokio::test]
async fn a_connection_closed_in_the_handshake() {
    let ca = Authority::new().file();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let facade = Facade::with(&["--upstream-url", &url, "--upstream-ca", &ca]).await;
    let close = async {
        // No connection is tried twice.
        for _ in 0..2 {
            let (socket, _) = listener.accept().await.unwrap();
            socket.readable().await.unwrap();
        }
    };
    let (answer, ()) = tokio::join!(facade.get("x"), soon(close));
    let status = answer.expect_err("no handshake");
    assert_unavailable(&status, "no connection", "closed");
}

#[tokio::test]
async fn silence_in_the_handshake_counts_as_connecting() {
    let ca = Authority::new().file();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let flags = [
        "--upstream-url",
        &url,
        "--upstream-ca",
        &ca,
        "--connect-timeout",
        "200ms",
    ];
    let facade = Facade::with(&flags).await;
    let (answer, _open) = tokio::join!(facade.get("x"), soon(listener.accept()));
    let status = answer.expect_err("no handshake");
    assert_unavailable(&status, "no connection in time", "silence");
}
