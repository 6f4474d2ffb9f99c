//! What is seen in traces, by whom, and that it costs no call anything.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rustix::process::Signal;
use serde_json::Value;
use tokio::{net::TcpListener, process::Command};
use tonic::Request;
use videoconf_facade::{
    proto::{
        health::{HealthCheckRequest, health_client::HealthClient},
        v1::GetInfoRequest,
    },
    sandbox::{Reply, Sandbox},
};

use crate::support::{
    SMALLEST, any_age, as_user,
    collector::{Collector, Span},
    process::{Process, Server, command, json_lines, run, serve},
    raw::{Answer, Connection},
    request, sandbox, with_metadata,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// `serve` before `sandbox`, with spans for `collector`.
fn traced(sandbox: &Sandbox, collector: &str, flags: &[&str]) -> Command {
    let mut command = serve(&["--upstream-url", &sandbox.url()]);
    command
        .args(flags)
        .env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector)
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        .env("OTEL_BSP_SCHEDULE_DELAY", "50");
    command
}

/// A call from within the caller's span, which is recorded or not.
fn within<T>(message: T, is_recorded: bool) -> Request<T> {
    let flags = if is_recorded { "01" } else { "00" };
    let parent = format!("00-{TRACE}-{CALLER}-{flags}");
    let mut request = as_user(message);
    let metadata = request.metadata_mut();
    metadata.insert("traceparent", parent.parse().expect("a value"));
    metadata.insert("tracestate", "them=1".parse().expect("a value"));
    request
}

async fn ask(server: &Server, call: Request<GetInfoRequest>) {
    server.client().get_info(call).await.expect("an answer");
}

/// The spans with this name, in their order.
fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

const RPC: &str = "rocketchat.videoconference.v1.VideoConferenceService/GetInfo";
const REQUEST: &str = "GET video-conference.info";

#[track_caller]
fn assert_has(span: &Span, attributes: &[(&str, &str)]) {
    for (name, value) in attributes {
        let found = span.attributes.get(*name).map(String::as_str);
        assert_eq!(found, Some(*value), "{name} of {span:#?}");
    }
}

#[tokio::test]
async fn a_read_is_three_spans_in_the_callers_trace() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    for is_grpc in [true, false] {
        let collector = if is_grpc {
            Collector::grpc().await
        } else {
            Collector::http().await
        };
        let mut command = serve(&["--upstream-url", &sandbox.url()]);
        if is_grpc {
            command.env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
            command.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector.url());
        } else {
            command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url());
            command.env("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20key");
            // By the standard, it isn't set.
            command.env("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "");
            command.env("OTEL_METRICS_EXPORTER", "none");
        }
        command.env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip");
        command.env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test");
        let server = Server::start(&mut command).await;
        let mut call = within(request("x"), true);
        let id = "an id".parse().expect("a value");
        call.metadata_mut().insert("x-request-id", id);
        ask(&server, call).await;
        // What is left is delivered at the end.
        let ended = server.end().await;
        assert_eq!(ended.status, Some(0));
        let received = collector.wait_until(|it| it.spans.len() == 3).await;

        let one = |name| named(&received.spans, name)[0];
        let (rpc, lookup, request) = (one(RPC), one("lookup"), one(REQUEST));
        for (span, kind, parent) in [
            (rpc, "SERVER", CALLER),
            (lookup, "INTERNAL", &rpc.id),
            (request, "CLIENT", &lookup.id),
        ] {
            let found = (span.kind, &*span.trace, &*span.parent);
            assert_eq!(found, (kind, TRACE, parent), "{span:#?}");
            assert!(!span.is_error && span.links.is_empty(), "{span:#?}");
        }
        assert_has(
            rpc,
            &[
                ("rpc.system.name", "grpc"),
                ("rpc.method", RPC),
                ("rpc.response.status_code", "OK"),
                ("network.peer.address", "127.0.0.1"),
            ],
        );
        let id = &rpc.attributes["rpc.request.metadata.x-request-id"];
        assert!(id.contains("an id"), "{id}");
        assert_has(
            lookup,
            &[
                ("videoconf.route", "video-conference.info"),
                ("videoconf.source", "own read"),
                ("videoconf.answer.age", "0"),
            ],
        );
        let url = format!("{}/api/v1/video-conference.info?REDACTED", sandbox.url());
        let port = sandbox.address().port().to_string();
        assert_has(
            request,
            &[
                ("http.request.method", "GET"),
                ("http.response.status_code", "200"),
                ("url.full", &url),
                ("server.address", "127.0.0.1"),
                ("server.port", &port),
            ],
        );
        assert!(rpc.nanos >= lookup.nanos && lookup.nanos >= request.nanos);
        for (name, value) in [
            ("service.name", "videoconf-facade"),
            ("deployment.environment", "test"),
        ] {
            assert_eq!(received.resource[name], value);
        }
        for head in &received.heads {
            assert!(head.contains("\"api-key\": \"a key\""), "{head}");
        }
        let lines = json_lines(&ended.stderr);
        let access = lines.iter().find(|line| line["target"] == "access");
        assert_eq!(access.expect("a line")["trace_id"], TRACE);
    }
    // Rocket.Chat heard nothing of it.
    for request in sandbox.requests() {
        assert_eq!(request.header("traceparent"), None);
    }
}

