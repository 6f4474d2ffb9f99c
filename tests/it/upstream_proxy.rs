//! Through a proxy: which pairs of schemes work, and what it means when it refuses.

use std::net::Ipv4Addr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tonic::Code;
use tonic_types::StatusExt;
use videoconf_facade::sandbox::Reply;

use crate::support::{
    Facade, SMALLEST,
    authority::{Authority, pem_file},
    process::{Server, serve},
    proxy::Proxy,
    sandbox, soon,
};

/// The proxy and Rocket.Chat have certificates of different authorities, so that both are checked.
#[tokio::test]
async fn every_pair_of_schemes_works_with_either_kind_of_trust() {
    let (proxys, chats) = (Authority::new(), Authority::new());
    let both = pem_file(&(proxys.pem() + &chats.pem()));
    let nobody = Authority::new().file();
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let proxy = Proxy::start().await;
    let proxy_tls = proxys.serve("127.0.0.1", proxy.address).await;
    let chat_tls = chats.serve("127.0.0.1", sandbox.address()).await;
    let proxies = [
        format!("http://{}", proxy.address),
        format!("https://{proxy_tls}"),
    ];
    let chats = [sandbox.url(), format!("https://{chat_tls}")];
    let mut asked = 0;
    for proxy_url in &proxies {
        for url in &chats {
            for (system, given) in [(&both, None), (&nobody, Some(&both))] {
                let case = format!("{proxy_url} {url} {given:?}");
                let mut flags = vec!["--upstream-url", url, "--upstream-proxy", proxy_url];
                flags.extend(given.iter().flat_map(|file| ["--upstream-ca", file]));
                let server = Server::start(serve(&flags).env("SSL_CERT_FILE", system)).await;
                server.get("x").await.expect(&case);
                asked += 1;
                assert_eq!(sandbox.requests().len(), asked, "{case}");
                assert_eq!(proxy.connections(), asked, "{case}");
            }
        }
    }
}

/// A proxy that answers whatever it is asked with `reply`, and is asked `count` times. Gives the
/// problem that a caller hears of.
async fn problem_with(reply: &'static str, upstream: &str, count: usize) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let ca = Authority::new().file();
    let flags = [
        "--upstream-url",
        upstream,
        "--upstream-proxy",
        &proxy,
        "--upstream-ca",
        &ca,
    ];
    let facade = Facade::with(&flags).await;
    let refuse = async {
        for _ in 0..count {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(socket.read_u8().await.unwrap());
            }
            socket.write_all(reply.as_bytes()).await.unwrap();
        }
    };
    let (answer, ()) = tokio::join!(facade.get("x"), soon(refuse));
    let again = listener.into_std().unwrap().accept();
    assert!(again.is_err(), "asked more often: {reply}");
    let status = answer.expect_err("a refusal");
    assert_eq!(status.code(), Code::Unavailable, "{reply}");
    let details = status.get_error_details();
    assert!(details.retry_info().is_some(), "{reply}");
    let info = details.error_info().expect("an ErrorInfo");
    assert_eq!(info.reason, "UPSTREAM_UNAVAILABLE", "{reply}");
    info.metadata["problem"].clone()
}

#[tokio::test]
async fn a_proxy_that_wants_credentials_is_the_operators_trouble() {
    let reply = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
    for upstream in ["http://chat.invalid", "https://chat.invalid"] {
        let problem = problem_with(reply, upstream, 1).await;
        assert_eq!(problem, "the proxy asks for credentials", "{upstream}");
    }
}

/// Which of these will pass isn't known, so that it is tried once more.
#[tokio::test]
async fn a_proxy_that_makes_no_tunnel_refuses() {
    for (reply, problem) in [
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "refused by the proxy"),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", "refused by the proxy"),
        ("not HTTP\r\n\r\n", "refused by the proxy"),
        ("", "closed during the handshake"),
    ] {
        let heard = problem_with(reply, "https://chat.invalid", 2).await;
        assert_eq!(heard, problem, "{reply}");
    }
}
