//! Callers' TLS: who is let in, and what anybody else sees.

use std::{net::SocketAddr, time::Duration};

use rcgen::{CertificateParams, date_time_ymd};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use videoconf_facade::{
    proto::v1::video_conference_service_client::VideoConferenceServiceClient,
    sandbox::{Reply, Sandbox},
};

use crate::support::{
    SMALLEST, as_user,
    authority::Authority,
    process::{Server, json_lines},
    raw::said_to,
    request, sandbox, soon,
    tls::{self, client, client_of, connect},
};

/// The server's authority, and the server, which is called `localhost`.
async fn secured(sandbox: &Sandbox, flags: &[&str]) -> (Authority, Server) {
    let authority = Authority::new();
    let (certificate, key) = authority.issue_for("localhost").files();
    let tls = ["--tls-cert", &certificate, "--tls-key", &key];
    let server = Server::before(sandbox, &[&tls, flags].concat()).await;
    (authority, server)
}

#[tokio::test]
async fn both_versions_are_spoken_with_http2_in_them() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let (authority, server) = secured(&sandbox, &[]).await;
    for version in [&TLS12, &TLS13] {
        let config = client_of(&[version], &authority, None);
        let stream = connect(server.address, config.clone()).await.unwrap();
        let (_, session) = stream.get_ref();
        assert_eq!(session.protocol_version(), Some(version.version));
        assert_eq!(session.alpn_protocol(), Some(&b"h2"[..]));
        let channel = tls::channel(server.address, config);
        let mut client = VideoConferenceServiceClient::new(channel);
        let answer = client.get_info(as_user(request("x"))).await;
        answer.expect("an answer");
    }
    let log = server.end().await.stderr;
    let serving = &json_lines(&log)[0];
    assert_eq!(
        (&serving["message"], &serving["tls"]),
        (&"serving".into(), &"on".into())
    );
}

#[tokio::test]
async fn who_speaks_something_else_is_told_so_and_logged() {
    let sandbox = sandbox().await;
    for (message, spoken, answer) in [
        (
            &b"GET / HTTP/1.1\r\nhost: facade\r\n\r\n"[..],
            "HTTP/1",
            "HTTP/1.1 400 ",
        ),
        (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "HTTP/2 without TLS",
            "",
        ),
        (
            b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n",
            "the PROXY protocol",
            "",
        ),
    ] {
        let (authority, server) = secured(&sandbox, &[]).await;
        let said = said_to(server.address, message).await;
        let said = String::from_utf8(said).unwrap();
        assert!(said.starts_with(answer), "{spoken}: {said}");
        assert_eq!(said.is_empty(), answer.is_empty(), "{spoken}: {said}");
        let line = |line: &serde_json::Value| line["spoken"] == spoken;
        server.process.stderr.find_json(line).await;
        // Others are served as before.
        connect(server.address, client(&authority, None))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_ended_in_silence() {
    let sandbox = sandbox().await;
    let (_, server) = secured(&sandbox, &["--handshake-timeout", "200ms"]).await;
    // Nothing, and the beginning of a record.
    for message in [&b""[..], &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00]] {
        assert!(said_to(server.address, message).await.is_empty());
    }
    // A probe that only connects.
    drop(TcpStream::connect(server.address).await.unwrap());
    let log = server.end().await.stderr;
    assert!(
        json_lines(&log).iter().all(|line| line["level"] != "WARN"),
        "{log}"
    );
}

#[tokio::test]
async fn tls_and_http2_share_the_time_of_the_handshake() {
    let sandbox = sandbox().await;
    let (authority, server) = secured(&sandbox, &["--handshake-timeout", "300ms"]).await;
    let mut stream = connect(server.address, client(&authority, None))
        .await
        .unwrap();
    let mut said = Vec::new();
    let _ = soon(stream.read_to_end(&mut said)).await;
    assert!(said.is_empty());
}

#[tokio::test]
async fn clients_need_a_certificate_if_there_are_authorities_for_them() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let clients = Authority::new();
    let (authority, server) = secured(&sandbox, &["--tls-client-ca", &clients.file()]).await;
    let mut expired = CertificateParams::new([]).unwrap();
    expired.not_after = date_time_ymd(2020, 1, 1);
    let (good, expired) = (clients.issue_for("client"), clients.issue(&expired));
    let foreign = Authority::new().issue_for("client");

    for version in [&TLS12, &TLS13] {
        let channel = tls::channel(
            server.address,
            client_of(&[version], &authority, Some(&good)),
        );
        let mut caller = VideoConferenceServiceClient::new(channel);
        let answer = caller.get_info(as_user(request("x"))).await;
        answer.expect("an answer");
        for (identity, alert) in [
            (None, "CertificateRequired"),
            (Some(&expired), "CertificateExpired"),
            // Its authority has the same name, and another key.
            (Some(&foreign), "DecryptError"),
        ] {
            let config = client_of(&[version], &authority, identity);
            let problem = refusal(server.address, config).await;
            // Before 1.3 there was no alert of its own for the first.
            let is_known = problem.contains(alert) || (identity.is_none() && *version == TLS12);
            assert!(problem.contains("alert") && is_known, "{alert}: {problem}");
        }
    }
    let log = server
        .process
        .stderr
        .message("a TLS handshake failed")
        .await;
    assert_eq!(log["error"], "peer sent no certificates");
    let requests = sandbox.requests();
    assert_eq!(requests.len(), 2, "of those who were let in");
}

