//! What is measured agrees with what callers saw, and grows with nothing that they send.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::support::{
    GET_INFO, SMALLEST,
    authority::Authority,
    process::{Server, json_lines, run, serve},
    raw::{Answer, Connection, frame, said_to},
    request, sandbox, soon,
    tls::{client, connect},
};
use rustix::process::Signal;
use videoconf_facade::sandbox::{Options, Reply, Sandbox, USERS};

const SERVICE: &str = "rocketchat.videoconference.v1.VideoConferenceService";

const NO_LIMIT: [&str; 2] = ["--upstream-limit", "none"];

/// A facade that operators can look at, and where.
pub async fn watched(sandbox: &Sandbox, flags: &[&str]) -> (Server, SocketAddr) {
    let always = ["--admin-listen", "127.0.0.1:0"];
    let server = Server::before(sandbox, &[&always, flags].concat()).await;
    let admin = admin_of(&server).await;
    (server, admin)
}

/// The same, before whatever is at this address.
async fn watched_before(upstream: SocketAddr) -> (Server, SocketAddr) {
    let url = format!("http://{upstream}");
    let flags = ["--upstream-url", &url, "--admin-listen", "127.0.0.1:0"];
    let server = Server::start(&mut serve(&flags)).await;
    let admin = admin_of(&server).await;
    (server, admin)
}

async fn admin_of(server: &Server) -> SocketAddr {
    let line = server.process.stderr.message("serving operators").await;
    let admin = line["listen"].as_str().and_then(|it| it.parse().ok());
    admin.expect("an address")
}

/// What a request to the admin port gets, head and all.
pub async fn asked(admin: SocketAddr, method: &str, path: &str) -> String {
    let request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    String::from_utf8(said_to(admin, request.as_bytes()).await).expect("text")
}

/// The lines of `/metrics`, by all before their value.
pub async fn measured(admin: SocketAddr) -> BTreeMap<String, String> {
    let text = asked(admin, "GET", "/metrics").await;
    let (head, body) = text.split_once("\r\n\r\n").expect("a body");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    let lines = body.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            (series.to_owned(), value.to_owned())
        })
        .collect()
}

/// How many calls of `GetInfo` ended with `code`, as the classic counter has it.
fn handled<'a>(measured: &'a BTreeMap<String, String>, code: &str) -> &'a str {
    let series = format!(
        "grpc_server_handled_total{{grpc_code=\"{code}\",grpc_method=\"GetInfo\",\
         grpc_service=\"{SERVICE}\",grpc_type=\"unary\"}}"
    );
    measured.get(&series).map_or("0", String::as_str)
}

/// Waits until `is_it` holds for what was measured.
pub async fn until(
    admin: SocketAddr,
    is_it: impl Fn(&BTreeMap<String, String>) -> bool,
) -> BTreeMap<String, String> {
    soon(async {
        loop {
            let measured = measured(admin).await;
            if is_it(&measured) {
                return measured;
            }
        }
    })
    .await
}

/// What Rocket.Chat may have counted counts, and nothing else: each call is tried twice.
#[tokio::test]
async fn a_request_that_was_not_sent_costs_nothing() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (server, admin) = watched_before(address).await;
    let used = async || {
        let mut measured = measured(admin).await.into_iter();
        let used = measured.find(|(series, _)| series.starts_with("videoconf_allowance_used"));
        used.expect("a gauge").1
    };
    let close = async {
        for _ in 0..2 {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.read_u8().await.unwrap();
        }
    };
    let (heard, ()) = tokio::join!(server.get("x"), soon(close));
    heard.expect_err("no answer");
    assert_eq!(used().await, "2");
    drop(listener);
    server.get("y").await.expect_err("no connection");
    assert_eq!(used().await, "2");
}

