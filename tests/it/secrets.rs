//! Nobody's secrets get out: not to the log, whatever its filter, and not into a status.

use std::{fmt::Write, time::Duration};

use http::HeaderValue;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use videoconf_facade::{
    call_id::CallId,
    claim::Claim,
    credentials::{AuthToken, Credentials, FingerprintKey, UserId},
    deadline::{Deadline, Limit},
    exchange::{Exchange, Moment},
    journal::Journal,
    proto::v1::{GetInfoResponse, VideoConference},
    query::{Attempt, Caller, Connection, Key, Query},
    record::Record,
    route::Info,
    sandbox::Reply,
    source::Answer,
    trace::TraceContext,
};

use crate::support::{
    process::{Server, json_lines, serve},
    request, sandbox, with_metadata,
};

const USER_ID: &str = "uCanary7Qx2LmZ";
const TOKEN: &str = "tCanary-9f_Kw3BhYsD8";
const URL_SECRET: &str = "pCanary5RjV1nTq";
const PROXY_PASSWORD: &str = "wCanary6GcE4oXa";

/// The bytes of `secret` as they are and as careless formatters show them.
fn spellings(secret: &str) -> Vec<String> {
    let mut hex = String::new();
    for byte in secret.bytes() {
        write!(hex, "{byte:02x}").expect("a string");
    }
    let decimal = format!("{:?}", secret.as_bytes());
    let decimal = decimal.trim_matches(['[', ']']).to_owned();
    vec![secret.to_owned(), hex, decimal]
}

#[track_caller]
fn assert_no_secret(text: &str, place: &str) {
    for secret in [USER_ID, TOKEN, URL_SECRET, PROXY_PASSWORD] {
        for spelling in spellings(secret) {
            let line = text.lines().find(|line| line.contains(&spelling));
            assert_eq!(line, None, "{secret} in {place}");
        }
    }
}

#[track_caller]
fn assert_no_secret_in_status(status: &Status, case: &str) {
    let details = String::from_utf8_lossy(status.details());
    let all = format!("{status:?}\n{details}\n{:?}", status.get_error_details());
    assert_no_secret(&all, case);
}

/// A conference with a call URL that lets everybody in.
fn conference() -> String {
    format!(
        r#"{{"_id":"x","url":"https://meet.example.org/x?pwd={URL_SECRET}","pwd":"{URL_SECRET}","success":true}}"#
    )
}

