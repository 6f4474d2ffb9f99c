//! OpenTelemetry's variables, a line each: none of them is a reason not to start, and none of their secrets is
//! shown.

#![no_main]

use std::{env, ffi::OsString, time::Duration};

use libfuzzer_sys::fuzz_target;
use videoconf_facade::cli::fuzzing::{Read, read};

/// What stands in the place of `\x01`.
const SECRET: &str = "u:cAnArY@";

/// Those of all receivers, of traces and of metrics.
const SIGNALS: [&str; 3] = ["", "TRACES_", "METRICS_"];

const SETTINGS: [&str; 9] = [
    "ENDPOINT",
    "PROTOCOL",
    "HEADERS",
    "TIMEOUT",
    "COMPRESSION",
    "INSECURE",
    "CERTIFICATE",
    "CLIENT_CERTIFICATE",
    "CLIENT_KEY",
];

const OTHERS: [&str; 10] = [
    "OTEL_SDK_DISABLED",
    "OTEL_TRACES_EXPORTER",
    "OTEL_METRICS_EXPORTER",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "OTEL_PROPAGATORS",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_METRIC_EXPORT_INTERVAL",
];

/// All of them, in the order of the lines.
fn names() -> impl Iterator<Item = String> {
    let of_receivers = SIGNALS
        .into_iter()
        .flat_map(|signal| SETTINGS.map(|setting| format!("OTEL_EXPORTER_OTLP_{signal}{setting}")));
    OTHERS.map(str::to_owned).into_iter().chain(of_receivers)
}

fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    for name in names() {
        let value = lines
            .next()
            .unwrap_or_default()
            .replace('\u{1}', SECRET)
            .replace('\0', "");
        // SAFETY: the fuzzer has one thread.
        unsafe { env::set_var(name, value) };
    }
    let arguments = [
        "videoconf-facade",
        "check-config",
        "--upstream-url=http://127.0.0.1",
    ];
    let Read::Configured(config, settings) = read(arguments.map(OsString::from)) else {
        panic!("a variable for all programs kept it from starting");
    };
    let shown = settings + &config.warnings.join("\n");
    assert!(!shown.contains("cAnArY"), "{shown}");
    let otlp = config.otlp;
    assert!(
        (1..=65_536).contains(&otlp.spans.room)
            && (1..=otlp.spans.room).contains(&otlp.spans.batch)
    );
    let hour = Duration::from_hours(1);
    assert!(!otlp.spans.delay.is_zero() && otlp.spans.delay <= hour);
    assert!(!otlp.metrics_every.is_zero() && otlp.metrics_every <= hour);
    for receiver in [otlp.traces, otlp.metrics].into_iter().flatten() {
        assert!(!receiver.timeout.is_zero() && receiver.timeout <= hour);
        assert!(matches!(receiver.url.scheme(), "http" | "https"));
        assert!(receiver.url.username().is_empty() && receiver.url.password().is_none());
        assert!(receiver.headers.values().all(|it| it.is_sensitive()));
    }
});
