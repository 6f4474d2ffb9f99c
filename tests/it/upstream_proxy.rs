//! Through a proxy: which pairs of schemes work, and what it means when it refuses.

use std::net::Ipv4Addr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tonic::{Code, Status};
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

/// Asks once through a proxy that `user` uses and that answers whatever it is asked with `reply`, which
/// is `count` times. Gives what the proxy was sent, and the status.
async fn refused(user: &str, reply: &str, upstream: &str, count: usize) -> (Vec<String>, Status) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let proxy = format!("http://{user}{}", listener.local_addr().unwrap());
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
        let mut heads = Vec::new();
        for _ in 0..count {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                head.push(char::from(socket.read_u8().await.unwrap()));
            }
            heads.push(head);
            socket.write_all(reply.as_bytes()).await.unwrap();
        }
        heads
    };
    let (answer, heads) = tokio::join!(facade.get("x"), soon(refuse));
    let again = listener.into_std().unwrap().accept();
    assert!(again.is_err(), "asked more often: {reply}");
    (heads, answer.expect_err("a refusal"))
}

/// The problem that a caller hears of.
async fn problem_with(reply: &str, upstream: &str, count: usize) -> String {
    let (_, status) = refused("", reply, upstream, count).await;
    assert_eq!(status.code(), Code::Unavailable, "{reply}");
    let details = status.get_error_details();
    assert!(details.retry_info().is_some(), "{reply}");
    let info = details.error_info().expect("an ErrorInfo");
    assert_eq!(info.reason, "UPSTREAM_UNAVAILABLE", "{reply}");
    info.metadata["problem"].clone()
}

const WHO_ARE_YOU: &str = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";

/// With or without a tunnel. "Basic" is base64 of `us@er:p:ss`.
#[tokio::test]
async fn a_proxy_is_told_who_uses_it() {
    for upstream in ["http://chat.invalid", "https://chat.invalid"] {
        let (heads, _) = refused("us%40er:p%3Ass@", WHO_ARE_YOU, upstream, 1).await;
        let mut lines = heads[0].lines().filter_map(|line| line.split_once(": "));
        let told = lines.find(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization"));
        let (_, told) = told.expect(upstream);
        assert_eq!(told, "Basic dXNAZXI6cDpzcw==", "{upstream}");
    }
}

#[tokio::test]
async fn a_proxy_that_wants_credentials_is_the_operators_trouble() {
    let reply = WHO_ARE_YOU;
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

/// What is wrong is what is wrong with the way to the proxy.
#[tokio::test]
async fn a_proxy_that_cannot_be_reached_has_refused_nothing() {
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    for (proxy, problem) in [
        (format!("http://{address}"), "connection refused"),
        ("http://proxy.invalid:1".to_owned(), "unknown host"),
    ] {
        for upstream in ["http://chat.invalid", "https://chat.invalid"] {
            let flags = ["--upstream-url", upstream, "--upstream-proxy", &proxy];
            let status = Facade::with(&flags).await.get("x").await;
            let details = status.expect_err("a refusal").get_error_details();
            let info = details.error_info().expect("an ErrorInfo");
            assert_eq!(info.reason, "UPSTREAM_UNAVAILABLE", "{proxy} {upstream}");
            assert_eq!(info.metadata["problem"], problem, "{proxy} {upstream}");
        }
    }
}