#[tokio::test]
async fn rocketchat_hears_of_the_trace_when_asked_to() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let collector = Collector::grpc().await;
    let flag = ["--upstream-traceparent"];
    let server = Server::start(&mut traced(&sandbox, &collector.url(), &flag)).await;
    ask(&server, within(request("x"), true)).await;
    let spans = collector.spans(3).await;
    let heard = &sandbox.requests()[0];
    let expected = format!("00-{TRACE}-{}-01", named(&spans, REQUEST)[0].id);
    assert_eq!(heard.header("traceparent"), Some(&*expected));
    assert_eq!(heard.header("tracestate"), Some("them=1"));

    // Without spans of our own, what the caller said.
    let server = Server::before(&sandbox, &flag).await;
    ask(&server, within(request("y"), false)).await;
    let expected = format!("00-{TRACE}-{CALLER}-00");
    let heard = &sandbox.requests()[1];
    assert_eq!(heard.header("traceparent"), Some(&*expected));
    ask(&server, as_user(request("z"))).await;
    assert_eq!(sandbox.requests()[2].header("traceparent"), None);
}

#[tokio::test]
async fn who_joins_a_read_is_linked_to_it() {
    let sandbox = sandbox().await;
    sandbox.script(Reply::json(200, SMALLEST).delay(Duration::from_millis(300)));
    let collector = Collector::grpc().await;
    let server = Server::start(&mut traced(&sandbox, &collector.url(), &[])).await;
    let joins = async {
        sandbox.wait_for_requests(1).await;
        ask(&server, as_user(any_age("x"))).await;
    };
    tokio::join!(ask(&server, within(any_age("x"), true)), joins);
    // And one who comes later, from memory.
    ask(&server, as_user(any_age("x"))).await;
    let spans = collector.spans(7).await;
    let requests = named(&spans, REQUEST);
    assert_eq!(requests.len(), 1);
    let lookups = named(&spans, "lookup");
    let from = |source: &str| {
        let mut found = lookups.iter();
        let found = found.find(|it| it.attributes["videoconf.source"] == source);
        *found.unwrap_or_else(|| panic!("{source}: {lookups:#?}"))
    };
    let (own, shared, memory) = (from("own read"), from("shared read"), from("memory"));
    assert_eq!(requests[0].parent, own.id);
    assert_eq!(shared.links, [(own.trace.clone(), own.id.clone())]);
    assert_ne!(shared.trace, TRACE, "a trace of its own");
    assert!(own.links.is_empty() && memory.links.is_empty());
}

