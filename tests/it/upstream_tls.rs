//! An https upstream: who is trusted, and what it means when the other side isn't.

use std::net::Ipv4Addr;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, date_time_ymd,
};
use tokio::net::TcpListener;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use videoconf_facade::{
    proto::v1::GetInfoResponse,
    sandbox::{Reply, Sandbox},
};

use crate::support::{
    Facade, SMALLEST,
    authority::{Authority, pem_file, serve_tls},
    process::{Server, serve},
    sandbox, soon,
};

const HANDSHAKE: &str = "TLS handshake failed";

const NOT_TRUSTED: &str = "authority not trusted";

const ANOTHER_NAME: &str = "certificate for another name";

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
    let url = format!(
        "https://{}",
        ours.serve("127.0.0.1", sandbox.address()).await
    );
    let both = pem_file(&(other.pem() + &ours.pem()));

    for ca in [&ours.file(), &both] {
        let facade = Facade::with(&["--upstream-url", &url, "--upstream-ca", ca]).await;
        facade.get("x").await.expect("an answer");
    }
    assert_eq!(sandbox.requests().len(), 2);

    let facade = Facade::with(&["--upstream-url", &url, "--upstream-ca", &other.file()]).await;
    let status = facade.get("x").await.expect_err("not trusted");
    assert_unavailable(&status, NOT_TRUSTED, "another authority");
    assert_eq!(sandbox.requests().len(), 2, "nothing is sent to a stranger");
}

/// The system's anchors are those of a file here, so that the test knows them.
#[tokio::test]
async fn without_a_given_authority_the_systems_are_trusted() {
    let (ours, other) = (Authority::new(), Authority::new());
    let sandbox = answering().await;
    let url = format!(
        "https://{}",
        ours.serve("127.0.0.1", sandbox.address()).await
    );
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
        assert_unavailable(&status, NOT_TRUSTED, case);
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
    for (host, params, problem) in [
        ("127.0.0.1", with("127.0.0.2", |_| ()), ANOTHER_NAME),
        ("127.0.0.1", with("localhost", |_| ()), ANOTHER_NAME),
        ("localhost", with("elsewhere.example", |_| ()), ANOTHER_NAME),
        (
            "127.0.0.1",
            with("127.0.0.1", |it| it.not_after = date_time_ymd(2020, 1, 1)),
            "certificate expired",
        ),
        (
            "127.0.0.1",
            with("127.0.0.1", |it| it.not_before = date_time_ymd(4000, 1, 1)),
            "certificate not valid yet",
        ),
        (
            "127.0.0.1",
            with("127.0.0.1", |it| {
                it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }),
            HANDSHAKE,
        ),
    ] {
        let case = format!("{host} {params:?}");
        let port = authority.serve_with(params, sandbox.address()).await.port();
        let url = format!("https://{host}:{port}");
        let facade = Facade::with(&["--upstream-url", &url, "--upstream-ca", &ca]).await;
        let status = facade.get("x").await.expect_err(&case);
        assert_unavailable(&status, problem, &case);
    }
    assert!(sandbox.requests().is_empty());

    let port = authority.serve("localhost", sandbox.address()).await.port();
    let url = format!("https://localhost:{port}");
    let facade = Facade::with(&["--upstream-url", &url, "--upstream-ca", &ca]).await;
    facade.get("x").await.expect("an answer");
}

/// As `openssl req -x509` makes one, which says of itself that it is an authority's.
fn self_signed(name: &str, change: fn(&mut CertificateParams)) -> (Certificate, KeyPair) {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap(), key)
}

/// What a caller hears of a facade that is given `ca`, before a `localhost` with this certificate.
async fn asked_with(
    sandbox: &Sandbox,
    (certificate, key): (&Certificate, &KeyPair),
    ca: &str,
) -> Result<GetInfoResponse, Status> {
    let port = serve_tls(certificate, key, sandbox.address()).await.port();
    let url = format!("https://localhost:{port}");
    let facade = Facade::with(&["--upstream-url", &url, "--upstream-ca", ca]).await;
    facade.get("x").await
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_if_it_was_given() {
    let sandbox = answering().await;
    let other = Authority::new().file();
    let own = "its own";
    let cases = [
        (
            "localhost",
            (|_| ()) as fn(&mut CertificateParams),
            own,
            None,
        ),
        // One that is no authority's.
        ("localhost", |it| it.is_ca = IsCa::ExplicitNoCa, own, None),
        ("localhost", |_| (), &other, Some(NOT_TRUSTED)),
        (
            "localhost",
            |it| it.is_ca = IsCa::NoCa,
            &other,
            Some(NOT_TRUSTED),
        ),
        ("elsewhere.example", |_| (), own, Some(ANOTHER_NAME)),
        (
            "localhost",
            |it| it.not_after = date_time_ymd(2020, 1, 1),
            own,
            Some("certificate expired"),
        ),
        (
            "localhost",
            |it| it.not_before = date_time_ymd(4000, 1, 1),
            own,
            Some("certificate not valid yet"),
        ),
    ];
    for (number, (name, change, ca, problem)) in cases.into_iter().enumerate() {
        let (certificate, key) = self_signed(name, change);
        let own_file = pem_file(&certificate.pem());
        let ca = if ca == own { &own_file } else { ca };
        let answer = asked_with(&sandbox, (&certificate, &key), ca).await;
        let case = format!("case {number}: {name} {problem:?}");
        match problem {
            None => drop(answer.expect(&case)),
            Some(problem) => assert_unavailable(&answer.expect_err(&case), problem, &case),
        }
    }
}

/// Others with the name and even the key of what was given aren't it.
#[tokio::test]
async fn a_certificate_that_was_given_is_matched_whole() {
    let sandbox = answering().await;
    let (given, key) = self_signed("elsewhere.example", |_| ());
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let similar = params.self_signed(&key).unwrap();
    let answer = asked_with(&sandbox, (&similar, &key), &pem_file(&given.pem())).await;
    let status = answer.expect_err("not the same");
    assert_unavailable(&status, NOT_TRUSTED, "similar");
    assert!(sandbox.requests().is_empty());
}

/// Trusted itself, without who signed it.
#[tokio::test]
async fn a_signed_certificate_is_trusted_if_it_was_given() {
    let sandbox = answering().await;
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let key = KeyPair::generate().unwrap();
    let authority = CertifiedIssuer::self_signed(
        CertificateParams::new([]).unwrap(),
        KeyPair::generate().unwrap(),
    )
    .unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let ca = pem_file(&certificate.pem());
    let answer = asked_with(&sandbox, (&certificate, &key), &ca).await;
    answer.expect("an answer");
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
    let url = format!(
        "http://{}",
        authority.serve("127.0.0.1", sandbox.address()).await
    );
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
    assert_unavailable(&status, "closed during the handshake", "closed");
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
