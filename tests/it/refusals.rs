//! Every row of the error table, as a stock client sees it.

use std::{net::Ipv4Addr, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    time::{Instant, interval_at},
};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use videoconf_facade::{
    error::{Error, Unavailable},
    proto::Conference,
    query::{Caller, Query},
    route::{INFO, Info},
    sandbox::{CALLS, Reply, Sandbox, USERS},
    source::{Answer, Lookup},
};

use crate::support::{
    Facade, Failing, SMALLEST, any_age, as_user, request, sandbox, soon, with_metadata,
};

/// Longer than anybody would wait who doesn't mean to, and well within what a body is waited for.
const LATE: Duration = Duration::from_millis(200);

/// What a caller must see.
#[derive(Debug, Default, PartialEq)]
struct Expected<'a> {
    code: i32,
    reason: &'a str,
    /// Must be there; there may be more.
    metadata: Vec<(&'a str, &'a str)>,
    /// The field and the description of the only violation.
    violation: Option<(&'a str, &'a str)>,
    retry_millis: Option<u128>,
    has_quota: bool,
}

fn row(code: Code, reason: &str) -> Expected<'_> {
    Expected {
        code: code as i32,
        reason,
        ..Expected::default()
    }
}

impl<'a> Expected<'a> {
    fn with(mut self, key: &'a str, value: &'a str) -> Self {
        self.metadata.push((key, value));
        self
    }

    fn violation(mut self, field: &'a str, description: &'a str) -> Self {
        self.violation = Some((field, description));
        self
    }

    fn retry(mut self, millis: u128) -> Self {
        self.retry_millis = Some(millis);
        self
    }

    fn quota(mut self) -> Self {
        self.has_quota = true;
        self
    }

    #[track_caller]
    fn check(&self, status: &Status, case: &str) {
        let details = status.get_error_details();
        let info = details.error_info().expect("an ErrorInfo");
        assert_eq!(info.domain, "videoconf-facade", "{case}");
        let get = |key: &str| info.metadata.get(key).map(String::as_str);
        let violations = details.bad_request().map(|it| &it.field_violations[..]);
        let retry = details.retry_info().and_then(|it| it.retry_delay);
        let seen = Expected {
            code: status.code() as i32,
            reason: &info.reason,
            metadata: self
                .metadata
                .iter()
                .map(|(key, _)| (*key, get(key).unwrap_or("(absent)")))
                .collect(),
            violation: violations.map(|it| (it[0].field.as_str(), it[0].description.as_str())),
            retry_millis: retry.map(|it| it.as_millis()),
            has_quota: details.quota_failure().is_some(),
        };
        assert_eq!(&seen, self, "{case}");

        let pushback = status.metadata().get("grpc-retry-pushback-ms");
        let pushback = pushback.map(|it| it.to_str().unwrap().parse::<u128>().unwrap());
        assert_eq!(pushback, self.retry_millis, "{case}: pushback agrees");
        let size = status.message().len() + status.details().len() * 4 / 3;
        assert!(size < 4096, "{case}: {size} bytes");
    }
}

async fn scripted(sandbox: &Sandbox, facade: &Facade, reply: Reply) -> Status {
    // However often it is asked for.
    sandbox.always(reply);
    facade.get("scripted").await.expect_err("a refusal")
}

/// A page with what isn't the caller's business.
fn text(status: u16) -> Reply {
    Reply::new(status)
        .header("content-type", "text/html")
        .body("<html><body>secret internals</body></html>")
}