#[tokio::test]
async fn who_joins_a_read_and_leaves_is_linked_to_it_all_the_same() {
    let sandbox = sandbox().await;
    sandbox.script(Reply::json(200, SMALLEST).delay(Duration::from_millis(500)));
    let collector = Collector::grpc().await;
    let server = Server::start(&mut traced(&sandbox, &collector.url(), &[])).await;
    let leaves = async {
        sandbox.wait_for_requests(1).await;
        let mut hurried = as_user(any_age("x"));
        hurried.set_timeout(Duration::from_millis(100));
        let left = server.client().get_info(hurried).await;
        left.expect_err("not so soon");
    };
    tokio::join!(ask(&server, within(any_age("x"), true)), leaves);
    let spans = collector.spans(5).await;
    let lookups = named(&spans, "lookup");
    let [left, stayed] = lookups[..] else {
        panic!("{lookups:#?}");
    };
    assert_eq!(left.links, [(stayed.trace.clone(), stayed.id.clone())]);
    assert!(left.is_error && !stayed.is_error);
    assert_has(left, &[("error.type", "given up")]);
}

#[tokio::test]
async fn what_goes_wrong_is_seen() {
    let sandbox = sandbox().await;
    let collector = Collector::grpc().await;
    let server = Server::start(&mut traced(&sandbox, &collector.url(), &[])).await;
    sandbox.script(Reply::new(503));
    sandbox.script(Reply::new(503));
    let failed = server.client().get_info(as_user(request("x"))).await;
    failed.expect_err("503");
    let unnamed = server.client().get_info(as_user(request(""))).await;
    unnamed.expect_err("a call_id");
    let spans = collector.spans(5).await;

    let requests = named(&spans, REQUEST);
    let again = "http.request.resend_count";
    let counts: Vec<_> = requests.iter().map(|it| it.attributes.get(again)).collect();
    assert_eq!(counts, [None, Some(&"1".to_owned())]);
    for request in requests {
        assert!(request.is_error);
        assert_has(request, &[("http.response.status_code", "503")]);
        assert!(request.attributes.contains_key("error.type"));
    }
    let rpcs = named(&spans, RPC);
    let codes: Vec<_> = rpcs
        .iter()
        .map(|it| (&*it.attributes["rpc.response.status_code"], it.is_error))
        .collect();
    // The second one is the caller's fault.
    assert_eq!(codes, [("UNAVAILABLE", true), ("INVALID_ARGUMENT", false)]);
    assert_has(rpcs[0], &[("videoconf.reason", "UPSTREAM_UNAVAILABLE")]);
    assert_has(
        rpcs[1],
        &[
            ("videoconf.reason", "INVALID_CALL_ID"),
            ("error.type", "INVALID_ARGUMENT"),
        ],
    );

    // A request that nobody waits for any more.
    sandbox.script(Reply::hang());
    let mut hurried = as_user(request("y"));
    hurried.set_timeout(Duration::from_millis(100));
    let late = server.client().get_info(hurried).await;
    late.expect_err("nothing");
    let spans = collector.spans(8).await;
    for name in [REQUEST, "lookup"] {
        let given_up = named(&spans, name)[2 - usize::from(name == "lookup")];
        assert!(given_up.is_error, "{spans:#?}");
        assert_has(given_up, &[("error.type", "given up")]);
    }
}

#[tokio::test]
async fn the_table_in_the_docs_is_what_is_sent() {
    let sandbox = sandbox().await;
    let collector = Collector::grpc().await;
    let server = Server::start(&mut traced(&sandbox, &collector.url(), &[])).await;
    sandbox.script(Reply::close());
    sandbox.script(Reply::json(200, SMALLEST));
    ask(&server, as_user(request("x"))).await;
    sandbox.always(Reply::close());
    let failed = server.client().get_info(as_user(request("y"))).await;
    failed.expect_err("no answer");
    let spans = collector.spans(8).await;
    let sent: BTreeSet<_> = spans
        .iter()
        .flat_map(|span| {
            let kind = match span.kind {
                "SERVER" => "call",
                "CLIENT" => "request",
                _ => "lookup",
            };
            span.attributes.keys().map(move |name| (kind, name.clone()))
        })
        .collect();
    let rows = include_str!("../../docs/traces.md").lines();
    let told: BTreeSet<_> = rows
        .filter_map(|line| {
            let (span, rest) = line.strip_prefix("| ")?.split_once(" | `")?;
            let (name, _) = rest.split_once('`')?;
            let is_attribute = name.contains('.') && !name.contains(['/', ' ']);
            is_attribute.then(|| (span, name.to_owned()))
        })
        .collect();
    assert_eq!(sent, told);
}