#[tokio::test]
async fn counts_agree_with_what_callers_saw() {
    let sandbox = sandbox().await;
    let (server, admin) = watched(&sandbox, &NO_LIMIT).await;
    let mut connection = Connection::open(server.address).await;

    sandbox.always(Reply::json(200, SMALLEST));
    for _ in 0..7 {
        assert_eq!(connection.get_info("x", &[]).await.grpc_status(), "0");
    }
    for _ in 0..3 {
        assert_eq!(connection.get_info("", &[]).await.grpc_status(), "3");
    }
    sandbox.always(Reply::hang());
    for _ in 0..2 {
        let hurried = [("grpc-timeout", "50m")];
        assert_eq!(connection.get_info("y", &hurried).await.grpc_status(), "4");
    }
    let before = sandbox.requests().len();
    let headers = [("x-user-id", USERS[0].id), ("x-auth-token", USERS[0].token)];
    let leaving = connection
        .send(GET_INFO, &headers, frame(&request("z")))
        .await;
    soon(sandbox.wait_for_requests(before + 1)).await;
    drop(leaving);

    let measured = until(admin, |it| handled(it, "Canceled") != "0").await;
    for (code, expected) in [
        ("OK", "7"),
        ("InvalidArgument", "3"),
        ("DeadlineExceeded", "2"),
        ("Canceled", "1"),
    ] {
        assert_eq!(handled(&measured, code), expected, "{code}");
    }
    let started = format!(
        "grpc_server_started_total{{grpc_method=\"GetInfo\",grpc_service=\"{SERVICE}\",grpc_type=\"unary\"}}"
    );
    for (series, expected) in [
        (&*started, "13"),
        (
            "videoconf_refusals_total{problem=\"\",reason=\"INVALID_CALL_ID\"}",
            "3",
        ),
        (
            "videoconf_refusals_total{problem=\"\",reason=\"DEADLINE_EXCEEDED\"}",
            "2",
        ),
        ("videoconf_answers_total{source=\"own read\"}", "7"),
        ("videoconf_answer_age_seconds_count", "7"),
        ("videoconf_calls_in_flight", "0"),
        ("videoconf_connections_open", "1"),
        ("videoconf_connections_accepted_total", "1"),
    ] {
        assert_eq!(
            measured.get(series).map(String::as_str),
            Some(expected),
            "{series}"
        );
    }
    let requests = "http_client_request_duration_seconds_count{http_request_method=\"GET\",\
         http_response_status_code=\"200\",url_template=\"/api/v1/video-conference.info\"}";
    assert_eq!(measured.get(requests).map(String::as_str), Some("7"));
}

/// Eight callers at once, each with reads of their own, some without an answer in time.
#[tokio::test]
async fn counts_agree_over_a_restart_of_upstream() {
    let upstream = sandbox().await;
    let address = upstream.address();
    upstream.always(Reply::json(200, SMALLEST));
    let (server, admin) = watched(&upstream, &NO_LIMIT).await;
    let ask = async |number: usize| {
        // What the server says, not what a client makes of its own clock.
        let mut connection = Connection::open(server.address).await;
        let mut seen = Vec::new();
        for call in 0..100 {
            let id = format!("{number}-{call}");
            let answer = connection.get_info(&id, &[("grpc-timeout", "100m")]);
            seen.push(match answer.await.grpc_status() {
                "0" => "OK",
                "4" => "DeadlineExceeded",
                "14" => "Unavailable",
                other => panic!("{other}"),
            });
        }
        seen
    };
    let callers = join_all((0..8).map(ask));
    let restart = async {
        upstream.wait_for_requests(200).await;
        upstream.always(Reply::hang());
        upstream
            .wait_for_requests(upstream.requests().len() + 20)
            .await;
        drop(upstream);
        let down = |it: &BTreeMap<_, _>| handled(it, "Unavailable") != "0";
        until(admin, down).await;
        let options = Options {
            rate_limit: false,
            ..Options::default()
        };
        let again = Sandbox::start(address, options).await.expect("its port");
        again.always(Reply::json(200, SMALLEST));
        again
    };
    let (seen, _upstream) = tokio::join!(callers, restart);
    let seen = seen.concat();
    let measured = measured(admin).await;
    for code in ["OK", "DeadlineExceeded", "Unavailable"] {
        let count = seen.iter().filter(|it| **it == code).count();
        assert!(count > 0, "{code}");
        assert_eq!(handled(&measured, code), count.to_string(), "{code}");
    }
}

