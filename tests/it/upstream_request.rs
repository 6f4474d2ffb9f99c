//! What arrives at Rocket.Chat: one GET with the caller's credentials, and nothing else of the
//! caller, of the environment or of whatever an answer would have the facade do.

use std::{collections::BTreeMap, ffi::OsStr, net::Ipv4Addr};

use percent_encoding::percent_decode_str;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tonic::{Code, metadata::MetadataValue};
use videoconf_facade::sandbox::{Reply, Request, Sandbox, USERS};

use crate::support::{
    Facade, SMALLEST, as_user,
    authority::Authority,
    process::{Server, serve},
    request, sandbox, soon, with_metadata,
};

const PATH: &str = "/api/v1/video-conference.info";

async fn answering() -> Sandbox {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    sandbox
}

fn only_request(sandbox: &Sandbox) -> Request {
    let requests = sandbox.requests();
    assert_eq!(requests.len(), 1);
    requests.into_iter().next().unwrap()
}

/// All headers, by their names.
fn headers(request: &Request) -> BTreeMap<&str, &str> {
    let headers = request.headers.iter();
    let headers: BTreeMap<_, _> = headers
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    assert_eq!(headers.len(), request.headers.len(), "each once");
    headers
}

fn expected_headers<'a>(host: &'a str, user: [&'a str; 2]) -> BTreeMap<&'a str, &'a str> {
    BTreeMap::from([
        ("accept", "application/json"),
        ("accept-encoding", "gzip, deflate"),
        ("host", host),
        (
            "user-agent",
            concat!("videoconf-facade/", env!("CARGO_PKG_VERSION")),
        ),
        ("x-auth-token", user[1]),
        ("x-user-id", user[0]),
    ])
}

#[tokio::test]
async fn one_get_with_these_headers_and_no_other() {
    let sandbox = answering().await;
    let facade = Facade::before(&sandbox).await;
    facade
        .get("697866d5c8b053302078137a")
        .await
        .expect("an answer");
    let seen = only_request(&sandbox);
    assert_eq!(seen.method, "GET");
    assert_eq!(
        seen.target,
        format!("{PATH}?callId=697866d5c8b053302078137a")
    );
    let host = sandbox.address().to_string();
    assert_eq!(
        headers(&seen),
        expected_headers(&host, [USERS[0].id, USERS[0].token])
    );
}

#[tokio::test]
async fn what_else_a_caller_sends_stays_here() {
    let sandbox = answering().await;
    let facade = Facade::before(&sandbox).await;
    let mut request = as_user(request("x"));
    for name in [
        "accept",
        "accept-language",
        "authorization",
        "baggage",
        "cache-control",
        "cookie",
        "forwarded",
        "from",
        "if-none-match",
        "origin",
        "proxy-authorization",
        "range",
        "referer",
        "traceparent",
        "via",
        "x-2fa-code",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-real-ip",
        "x-request-id",
        "x-user-agent",
        "x-visitor-token",
    ] {
        let value = MetadataValue::from_static("of-the-caller");
        request.metadata_mut().insert(name, value);
    }
    let value = MetadataValue::from_bytes(b"of-the-caller");
    request.metadata_mut().insert_bin("x-auth-token-bin", value);
    facade.client().get_info(request).await.expect("an answer");
    let host = sandbox.address().to_string();
    let expected = expected_headers(&host, [USERS[0].id, USERS[0].token]);
    assert_eq!(headers(&only_request(&sandbox)), expected);
}

#[tokio::test]
async fn credentials_arrive_as_they_were_given() {
    for user in [
        ["a", "b"],
        ["user id", "tok\"en;=, \\~!"],
        ["~", &"t".repeat(2000)],
    ] {
        let sandbox = answering().await;
        let facade = Facade::before(&sandbox).await;
        let metadata = [("x-user-id", user[0]), ("x-auth-token", user[1])];
        let request = with_metadata(request("x"), &metadata);
        facade.client().get_info(request).await.expect("an answer");
        let host = sandbox.address().to_string();
        assert_eq!(
            headers(&only_request(&sandbox)),
            expected_headers(&host, user)
        );
    }
}