/// What a client hears that isn't let in, which may be after its own part of the handshake.
async fn refusal(address: SocketAddr, config: tokio_rustls::rustls::ClientConfig) -> String {
    let mut stream = match soon(connect(address, config)).await {
        Ok(stream) => stream,
        Err(error) => return error.to_string(),
    };
    // As a client would that doesn't wait.
    let _ = stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let mut said = Vec::new();
    let ended = soon(stream.read_to_end(&mut said)).await;
    assert!(said.is_empty(), "{said:?}");
    ended.expect_err("an alert").to_string()
}

/// A resumed session would go on with a certificate that nobody looks at again.
#[tokio::test]
async fn sessions_are_not_resumed() {
    let sandbox = sandbox().await;
    let (authority, server) = secured(&sandbox, &[]).await;
    for version in [&TLS12, &TLS13] {
        let config = client_of(&[version], &authority, None);
        for _ in 0..2 {
            let mut stream = connect(server.address, config.clone()).await.unwrap();
            // As long as it takes for a ticket to come.
            stream
                .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
                .await
                .unwrap();
            stream.read_u8().await.unwrap();
            let kind = stream.get_ref().1.handshake_kind().unwrap();
            assert_eq!(kind, tokio_rustls::rustls::HandshakeKind::Full);
        }
    }
}

/// An answer that fills every buffer on its way to a client that reads slowly.
#[tokio::test]
async fn large_answers_arrive_whole() {
    let sandbox = sandbox().await;
    let text = "x".repeat(900_000);
    sandbox.always(Reply::json(
        200,
        format!(r#"{{"_id":"x","title":"{text}","success":true}}"#),
    ));
    let (authority, server) = secured(&sandbox, &[]).await;
    let mut calls = tokio::task::JoinSet::new();
    let channel = tls::channel(server.address, client(&authority, None));
    for _ in 0..8 {
        let mut client = VideoConferenceServiceClient::new(channel.clone());
        calls.spawn(async move { client.get_info(as_user(request("x"))).await });
    }
    while let Some(answer) = soon(calls.join_next()).await {
        let answer = answer.unwrap().expect("an answer").into_inner();
        let title = answer.video_conference.unwrap().title.unwrap();
        assert_eq!(title.len(), text.len());
    }
}

#[tokio::test]
async fn the_end_of_the_server_loses_no_call_over_tls() {
    let sandbox = sandbox().await;
    let late = Reply::json(200, SMALLEST).delay(Duration::from_secs(1));
    sandbox.script(late);
    let (authority, server) = secured(&sandbox, &[]).await;
    let channel = tls::channel(server.address, client(&authority, None));
    let mut caller = VideoConferenceServiceClient::new(channel);
    let call = tokio::spawn(async move { caller.get_info(as_user(request("x"))).await });
    sandbox.wait_for_requests(1).await;
    let ended = server.end().await;
    assert_eq!(ended.status, Some(0));
    soon(call).await.unwrap().expect("an answer");
}