#[tokio::test]
async fn nothing_that_callers_send_makes_a_series() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let (server, admin) = watched(&sandbox, &NO_LIMIT).await;
    let mut connection = Connection::open(server.address).await;
    let mut ask = async |number: usize| {
        let (id, token) = (format!("user-{number}"), format!("canary-{number}"));
        let headers = [("x-user-id", &*id), ("x-auth-token", &*token)];
        let body = || frame(&request(&format!("call-{number}")));
        let path = format!("/canary.Service/Method{number}");
        for path in [GET_INFO, &path] {
            let answer = connection.send(path, &headers, body()).await;
            Answer::read(answer).await;
        }
    };
    ask(0).await;
    let before: BTreeSet<_> = measured(admin).await.into_keys().collect();
    for number in 1..200 {
        ask(number).await;
    }
    let after: BTreeSet<_> = measured(admin).await.into_keys().collect();
    assert_eq!(after, before);
    let leaked = after
        .iter()
        .find(|it| it.contains("canary") || it.contains("user-"));
    assert_eq!(leaked, None);
}

#[tokio::test]
async fn the_table_in_the_docs_is_what_is_served() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let authority = Authority::new();
    let (certificate, key) = authority.issue_for("localhost").files();
    let flags = [
        "--grpc-server-handling-seconds",
        "--tls-cert",
        &certificate,
        "--tls-key",
        &key,
    ];
    let (server, admin) = watched(&sandbox, &flags).await;
    let stream = connect(server.address, client(&authority, None)).await;
    let mut connection = Connection::over(stream.expect("TLS"), admin).await;
    connection.get_info("x", &[]).await;
    connection.get_info("", &[]).await;
    drop(connection);
    until(admin, |it| {
        it.keys()
            .any(|it| it.starts_with("videoconf_connections_ended"))
    })
    .await;
    let text = asked(admin, "GET", "/metrics").await;
    let kinds = |line: &str| {
        let (name, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
        Some((name.to_owned(), kind.to_owned()))
    };
    let shown: BTreeSet<_> = text.lines().filter_map(kinds).collect();
    let rows = include_str!("../../docs/metrics.md")
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            let name = cells.next()?.trim_end_matches('`');
            Some((name.to_owned(), cells.next()?.to_owned()))
        });
    let told: BTreeSet<_> = rows.collect();
    assert_eq!(shown, told);
}