/// Rocket.Chat reads the query between the first `?` and the second, splits it at `&` and `=`,
/// takes `+` for a space and decodes the rest.
#[tokio::test]
async fn any_call_id_arrives_as_one_parameter() {
    let sandbox = answering().await;
    let facade = Facade::before(&sandbox).await;
    let printable: String = (' '..='~').collect();
    for call_id in [
        "a b&c=d?x#y%2F+",
        &printable,
        " ",
        "+",
        "%",
        "%00",
        "a/../../b",
        "..",
        "callId=x&callId=y",
        "callId[$ne]=x",
        "a;b",
        "'\"<>`|^{}[]\\",
        "é ключ 会議 \u{200f}\u{2028}",
        "🎥👩‍👩‍👧",
        "e\u{301}",
        "\u{fffd}\u{ffff}\u{10ffff}\u{a0}\u{feff}",
        &"é".repeat(128),
    ] {
        let before = sandbox.requests().len();
        facade.get(call_id).await.expect("an answer");
        let requests = sandbox.requests();
        assert_eq!(requests.len(), before + 1, "{call_id}");
        let target = &requests[before].target;
        let value = target.strip_prefix(&format!("{PATH}?callId=")).unwrap();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
        assert!(value.bytes().all(is_plain), "{target}");
        let decoded = percent_decode_str(value).decode_utf8().unwrap();
        assert_eq!(decoded, call_id, "{target}");
    }
    facade.get("a b").await.expect("an answer");
    let last = sandbox.requests().pop().unwrap();
    assert!(last.target.ends_with("=a%20b"), "{}", last.target);
}