/// Each of the replies is told as expected, and no more.
async fn check_all(cases: Vec<(Reply, Expected<'_>)>) {
    let sandbox = sandbox().await;
    for (number, (reply, expected)) in cases.into_iter().enumerate() {
        // What failed for long enough is not asked any more.
        let facade = Facade::before(&sandbox).await;
        let case = format!("case {number}: {reply:?}");
        let status = scripted(&sandbox, &facade, reply).await;
        expected.check(&status, &case);
        assert!(!format!("{status:?}").contains("internals"), "{case}");
    }
}

#[tokio::test]
async fn statuses_of_rocketchat() {
    let invalid = |error_type| {
        row(Code::InvalidArgument, "INVALID_PARAMS")
            .with("http_status", "400")
            .with("upstream_error_type", error_type)
    };
    let rejected = || row(Code::InvalidArgument, "UPSTREAM_REJECTED").with("http_status", "400");
    let not_visible = || row(Code::InvalidArgument, "CALL_NOT_FOUND_OR_NOT_VISIBLE");
    let unauthenticated =
        || row(Code::Unauthenticated, "CREDENTIALS_REJECTED").with("http_status", "401");
    let missing =
        |status| row(Code::Unimplemented, "UPSTREAM_ENDPOINT_MISSING").with("http_status", status);
    let malformed = |status| row(Code::Internal, "UPSTREAM_MALFORMED").with("http_status", status);
    let failed = |status| row(Code::Internal, "UPSTREAM_FAILED").with("http_status", status);
    let limited = || row(Code::ResourceExhausted, "UPSTREAM_RATE_LIMITED").quota();
    let json = |status, body: &'static str| Reply::json(status, body);
    let cases = vec![
        (
            json(400, r#"{"success":false,"error":"must have required property 'callId' [invalid-params]","errorType":"invalid-params"}"#),
            invalid("invalid-params")
                .violation("call_id", "must have required property 'callId' [invalid-params]"),
        ),
        (
            json(400, r#"{"success":false,"errorType":"error-invalid-params","error":"must NOT have additional properties"}"#),
            invalid("error-invalid-params")
                .violation("call_id", "must NOT have additional properties"),
        ),
        (json(400, r#"{"success":false,"error":"invalid-params"}"#), not_visible()),
        (json(400, "\u{feff}{\"success\":false,\"error\":\"invalid-params\"}"), not_visible()),
        (
            json(400, r#"{"success":false,"error":"Invalid query parameters"}"#),
            rejected().with("upstream_error", "Invalid query parameters"),
        ),
        (json(400, r#"{"success":false}"#), rejected().with("upstream_error", "(absent)")),
        (json(400, r"[1]"), rejected()),
        (json(400, r#"{"success":false,"error":"inv"#), rejected()),
        (text(400), rejected().with("upstream_error", "(absent)")),
        (Reply::new(400), rejected()),
        (Reply::new(400).body(vec![0xff; 100]), rejected()),
        (json(401, r#"{"status":"error","message":"You must be logged in to do this."}"#), unauthenticated()),
        (json(401, r#"{"success":false,"error":"You must be logged in to do this.","status":"error","message":"You must be logged in to do this."}"#), unauthenticated()),
        (json(401, r#"{"success":false,"error":"You must be logged in to do this."}"#), unauthenticated()),
        (text(401), unauthenticated()),
        (
            json(403, r#"{"success":false,"error":"Not allowed"}"#),
            row(Code::PermissionDenied, "FORBIDDEN")
                .with("http_status", "403")
                .with("upstream_error", "Not allowed"),
        ),
        (Reply::new(403), row(Code::PermissionDenied, "FORBIDDEN")),
        (
            json(404, r#"{"success":false,"error":"Resource not found"}"#),
            row(Code::NotFound, "CALL_NOT_FOUND").with("http_status", "404"),
        ),
        (Reply::new(404).body("404 Not Found"), missing("404")),
        (text(404), missing("404")),
        (json(404, r#"["success"]"#), missing("404")),
        (json(405, r#"{"status":"error","message":"API endpoint does not exist"}"#), missing("405")),
        (Reply::new(500).body("Internal Server Error"), failed("500")),
        (text(501), failed("501")),
        (text(519), failed("519")),
        (text(528), failed("528")),
        (Reply::new(302).header("location", "https://elsewhere"), malformed("302")),
        (Reply::new(402), malformed("402")),
        (Reply::new(407), malformed("407")),
        (Reply::new(431), malformed("431")),
        (Reply::new(429), limited().retry(3000)),
        (
            json(429, r#"{"success":false,"error":"Error, too many requests. Please slow down. You must wait 3 seconds before trying this endpoint again. [error-too-many-requests]"}"#)
                .header("date", "Mon, 23 Nov 2026 10:00:00 GMT")
                .header("x-ratelimit-limit", "15")
                .header("x-ratelimit-remaining", "0")
                .header("x-ratelimit-reset", "1795428001500"),
            limited().retry(1500),
        ),
    ];
    check_all(cases).await;
}

/// Of Rocket.Chat, of a proxy, and of a CDN that can't reach it.
#[tokio::test]
async fn statuses_of_passing_trouble() {
    let unavailable = |status| {
        row(Code::Unavailable, "UPSTREAM_UNAVAILABLE")
            .with("http_status", status)
            .retry(1000)
    };
    let limited = || row(Code::ResourceExhausted, "UPSTREAM_RATE_LIMITED").quota();
    let cases = vec![
        (Reply::new(408), unavailable("408")),
        (text(502), unavailable("502")),
        (text(503), unavailable("503")),
        (text(504), unavailable("504")),
        (
            text(503).header("retry-after", "7"),
            row(Code::Unavailable, "UPSTREAM_UNAVAILABLE").retry(7000),
        ),
        (text(520), unavailable("520")),
        (text(521), unavailable("521")),
        (text(527), unavailable("527")),
        (text(530), unavailable("530")),
        (
            text(522).header("retry-after", "601"),
            row(Code::Unavailable, "UPSTREAM_UNAVAILABLE").retry(600_000),
        ),
        (
            Reply::new(429).header("retry-after", "600"),
            limited().retry(600_000),
        ),
    ];
    check_all(cases).await;
}

#[tokio::test]
async fn successes_that_are_none() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    let deep = format!(r#"{{"_id":"x","success":true,"a":{}"#, "[".repeat(1000));
    for (body, problem) in [
        (
            &b"<html>the web app</html>"[..],
            "not JSON that can be read",
        ),
        (br#"{"_id":"x","success":tr"#, "not JSON that can be read"),
        (deep.as_bytes(), "not JSON that can be read"),
        (b"", "empty body"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"\"text\"", "not a JSON object"),
        (br#"{"_id":"x","success":false}"#, "success is not true"),
        (br#"{"_id":"x"}"#, "success is not true"),
        (br#"{"success":true}"#, "no string _id"),
        (b"{\"_id\":\"\xff\",\"success\":true}", "not UTF-8"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8"),
    ] {
        let reply = Reply::json(200, body.to_vec());
        let status = scripted(&sandbox, &facade, reply).await;
        row(Code::Internal, "UPSTREAM_MALFORMED")
            .with("http_status", "200")
            .with("problem", problem)
            .check(&status, &String::from_utf8_lossy(body));
    }
    let status = scripted(&sandbox, &facade, Reply::new(204)).await;
    row(Code::Internal, "UPSTREAM_MALFORMED")
        .with("http_status", "204")
        .check(&status, "204");
}

#[tokio::test]
async fn no_answer_at_all() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    let unavailable = |problem| {
        row(Code::Unavailable, "UPSTREAM_UNAVAILABLE")
            .with("problem", problem)
            .retry(1000)
    };
    // Asked for twice, since a closed connection may have been an idle one of the pool.
    sandbox.script(Reply::close());
    let status = scripted(&sandbox, &facade, Reply::close()).await;
    unavailable("connection closed before an answer").check(&status, "closed");

    let status = scripted(&sandbox, &facade, Reply::raw("SSH-2.0-OpenSSH\r\n\r\n")).await;
    unavailable("answer is not HTTP that can be read").check(&status, "not HTTP");

    let whole = r#"{"_id":"x","success":true}"#;
    let cut = Reply::json(200, whole).cut_after(10);
    let status = scripted(&sandbox, &facade, cut).await;
    unavailable("answer cut off").check(&status, "cut off");
    let cut = Reply::json(200, whole).chunked().cut_after(whole.len());
    let status = scripted(&sandbox, &facade, cut).await;
    unavailable("answer cut off").check(&status, "cut off before the last chunk");

    let facade = Facade::with(&["--upstream-url", "http://127.0.0.1:1"]).await;
    let status = facade.get("x").await.expect_err("a refusal");
    unavailable("connection refused").check(&status, "refused");

    let facade = Facade::with(&["--upstream-url", "http://host.invalid"]).await;
    let status = facade.get("x").await.expect_err("a refusal");
    unavailable("unknown host").check(&status, "unknown host");
}

/// Beyond what is read of a head, it is an answer that isn't understood, and none that is missing.
#[tokio::test]
async fn heads_of_any_size() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    let with = |lines: usize, length: usize| {
        let value = "x".repeat(length);
        (0..lines).fold(Reply::json(200, SMALLEST), |reply, _| {
            reply.header("set-cookie", &value)
        })
    };
    for reply in [with(101, 10), with(240, 10), with(30, 10_000)] {
        facade
            .get_scripted(&sandbox, reply)
            .await
            .expect("an answer");
    }
    let asked = sandbox.requests().len();
    for reply in [with(260, 10), with(60, 10_000)] {
        let status = facade.get_scripted(&sandbox, reply).await.unwrap_err();
        row(Code::Internal, "UPSTREAM_MALFORMED")
            .with("problem", "headers beyond the limit")
            .with("http_status", "(absent)")
            .check(&status, "large");
    }
    assert_eq!(
        sandbox.requests().len(),
        asked + 2,
        "nothing is asked twice"
    );
}

/// An error status wins over whatever is wrong with its body.
#[tokio::test]
async fn broken_bodies_of_refusals() {
    let sandbox = sandbox().await;
    let url = sandbox.url();
    // A body that never ends is waited for until shortly before the end of the call.
    let facade = Facade::with(&["--upstream-url", &url, "--request-timeout", "1s"]).await;
    let huge = vec![b'x'; 20 << 20];
    let body = r#"{"success":false,"error":"invalid-params"}"#;
    let rejected = || row(Code::InvalidArgument, "UPSTREAM_REJECTED");
    let rejected_credentials = || row(Code::Unauthenticated, "CREDENTIALS_REJECTED");
    for (reply, expected) in [
        (Reply::json(400, huge), rejected()),
        (Reply::json(400, body).cut_after(9), rejected()),
        (Reply::json(400, body).then_hang(9), rejected()),
        (
            Reply::json(400, body).header("content-encoding", "gzip"),
            rejected(),
        ),
        (
            Reply::json(400, body).header("content-encoding", "zstd"),
            rejected(),
        ),
        (Reply::json(401, body).then_hang(0), rejected_credentials()),
        (Reply::json(401, body).cut_after(9), rejected_credentials()),
        (
            Reply::json(429, body).then_hang(9),
            row(Code::ResourceExhausted, "UPSTREAM_RATE_LIMITED")
                .retry(3000)
                .quota(),
        ),
    ] {
        let case = format!("{:.200}", format!("{reply:?}"));
        let status = scripted(&sandbox, &facade, reply).await;
        expected.check(&status, &case);
    }
}

/// Whatever a refusal's body says, it is worth waiting and reading for.
#[tokio::test]
async fn late_and_long_bodies_of_refusals() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    let long = "long ".repeat(50_000);
    let not_found = format!(r#"{{"success":false,"error":"{long}"}}"#);
    let invalid = format!(r#"{{"error":"{long}","errorType":"error-invalid-params"}}"#);
    for (reply, expected) in [
        (
            Reply::json(404, not_found),
            row(Code::NotFound, "CALL_NOT_FOUND"),
        ),
        (
            Reply::json(400, invalid),
            row(Code::InvalidArgument, "INVALID_PARAMS").violation("call_id", &long[..512]),
        ),
    ] {
        let status = scripted(&sandbox, &facade, reply).await;
        expected.check(&status, "long");
    }

    let url = sandbox_with_late_body(r#"{"success":false,"error":"invalid-params"}"#).await;
    let facade = Facade::with(&["--upstream-url", &url]).await;
    let status = facade.get("x").await.expect_err("a refusal");
    row(Code::InvalidArgument, "CALL_NOT_FOUND_OR_NOT_VISIBLE").check(&status, "late");
}

/// The status is known; no caller waits for ever for the words to it.
#[tokio::test]
async fn stalled_bodies_of_refusals() {
    let sandbox = sandbox().await;
    let url = sandbox.url();
    let facade = Facade::with(&[
        "--upstream-url",
        &url,
        "--request-timeout",
        "1h",
        "--upstream-limit",
        "none",
    ])
    .await;
    for (http_status, code, reason) in [
        (400, Code::InvalidArgument, "UPSTREAM_REJECTED"),
        (401, Code::Unauthenticated, "CREDENTIALS_REJECTED"),
        (403, Code::PermissionDenied, "FORBIDDEN"),
        (404, Code::Unimplemented, "UPSTREAM_ENDPOINT_MISSING"),
        (503, Code::Unavailable, "UPSTREAM_UNAVAILABLE"),
    ] {
        for sent in [0, 9] {
            let body = r#"{"success":false,"error":"invalid-params"}"#;
            let reply = Reply::json(http_status, body).then_hang(sent);
            let status = soon(scripted(&sandbox, &facade, reply)).await;
            let case = format!("{http_status} {sent}");
            assert_eq!(status.code(), code, "{case}");
            let details = status.get_error_details();
            assert_eq!(details.error_info().unwrap().reason, reason, "{case}");
        }
    }
}

/// A server that has too much to do says so with a zero, and stock clients would take it at its word.
#[tokio::test]
async fn at_once_is_not_passed_on() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    for http_status in [429, 503] {
        let reply = Reply::json(http_status, "{}").header("retry-after", "0");
        let status = scripted(&sandbox, &facade, reply).await;
        let pushback = status.metadata().get("grpc-retry-pushback-ms");
        let millis: u64 = pushback.unwrap().to_str().unwrap().parse().unwrap();
        assert!((200..=400).contains(&millis), "{http_status}: {millis}");
        let delay = status.get_error_details().retry_info().unwrap().retry_delay;
        assert_eq!(delay, Some(Duration::from_millis(millis)));
    }
}

/// A Rocket.Chat whose 400 has a body that comes a while after its head. Gives its URL.
async fn sandbox_with_late_body(body: &'static str) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = BufReader::new(&mut socket).lines();
        while request.next_line().await.unwrap() != Some(String::new()) {}
        let head = format!("HTTP/1.1 400 Bad\r\ncontent-length: {}\r\n\r\n", body.len());
        socket.write_all(head.as_bytes()).await.unwrap();
        interval_at(Instant::now() + LATE, LATE).tick().await;
        socket.write_all(body.as_bytes()).await.unwrap();
    });
    url
}

#[tokio::test]
async fn text_of_rocketchat_is_cut_and_has_no_token() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    let token = videoconf_facade::sandbox::USERS[0].token;
    let error = format!("{token} {}", "é\u{1}".repeat(2000));
    let body = serde_json::json!({"success": false, "error": error, "errorType": error});
    let body = body.to_string();
    let status = scripted(&sandbox, &facade, Reply::json(400, body)).await;
    row(Code::InvalidArgument, "UPSTREAM_REJECTED").check(&status, "long");
    let details = status.get_error_details();
    let text = &details.error_info().unwrap().metadata["upstream_error"];
    assert!(
        text.starts_with("[redacted] é") && text.len() <= 512,
        "{text}"
    );
    let whole = format!("{status:?}") + &String::from_utf8_lossy(status.details());
    assert!(!whole.contains(token));
}

#[tokio::test]
async fn what_is_refused_here_is_not_sent_upstream() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    let mut client = facade.client();

    let call_id =
        |violation| row(Code::InvalidArgument, "INVALID_CALL_ID").violation("call_id", violation);
    for (id, expected) in [
        (String::new(), call_id("is empty")),
        ("x".repeat(257), call_id("is longer than 256 bytes")),
        ("é".repeat(129), call_id("is longer than 256 bytes")),
        ("a\nb".to_owned(), call_id("has a control character")),
        ("\u{7f}".to_owned(), call_id("has a control character")),
        ("\u{9b}".to_owned(), call_id("has a control character")),
    ] {
        let status = client.get_info(as_user(request(&id))).await.unwrap_err();
        expected.check(&status, &id);
    }

    for (seconds, nanos) in [(-1, 0), (0, -1), (1, -1), (i64::MAX, 0), (0, i32::MAX)] {
        let mut message = request("x");
        message.max_age = Some(prost_types::Duration { seconds, nanos });
        let status = client.get_info(as_user(message)).await.unwrap_err();
        row(Code::InvalidArgument, "INVALID_MAX_AGE")
            .violation("max_age", "must be a valid Duration and not negative")
            .check(&status, &format!("{seconds} {nanos}"));
    }

    let missing = |key| row(Code::Unauthenticated, "CREDENTIALS_MISSING").with("metadata_key", key);
    let malformed =
        |key| row(Code::Unauthenticated, "CREDENTIALS_MALFORMED").with("metadata_key", key);
    let (user, token) = ("x-user-id", "x-auth-token");
    for (metadata, expected) in [
        (vec![], missing(user)),
        (vec![(user, "u")], missing(token)),
        (vec![(token, "t")], missing(user)),
        (vec![(user, ""), (token, "t")], missing(user)),
        (vec![(user, "u"), (token, "  ")], missing(token)),
        (
            vec![(user, "u"), (token, "t"), (token, "t")],
            malformed(token),
        ),
        (
            vec![(user, "u"), (user, "v"), (token, "t")],
            malformed(user),
        ),
        (vec![(user, "u"), (token, "caf\u{e9}")], malformed(token)),
        (vec![(user, "a\tb"), (token, "t")], malformed(user)),
        // What HTTP would cut off: Rocket.Chat would see, and quote, another value than we.
        (vec![(user, " u"), (token, "t")], malformed(user)),
        (vec![(user, "u"), (token, " t")], malformed(token)),
        (vec![(user, "u"), (token, "t ")], malformed(token)),
    ] {
        let status = client
            .get_info(with_metadata(request(""), &metadata))
            .await
            .unwrap_err();
        expected.check(&status, &format!("{metadata:?}"));
    }
    assert!(sandbox.requests().is_empty());
}

/// The rows that other causes than an answer of Rocket.Chat have.
#[tokio::test]
async fn errors_of_our_own() {
    let retry_after = Duration::from_micros(1_234_001);
    for (error, expected) in [
        (
            Error::BudgetExhausted {
                route: &INFO,
                retry_after,
            },
            row(Code::ResourceExhausted, "BUDGET_EXHAUSTED")
                .retry(1235)
                .quota(),
        ),
        (
            Error::Overloaded,
            row(Code::Unavailable, "OVERLOADED").retry(1000),
        ),
        (
            Error::ShuttingDown,
            row(Code::Unavailable, "SHUTTING_DOWN").retry(1000),
        ),
        (
            Error::UpstreamUnavailable {
                cause: Unavailable::ConnectTimeout,
                retry_after,
            },
            row(Code::Unavailable, "UPSTREAM_UNAVAILABLE")
                .with("problem", "no connection in time")
                .retry(1235),
        ),
        (Error::Internal, row(Code::Internal, "INTERNAL")),
    ] {
        let case = format!("{error:?}");
        let facade = Facade::around(Failing(error)).await;
        let status = facade.get("x").await.unwrap_err();
        expected.check(&status, &case);
    }
}

#[tokio::test]
async fn a_panic_is_one_failed_call() {
    struct Panicking;

    impl Lookup<Info> for Panicking {
        async fn find(&self, _: &Query<Info>, _: &Caller) -> Result<Answer<Conference>, Error> {
            panic!("secret");
        }
    }

    let facade = Facade::around(Panicking).await;
    let mut client = facade.client();
    for _ in 0..2 {
        let status = client.get_info(as_user(request("x"))).await.unwrap_err();
        row(Code::Internal, "INTERNAL").check(&status, "panic");
        assert!(!format!("{status:?}").contains("secret"));
    }
}

/// Who knows a user's id and not its token hears nothing that was told to the user, and takes nothing away.
#[tokio::test]
async fn another_token_of_the_same_user_is_another_caller() {
    let sandbox = sandbox().await;
    let facade = Facade::with(&["--upstream-url", &sandbox.url()]).await;
    let mut client = facade.client();
    for (token, expected) in [
        (USERS[0].token, Code::Ok),
        ("another", Code::Unauthenticated),
        (USERS[0].token, Code::Ok),
        ("another", Code::Unauthenticated),
    ] {
        let metadata = [("x-user-id", USERS[0].id), ("x-auth-token", token)];
        let call = client.get_info(with_metadata(any_age(CALLS[0].id), &metadata));
        let code = call.await.map_or_else(|status| status.code(), |_| Code::Ok);
        assert_eq!(code, expected, "{token}");
    }
}