#[tokio::test]
async fn the_admin_port_has_its_pages_and_nothing_else() {
    let sandbox = sandbox().await;
    let (server, admin) = watched(&sandbox, &["--shutdown-notice", "30s"]).await;
    for (method, path, status) in [
        ("GET", "/livez", 200),
        ("GET", "/readyz", 200),
        ("HEAD", "/metrics", 200),
        ("POST", "/metrics", 405),
        ("DELETE", "/readyz", 405),
        ("GET", "/", 200),
        ("GET", "/page.js", 200),
        ("HEAD", "/history.json", 200),
        ("PUT", "/", 405),
        ("GET", "/page", 404),
        ("GET", "/metrics/x", 404),
        ("GET", "/../etc/passwd", 404),
    ] {
        let said = asked(admin, method, path).await;
        let expected = format!("HTTP/1.1 {status} ");
        assert!(said.starts_with(&expected), "{method} {path}: {said}");
        let body = said.split_once("\r\n\r\n").expect("a head").1;
        assert_eq!(body.is_empty(), method == "HEAD", "{method} {path}");
    }
    for nonsense in ["\u{1}\u{2}\r\n\r\n", "GET /livez HTTP/9\r\n\r\n"] {
        let said = said_to(admin, nonsense.as_bytes()).await;
        assert!(said.starts_with(b"HTTP/1.1 400 "), "{nonsense:?}");
    }
    let head = format!("GET /livez HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(100_000));
    let said = said_to(admin, head.as_bytes()).await;
    assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 431 "));

    server.process.signal(Signal::TERM);
    server.process.stderr.message("leaving soon").await;
    assert!(
        asked(admin, "GET", "/readyz")
            .await
            .starts_with("HTTP/1.1 503 ")
    );
    assert!(
        asked(admin, "GET", "/livez")
            .await
            .starts_with("HTTP/1.1 200 ")
    );
    server.process.signal(Signal::TERM);
}

#[tokio::test]
async fn the_configuration_is_shown_without_secrets() {
    let url = "http://127.0.0.1:9/canary";
    let flags = ["--admin-listen", "127.0.0.1:0", "--upstream-url", url];
    let mut command = serve(&[&flags[..], &["--fresh-for", "2s"]].concat());
    command.env("VIDEOCONF_STALE_FOR", "20s");
    command.env("VIDEOCONF_UPSTREAM_PROXY", "http://u:canary@127.0.0.1:9");
    command.env("OTEL_TRACES_EXPORTER", "otlp");
    command.env(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "http://u:canary@127.0.0.1:9/canary",
    );
    command.env("OTEL_METRICS_EXPORTER", "none");
    command.env("OTEL_EXPORTER_OTLP_HEADERS", "key=canary");
    let server = Server::start(&mut command).await;
    let line = server.process.stderr.message("serving operators").await;
    let admin = line["listen"].as_str().and_then(|it| it.parse().ok());
    let said = asked(admin.expect("an address"), "GET", "/config").await;
    let (_, body) = said.split_once("\r\n\r\n").expect("a body");
    let config: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(config["command"], "serve");
    for (flag, value, from) in [
        ("fresh-for", json!("2s"), "flag"),
        ("stale-for", json!("20s"), "variable"),
        ("refresh-wait", json!("250ms"), "default"),
        ("tls-cert", json!(null), "default"),
        (
            "upstream-url",
            json!("http://127.0.0.1:9, and more"),
            "flag",
        ),
        (
            "upstream-proxy",
            json!("http://127.0.0.1:9, and more"),
            "variable",
        ),
    ] {
        let found = &config["flags"][flag];
        assert_eq!(found, &json!({ "value": value, "from": from }), "{flag}");
    }
    let traces = json!({ "receiver": "http://127.0.0.1:9", "protocol": "http/protobuf" });
    assert_eq!(config["otlp"], json!({ "traces": traces }));
    assert!(!said.contains("canary"), "{said}");
}

#[tokio::test]
async fn the_history_has_what_the_page_draws() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let (server, admin) = watched(&sandbox, &[]).await;
    let mut connection = Connection::open(server.address).await;
    assert_eq!(connection.get_info("canary", &[]).await.grpc_status(), "0");
    let history = soon(async {
        loop {
            let said = asked(admin, "GET", "/history.json").await;
            let (_, body) = said.split_once("\r\n\r\n").expect("a body");
            let history: Value = serde_json::from_str(body).expect("JSON");
            // A sample is taken every other second; the first one that knows of it may be from amidst the call.
            let known = history["history"]["series"]["calls/OK"].as_array();
            if known.is_some_and(|values| values.iter().filter(|it| **it == 1.0).count() > 1) {
                assert!(!said.contains("canary"), "{said}");
                return history["history"].clone();
            }
        }
    })
    .await;
    let last = |series: &str| {
        let values = history["series"][series].as_array();
        values.and_then(|it| it.last()).and_then(Value::as_f64)
    };
    for (series, expected) in [
        ("calls/OK", 1.0),
        ("answers/own read", 1.0),
        ("age/+Inf", 1.0),
        ("duration/+Inf", 1.0),
        ("upstream_count/200", 1.0),
        ("allowance/limit", 15.0),
        ("upstream_down", 0.0),
        ("queue", 0.0),
        ("in_flight", 0.0),
        ("connections", 1.0),
    ] {
        assert_eq!(last(series), Some(expected), "{series}");
    }
    let length = history["at"].as_array().map(Vec::len);
    let series = history["series"].as_object().expect("series");
    for (name, values) in series {
        assert_eq!(values.as_array().map(Vec::len), length, "{name}");
    }
}