#[tokio::test]
async fn the_callers_decision_is_kept_and_probes_begin_nothing() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let collector = Collector::grpc().await;
    let server = Server::start(&mut traced(&sandbox, &collector.url(), &[])).await;
    ask(&server, within(request("unrecorded"), false)).await;
    let mut health = HealthClient::new(server.channel());
    let probe = HealthCheckRequest::default;
    health.check(probe()).await.expect("an answer");
    health
        .check(within(probe(), true))
        .await
        .expect("an answer");
    let mut stranger = Connection::open(server.address).await;
    let balancer = stranger
        .send("/AWS.ALB/healthcheck", &[], Bytes::new())
        .await;
    assert_eq!(Answer::read(balancer).await.grpc_status(), "12");
    let ended = server.end().await;
    let spans = collector.spans(1).await;
    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["grpc.health.v1.Health/Check"]);
    let lines = json_lines(&ended.stderr);
    let access = lines.iter().find(|line| line["target"] == "access");
    assert_eq!(access.expect("a line")["trace_id"], TRACE);
}

#[tokio::test]
async fn a_sampler_of_the_standard_decides_for_those_who_have_not() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let collector = Collector::grpc().await;
    let mut command = traced(&sandbox, &collector.url(), &[]);
    command.env("OTEL_TRACES_SAMPLER", "parentbased_always_off");
    let server = Server::start(&mut command).await;
    ask(&server, as_user(request("x"))).await;
    ask(&server, within(request("y"), true)).await;
    server.end().await;
    let spans = collector.spans(3).await;
    assert!(spans.iter().all(|span| span.trace == TRACE), "{spans:#?}");
}

#[tokio::test]
async fn no_secret_is_in_traces() {
    let sandbox = sandbox().await;
    let body = r#"{"_id":"canary-call","url":"https://meet/canary-url","createdBy":{"_id":"u","username":"canary-name","name":"canary-name"},"success":true}"#;
    sandbox.always(Reply::json(200, body));
    let collector = Collector::grpc().await;
    let url = format!("{}/canary-prefix", sandbox.url());
    let mut command = serve(&["--upstream-url", &url]);
    command.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector.url());
    command.env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    command.env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=canary-key");
    let server = Server::start(&mut command).await;
    let credentials = [
        ("x-user-id", "canary-user"),
        ("x-auth-token", "canary-token"),
    ];
    ask(&server, with_metadata(request("canary-call"), &credentials)).await;
    sandbox.always(Reply::json(
        400,
        r#"{"success":false,"error":"canary-error"}"#,
    ));
    let refused = with_metadata(request("canary-other"), &credentials);
    server.client().get_info(refused).await.expect_err("a 400");
    let log = server.end().await.stderr;
    let received = collector.wait_until(|it| it.spans.len() == 6).await;
    assert!(!received.raw.contains("canary"), "{}", received.raw);
    assert!(!log.contains("canary"), "{log}");
}