#[tokio::test]
async fn base_urls_may_have_a_path() {
    for (path, expected) in [
        ("", ""),
        ("/", ""),
        ("//", ""),
        ("/chat", "/chat"),
        ("/chat/", "/chat"),
        ("/a/b//", "/a/b"),
        ("/with%20space/é", "/with%20space/%C3%A9"),
    ] {
        let sandbox = answering().await;
        let url = sandbox.url() + path;
        let facade = Facade::with(&["--upstream-url", &url]).await;
        facade.get("x").await.expect("an answer");
        let target = only_request(&sandbox).target;
        assert_eq!(target, format!("{expected}{PATH}?callId=x"), "{path}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (sandbox, elsewhere) = (answering().await, answering().await);
    let facade = Facade::before(&sandbox).await;
    for (asked, status) in [300, 301, 302, 303, 307, 308].into_iter().enumerate() {
        for location in [elsewhere.url() + PATH, "/elsewhere".to_owned()] {
            let reply = Reply::json(status, SMALLEST).header("location", location);
            let answer = facade.get_scripted(&sandbox, reply).await;
            assert_eq!(
                answer.expect_err("a refusal").code(),
                Code::Internal,
                "{status}"
            );
        }
        assert_eq!(sandbox.requests().len(), 2 * asked + 2, "{status}");
    }
    assert_eq!(elsewhere.connections(), 0);
}

/// Cookies, alternative services and the like are forgotten with the answer that brought them.
#[tokio::test]
async fn an_answer_changes_nothing_in_the_next_request() {
    let (sandbox, elsewhere) = (answering().await, answering().await);
    let facade = Facade::before(&sandbox).await;
    let reply = Reply::json(200, SMALLEST)
        .header("set-cookie", "rc_token=x; Path=/")
        .header("etag", "\"x\"")
        .header("last-modified", "Mon, 23 Nov 2026 10:00:00 GMT")
        .header("cache-control", "max-age=3600")
        .header("alt-svc", format!("http/1.1=\"{}\"", elsewhere.address()));
    facade
        .get_scripted(&sandbox, reply)
        .await
        .expect("an answer");
    facade.get("scripted").await.expect("an answer");
    let [first, second] = &sandbox.requests()[..] else {
        panic!("two requests")
    };
    assert_eq!(
        (headers(first), &first.target),
        (headers(second), &second.target)
    );
    assert_eq!(elsewhere.connections(), 0);
}

/// Steady traffic would hold on to an address for ever.
#[tokio::test]
async fn connections_have_an_age_limit() {
    let sandbox = answering().await;
    let with = async |max_age| {
        let url = sandbox.url();
        let flags = ["--upstream-url", &url, "--upstream-limit", "none"];
        Facade::with(&[&flags[..], &["--upstream-connection-max-age", max_age]].concat()).await
    };
    let facade = with("1h").await;
    for _ in 0..20 {
        facade.get("x").await.expect("an answer");
    }
    assert_eq!(sandbox.connections(), 1);

    let facade = with("20ms").await;
    soon(async {
        while sandbox.connections() < 4 {
            facade.get("x").await.expect("an answer");
        }
    })
    .await;
}

#[tokio::test]
async fn the_environments_proxies_are_not_used() {
    let (sandbox, proxy) = (answering().await, answering().await);
    let proxy_url = proxy.url();
    let variables = [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ];
    let environment = variables.map(|name| (name, OsStr::new(&proxy_url)));
    let served = Server::start(serve(&["--upstream-url", &sandbox.url()]).envs(environment)).await;
    served.get("x").await.expect("an answer");
    assert_eq!(sandbox.requests().len(), 1);
    assert_eq!(proxy.connections(), 0);
}

/// Neither to let a request go past the configured proxy.
#[tokio::test]
async fn the_environments_exceptions_from_proxies_are_not_used() {
    let (sandbox, proxy) = (answering().await, answering().await);
    let exceptions = ["NO_PROXY", "no_proxy"].map(|name| (name, OsStr::new("*,127.0.0.1")));
    let flags = [
        "--upstream-url",
        &sandbox.url(),
        "--upstream-proxy",
        &proxy.url(),
    ];
    let served = Server::start(serve(&flags).envs(exceptions)).await;
    served.get("x").await.expect("an answer");
    assert_eq!(proxy.requests().len(), 1);
    assert_eq!(sandbox.connections(), 0);
}

#[tokio::test]
async fn the_configured_proxy_is_used() {
    for (credentials, authorization) in [("", None), ("me:p%40ss@", Some("Basic bWU6cEBzcw=="))] {
        let proxy = answering().await;
        let url = proxy.url().replace("://", &format!("://{credentials}"));
        let flags = [
            "--upstream-url",
            "http://chat.invalid:81/prefix/",
            "--upstream-proxy",
            &url,
        ];
        let facade = Facade::with(&flags).await;
        facade.get("a b").await.expect("an answer");
        let seen = only_request(&proxy);
        let target = format!("http://chat.invalid:81/prefix{PATH}?callId=a%20b");
        assert_eq!((seen.method.as_str(), &seen.target), ("GET", &target));
        let mut expected = expected_headers("chat.invalid:81", [USERS[0].id, USERS[0].token]);
        expected.extend(authorization.map(|value| ("proxy-authorization", value)));
        assert_eq!(headers(&seen), expected);
    }
}

/// Through a proxy, https is a tunnel: the proxy learns where to, and no credentials.
#[tokio::test]
async fn the_proxy_of_an_https_upstream_sees_a_tunnel_only() {
    let proxy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    let ca = Authority::new().file();
    let flags = [
        "--upstream-url",
        "https://chat.invalid",
        "--upstream-proxy",
        &url,
        "--upstream-ca",
        &ca,
    ];
    let facade = Facade::with(&flags).await;
    let tunnel = soon(async {
        let (mut socket, _) = proxy.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
        let refusal = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n";
        socket.write_all(refusal).await.unwrap();
        String::from_utf8(head).unwrap()
    });
    let (answer, head) = tokio::join!(facade.get("x"), tunnel);
    assert_eq!(answer.expect_err("no tunnel").code(), Code::Unavailable);
    assert!(
        head.starts_with("CONNECT chat.invalid:443 HTTP/1.1\r\n"),
        "{head}"
    );
    for secret in [USERS[0].id, USERS[0].token, "callId"] {
        assert!(!head.contains(secret), "{head}");
    }
}