#[tokio::test]
async fn the_page_and_the_log_name_users_by_the_same_hash() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let (server, admin) = watched(&sandbox, &NO_LIMIT).await;
    let mut connection = Connection::open(server.address).await;
    for (user, count) in USERS.iter().zip([1, 3]) {
        let headers = [("x-user-id", user.id), ("x-auth-token", user.token)];
        for _ in 0..count {
            let asked = connection.send(GET_INFO, &headers, frame(&request("x")));
            assert_eq!(Answer::read(asked.await).await.grpc_status(), "0");
        }
    }
    let said = asked(admin, "GET", "/history.json").await;
    let (_, body) = said.split_once("\r\n\r\n").expect("a body");
    let told: Value = serde_json::from_str(body).expect("JSON");
    let log = json_lines(&server.end().await.stderr);
    let accesses = log.iter().filter(|line| line["target"] == "access");
    let of: Vec<_> = accesses.map(|line| line["credential"].clone()).collect();
    assert_eq!(told["users"], json!([[of[1], 3], [of[0], 1]]));
    assert!(of[1..].iter().all(|it| *it == of[1]), "{of:?}");
}

/// Those who ask and don't read included.
#[tokio::test]
async fn whoever_asks_has_a_time() {
    let sandbox = sandbox().await;
    let (_server, admin) = watched(&sandbox, &[]).await;
    let mut unread = Vec::new();
    for _ in 0..300 {
        let mut socket = TcpStream::connect(admin).await.expect("a connection");
        // More answers than the system keeps for it.
        let asked = "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n".repeat(400);
        socket.write_all(asked.as_bytes()).await.expect("a request");
        unread.push(socket);
    }
    assert!(
        asked(admin, "GET", "/livez")
            .await
            .starts_with("HTTP/1.1 200 ")
    );
}

#[tokio::test]
async fn idle_connections_to_the_admin_port_harm_nobody() {
    // The oldest make room, and not only when their ten seconds are over.
    const AT_ONCE: Duration = Duration::from_secs(5);
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let (server, admin) = watched(&sandbox, &NO_LIMIT).await;
    let mut idle = Vec::new();
    for _ in 0..1000 {
        idle.push(TcpStream::connect(admin).await.expect("a connection"));
    }
    let mut connection = Connection::open(server.address).await;
    assert_eq!(connection.get_info("x", &[]).await.grpc_status(), "0");
    let seen = timeout(AT_ONCE, asked(admin, "GET", "/livez")).await;
    assert!(seen.expect("at once").starts_with("HTTP/1.1 200 "));
    let mut rest = Vec::new();
    let first = idle.first_mut().expect("a connection");
    soon(first.read_to_end(&mut rest)).await.expect("an end");
    let _ = first.write_all(b"x").await;
}

#[tokio::test]
async fn a_port_in_use_is_one_clear_line() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let flags = [
        "--upstream-url",
        "http://localhost:1",
        "--admin-listen",
        &address,
    ];
    let ended = run(&[&["serve", "--listen", "127.0.0.1:0"], &flags[..]].concat()).await;
    assert_eq!(ended.status, Some(1));
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    let words = format!("can't listen for operators on {address}: ");
    assert!(ended.stderr.contains(&words), "{}", ended.stderr);
}