/// One that isn't there, and one that never answers.
#[tokio::test]
async fn a_receiver_in_trouble_is_no_callers_trouble() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let silent = format!("http://{}", silent.local_addr().expect("an address"));
    for (collector, protocol) in [
        ("http://127.0.0.1:9", "grpc"),
        ("http://127.0.0.1:9", "http/protobuf"),
        (&*silent, "grpc"),
        (&*silent, "http/protobuf"),
        (&*silent.replace("http:", "https:"), "grpc"),
    ] {
        let mut command = traced(&sandbox, collector, &["--upstream-limit", "none"]);
        command
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
            .env("OTEL_METRICS_EXPORTER", "otlp")
            .env("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", collector)
            .env("OTEL_EXPORTER_OTLP_TIMEOUT", "60000")
            .env("OTEL_BSP_MAX_QUEUE_SIZE", "10")
            .env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5");
        let server = Server::start(&mut command).await;
        let mut client = server.client();
        for _ in 0..100 {
            client
                .get_info(as_user(any_age("x")))
                .await
                .expect("an answer");
        }
        let began = Instant::now();
        server.process.signal(Signal::TERM);
        assert_eq!(server.process.ended().await.status, Some(0));
        // It isn't waited for until its time is over.
        assert!(began.elapsed() < Duration::from_secs(30), "{protocol}");
    }
}

#[tokio::test]
async fn an_operator_hears_once_that_traces_do_not_arrive() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let collector = "http://user:canary@127.0.0.1:9/canary";
    let flags = ["--admin-listen", "127.0.0.1:0"];
    let server = Server::start(&mut traced(&sandbox, collector, &flags)).await;
    let line = server.process.stderr.message("sending traces").await;
    assert_eq!(line["receiver"], "http://127.0.0.1:9");
    for _ in 0..3 {
        ask(&server, as_user(any_age("x"))).await;
        let line = server.process.stderr.message("traces don't arrive").await;
        assert_eq!(line["receiver"], "http://127.0.0.1:9");
    }
    let log = server.end().await.stderr;
    let lines = json_lines(&log);
    let told = |line: &&Value| line["message"] == "traces don't arrive";
    assert_eq!(lines.iter().filter(told).count(), 1, "{log}");
    assert!(!log.contains("canary"), "{log}");
}

#[tokio::test]
async fn metrics_are_sent_when_asked_for() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    for (collector, protocol) in [
        (Collector::grpc().await, "grpc"),
        (Collector::http().await, "http/protobuf"),
    ] {
        let mut command = serve(&["--upstream-url", &sandbox.url()]);
        command
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
            .env("OTEL_TRACES_EXPORTER", "none")
            .env("OTEL_SERVICE_NAME", "ours");
        let server = Server::start(&mut command).await;
        ask(&server, as_user(request("x"))).await;
        server.end().await;
        let received = collector.wait_until(|it| !it.metrics.is_empty()).await;
        for name in ["rpc.server.call.duration", "grpc_server_handled"] {
            assert!(received.metrics.iter().any(|it| it == name), "{name}");
        }
        assert_eq!(received.resource["service.name"], "ours");
        assert!(received.spans.is_empty());
    }
}

#[tokio::test]
async fn one_process_is_one_instance() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let collector = Collector::http().await;
    let mut command = serve(&["--upstream-url", &sandbox.url()]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url());
    let server = Server::start(&mut command).await;
    ask(&server, as_user(request("x"))).await;
    server.end().await;
    let received = collector.wait_until(|it| !it.metrics.is_empty() && !it.spans.is_empty());
    assert_eq!(received.await.instances.len(), 1);
}

#[tokio::test]
async fn nothing_is_sent_to_nobody() {
    let sandbox = sandbox().await;
    let collector = Collector::http().await;
    for (name, value) in [
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_TRACES_EXPORTER", "console"),
    ] {
        let mut command = serve(&["--upstream-url", &sandbox.url()]);
        command
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
            .env("OTEL_METRICS_EXPORTER", "none")
            .env(name, value);
        let server = Server::start(&mut command).await;
        let ended = server.end().await;
        assert!(!ended.stderr.contains("sending"), "{}", ended.stderr);
    }
    assert!(collector.so_far().heads.is_empty());
}

const NOWHERE: &str = "http://127.0.0.1:9";