/// Everything that upstream may do, with the code that comes of it.
fn replies() -> Vec<(Reply, Code)> {
    let whole = conference();
    let quoting =
        format!(r#"{{"success":false,"error":"no {TOKEN} of {TOKEN}","errorType":"{TOKEN}"}}"#);
    let json = |status, body: &str| Reply::json(status, body.to_owned());
    vec![
        (json(200, &whole), Code::Ok),
        (json(200, &whole).chunked(), Code::Ok),
        (json(200, &whole[..whole.len() - 9]), Code::Internal),
        (json(200, &whole.replace("true", "false")), Code::Internal),
        (json(200, &whole.replace("_id", URL_SECRET)), Code::Internal),
        (
            json(200, &whole).header("content-encoding", "gzip"),
            Code::Internal,
        ),
        (
            json(200, &whole).cut_after(whole.len() - 9),
            Code::Unavailable,
        ),
        (json(400, &quoting), Code::InvalidArgument),
        (json(401, &quoting), Code::Unauthenticated),
        (json(403, &quoting), Code::PermissionDenied),
        (json(404, &quoting), Code::NotFound),
        (
            json(429, &quoting).header("x-ratelimit-limit", TOKEN),
            Code::ResourceExhausted,
        ),
        (json(500, &quoting), Code::Internal),
        (
            json(503, &quoting).header("retry-after", TOKEN),
            Code::Unavailable,
        ),
        (
            Reply::new(302).header("location", format!("http://127.0.0.1:1/{TOKEN}")),
            Code::Internal,
        ),
        (
            Reply::raw(format!("{TOKEN} {URL_SECRET}\r\n\r\n")),
            Code::Unavailable,
        ),
        (
            Reply::raw(format!(
                "HTTP/1.1 200 OK\r\nx: {TOKEN}\r\n{URL_SECRET}\r\n\r\n"
            )),
            Code::Unavailable,
        ),
    ]
}

#[tokio::test]
async fn neither_credentials_nor_urls_are_logged_or_told() {
    let sandbox = sandbox().await;
    let mut command = serve(&["--upstream-url", &sandbox.url(), "--upstream-limit", "none"]);
    let server = Server::start(command.env("RUST_LOG", "trace")).await;
    let mut client = server.client();
    let credentials = [("x-user-id", USER_ID), ("x-auth-token", TOKEN)];
    let ask = || with_metadata(request("x"), &credentials);
    let mut calls = 0;

    for (reply, code) in replies() {
        let case = format!("{reply:?}");
        // However often it is asked for.
        sandbox.always(reply);
        let answer = client.get_info(ask()).await;
        let seen = answer.as_ref().map_or_else(Status::code, |_| Code::Ok);
        assert_eq!(seen, code, "{case}");
        if let Err(status) = answer {
            assert_no_secret_in_status(&status, &case);
        }
        calls += 1;
    }

    // Asked for twice, since a closed connection may have been an idle one of the pool.
    sandbox.script(Reply::close());
    sandbox.script(Reply::close());
    let status = client.get_info(ask()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_no_secret_in_status(&status, "closed");
    calls += 1;

    let seen = sandbox.requests();
    assert!(
        seen.iter()
            .all(|it| it.header("x-auth-token") == Some(TOKEN))
    );
    sandbox.script(Reply::hang());
    tokio::select! {
        answer = client.get_info(ask()) => panic!("{answer:?}"),
        _ = sandbox.wait_for_requests(seen.len() + 1) => {}
    }
    calls += 1;

    let long = TOKEN.repeat(500);
    let accented = format!("{TOKEN}\u{e9}");
    for metadata in [
        vec![
            ("x-user-id", USER_ID),
            ("x-auth-token", TOKEN),
            ("x-auth-token", TOKEN),
        ],
        vec![
            ("x-user-id", USER_ID),
            ("x-user-id", USER_ID),
            ("x-auth-token", TOKEN),
        ],
        vec![("x-user-id", USER_ID), ("x-auth-token", &accented)],
        vec![("x-user-id", &accented), ("x-auth-token", TOKEN)],
        vec![("x-auth-token", TOKEN)],
        vec![("x-user-id", USER_ID)],
    ] {
        let asked = with_metadata(request("x"), &metadata);
        let status = client.get_info(asked).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{metadata:?}");
        assert_no_secret_in_status(&status, &format!("{} values", metadata.len()));
        calls += 1;
    }
    let metadata = [("x-user-id", USER_ID), ("x-auth-token", &long)];
    sandbox.script(Reply::json(401, "{}"));
    let status = client
        .get_info(with_metadata(request("x"), &metadata))
        .await;
    assert_no_secret_in_status(&status.unwrap_err(), "a long token");
    calls += 1;

    let ended = server.end().await;
    assert_no_secret(&ended.stdout, "stdout");
    assert_no_secret(&ended.stderr, "stderr");
    let lines = json_lines(&ended.stderr);
    let access = lines.iter().filter(|line| line["target"] == "access");
    assert_eq!(access.count(), calls, "all calls were logged");
    let end = lines.iter().find(|line| line["message"] == "ended");
    let lost = &end.expect("the end")["lost_log_lines"];
    assert_eq!(*lost, 0, "all lines were seen");
    for library in ["h2", "hyper_util"] {
        let is_its = |line: &serde_json::Value| {
            let target = line["target"].as_str().unwrap_or_default();
            line["level"] == "TRACE" && target.split("::").next() == Some(library)
        };
        assert!(lines.iter().any(is_its), "{library} logs at this level");
    }
}

#[tokio::test]
async fn the_password_of_a_proxy_is_not_logged_or_told() {
    let proxy = sandbox().await;
    let address = proxy.address();
    let url = format!("http://user:{PROXY_PASSWORD}@{address}");
    let flags = [
        "--upstream-url",
        "http://chat.invalid",
        "--upstream-proxy",
        &url,
    ];
    let server = Server::start(serve(&flags).env("RUST_LOG", "trace")).await;
    let mut client = server.client();
    let credentials = [("x-user-id", USER_ID), ("x-auth-token", TOKEN)];
    let ask = || with_metadata(request("x"), &credentials);

    proxy.script(Reply::json(200, conference()));
    client.get_info(ask()).await.expect("an answer");
    let basic = proxy.requests()[0]
        .header("proxy-authorization")
        .map(str::to_owned);
    let basic = basic.expect("the password");
    for reply in [Reply::new(407), Reply::new(502), Reply::raw("no\r\n\r\n")] {
        let case = format!("{reply:?}");
        proxy.script(reply);
        let status = client.get_info(ask()).await.unwrap_err();
        assert_no_secret_in_status(&status, &case);
    }
    drop(proxy);
    let status = client.get_info(ask()).await.unwrap_err();
    assert_no_secret_in_status(&status, "no proxy");

    let ended = server.end().await;
    assert_no_secret(&(ended.stdout + &ended.stderr), "stdout or stderr");
    let encoded = basic.trim_start_matches("Basic ");
    assert!(!ended.stderr.contains(encoded), "the password in base64");
}

/// What a careless `{:?}` in some later line would print.
#[test]
fn debug_output_has_no_secret() {
    let credentials = Credentials {
        user_id: UserId::new(HeaderValue::from_static(USER_ID)).expect("an id"),
        auth_token: AuthToken::new(HeaderValue::from_static(TOKEN)).expect("a token"),
    };
    let field = prost_types::Value::from(URL_SECRET);
    let conference = VideoConference {
        id: "x".to_owned(),
        url: Some(URL_SECRET.to_owned()),
        additional_fields: Some(prost_types::Struct {
            fields: [("pwd".to_owned(), field)].into(),
        }),
        ..VideoConference::default()
    };
    let key = FingerprintKey::random();
    let query = Query {
        key: Key {
            parameters: Info {
                call_id: CallId::new("x".to_owned(), 9).expect("an id"),
            },
            fingerprint: key.fingerprint(&credentials),
        },
        credentials: credentials.clone(),
    };
    let now = Moment::now();
    let deadline = Deadline {
        at: now.at + Duration::from_secs(1),
        limit: Limit::Server,
    };
    let caller = Caller {
        arrived: now.at,
        max_age: None,
        deadline,
        record: Record::begin(now.at),
    };
    let attempt = Attempt {
        claim: Claim::new(),
        deadline: Some(deadline),
        connection: Connection::Any,
        journal: Journal::default(),
        trace: TraceContext::default(),
    };
    let exchange = Exchange {
        sent: Some(now),
        head: None,
        result: Ok(conference.clone()),
    };
    let answer = Answer {
        value: conference.clone(),
        read_at: now,
    };
    let response = GetInfoResponse {
        video_conference: Some(conference.clone()),
        read_at: None,
    };
    for text in [
        format!("{credentials:?} {credentials:#?}"),
        format!("{key:?} {query:?} {query:#?}"),
        format!("{caller:?} {attempt:?} {exchange:?}"),
        format!("{conference:?} {conference:#?}"),
        format!("{answer:?} {answer:#?}"),
        format!("{response:?} {response:#?}"),
    ] {
        assert_no_secret(&text, "Debug output");
    }
}