/// Variables, and what is said of them.
const ODD: &[(&[(&str, &str)], &str)] = &[
    (
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "canary")],
        "OTEL_EXPORTER_OTLP_ENDPOINT is no http or https URL, so nothing is sent",
    ),
    (
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", NOWHERE),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ],
        "OTEL_EXPORTER_OTLP_PROTOCOL is neither grpc nor http/protobuf, so it is that",
    ),
    (
        &[
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", NOWHERE),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "10s"),
        ],
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT is no number from 1 to 3600000, so it is 10000",
    ),
    (
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", NOWHERE),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ],
        "OTEL_EXPORTER_OTLP_COMPRESSION is neither gzip nor none, so it is that",
    ),
    (
        &[("OTEL_TRACES_EXPORTER", "otlp,jaeger")],
        "OTEL_TRACES_EXPORTER has something else than otlp or none",
    ),
    (
        &[
            ("OTEL_TRACES_EXPORTER", "otlp"),
            ("OTEL_TRACES_SAMPLER", "some"),
        ],
        "OTEL_TRACES_SAMPLER is none that is known here, so it is parentbased_always_on",
    ),
    (
        &[
            ("OTEL_TRACES_EXPORTER", "otlp"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "10"),
        ],
        "OTEL_TRACES_SAMPLER needs OTEL_TRACES_SAMPLER_ARG, from 0 to 1, which is 1 now",
    ),
    (
        &[("OTEL_BSP_MAX_QUEUE_SIZE", "1000000000000")],
        "OTEL_BSP_MAX_QUEUE_SIZE is no number from 1 to 65536, so it is 2048",
    ),
    (
        &[
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "200"),
        ],
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE is no number from 1 to 100, so it is 100",
    ),
    (
        &[("OTEL_BSP_SCHEDULE_DELAY", "0")],
        "OTEL_BSP_SCHEDULE_DELAY is no number from 10 to 3600000, so it is 5000",
    ),
    (
        &[("OTEL_METRIC_EXPORT_INTERVAL", "0")],
        "OTEL_METRIC_EXPORT_INTERVAL is no number from 100 to 3600000, so it is 60000",
    ),
    (
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", NOWHERE),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=b,canary;;canary"),
        ],
        "OTEL_EXPORTER_OTLP_HEADERS has an entry that is no header, and isn't sent",
    ),
    (
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:canary@127.0.0.1:9")],
        "an endpoint of OTLP has a user or a password, which isn't used: \
             OTEL_EXPORTER_OTLP_HEADERS can have a key",
    ),
    (
        &[
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", NOWHERE),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "GRPC"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ],
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is neither grpc nor http/protobuf, so it is that",
    ),
    (
        &[("OTEL_PROPAGATORS", "b3")],
        "OTEL_PROPAGATORS has others than tracecontext, which is the only one here",
    ),
    (
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://localhost:1"),
            ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "/canary"),
        ],
        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE names a file that can't be read: \
             No such file or directory (os error 2), so nothing is sent",
    ),
    (
        &[
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://localhost:1"),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/canary"),
        ],
        "OTEL_EXPORTER_OTLP_CLIENT_KEY needs its certificate, so nothing is sent",
    ),
];

/// They are set for all programs, so that they are no reason not to start.
#[tokio::test]
async fn variables_that_cannot_be_used_are_warnings() {
    for (variables, warning) in ODD {
        let mut command = command(&["check-config", "--upstream-url", "http://localhost"]);
        for (name, value) in *variables {
            command.env(name, value);
        }
        let ended = Process::spawn(&mut command).ended().await;
        let expected = format!("videoconf-facade: warning: {warning}\n");
        assert_eq!(ended.stderr, expected, "{variables:?}");
        assert_eq!(ended.status, Some(0));

        let mut command = serve(&["--upstream-url", "http://localhost"]);
        for (name, value) in *variables {
            command.env(name, value);
        }
        let server = Server::start(&mut command).await;
        let odd = |line: &Value| line["warning"] == *warning;
        server.process.stderr.find_json(odd).await;
    }
    let ended = run(&["check-config", "--upstream-url", "http://localhost"]).await;
    assert_eq!(ended.stderr, "");
}
