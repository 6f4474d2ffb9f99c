//! What the process tells about itself, and who is told.

pub mod history;
pub mod logs;
pub mod metrics;
pub mod otlp;
pub mod page;
pub mod traces;

use std::time::Duration;

use futures_util::future::join_all;
use opentelemetry_sdk::{metrics::SdkMeterProvider, trace::SdkTracerProvider};
use tokio::{task::spawn_blocking, time::timeout};

use crate::{metrics::Metrics, trace::Tracer};
use metrics::Prometheus;
use otlp::Options;

/// How long the end of the process waits for a last delivery.
const LAST_DELIVERY: Duration = Duration::from_secs(2);

/// What measures and what makes spans. Clones are the same.
#[derive(Clone, Debug)]
pub struct Instruments {
    /// What measures.
    pub metrics: Metrics,
    /// What makes spans.
    pub tracer: Tracer,
}

/// Telemetry that has begun.
#[derive(Debug)]
pub struct Started {
    /// What measures and what makes spans.
    pub instruments: Instruments,
    /// What was measured, if anything is.
    pub prometheus: Option<Prometheus>,
    /// What is on its way.
    pub outbox: Outbox,
}

/// What is on its way to receivers of OTLP.
#[derive(Debug, Default)]
pub struct Outbox {
    metrics: Option<SdkMeterProvider>,
    traces: Option<SdkTracerProvider>,
}

impl Instruments {
    /// Nothing is measured, and there are no spans.
    #[must_use]
    pub fn off() -> Self {
        Self {
            metrics: Metrics::off(),
            tracer: Tracer::off(),
        }
    }
}

/// Begins: metrics if they are received or `are_measured` for somebody else, traces if they are received. Why
/// something can't be sent is one of `warnings`.
pub fn start(options: &Options, are_measured: bool, warnings: &mut Vec<String>) -> Started {
    let resource = otlp::resource();
    let mut started = Started {
        instruments: Instruments::off(),
        prometheus: None,
        outbox: Outbox::default(),
    };
    let mut warn = |what: &str, problem| warnings.push(format!("{what} aren't sent: {problem}"));
    let receiver = options.metrics.as_ref();
    if are_measured || receiver.is_some() {
        let every = receiver.map(|it| (it, options.metrics_every));
        match metrics::start(every, resource.clone()) {
            Ok((metrics, prometheus)) => {
                started.outbox.metrics = receiver.map(|_| prometheus.provider());
                started.instruments.metrics = metrics;
                started.prometheus = Some(prometheus);
            }
            Err(problem) => warn("metrics", problem),
        }
    }
    let metrics = &started.instruments.metrics;
    if let Some(receiver) = &options.traces {
        match traces::start(receiver, options, resource, metrics) {
            Ok(provider) => started.outbox.traces = Some(provider),
            Err(problem) => warn("traces", problem),
        }
    }
    let traces = started.outbox.traces.as_ref();
    started.instruments.tracer = traces::tracer(traces, options.reads_callers);
    started
}

impl Outbox {
    /// Delivers what is left, if that doesn't take long.
    pub async fn finish(self) {
        let metrics = self.metrics.map(|it| spawn_blocking(move || it.shutdown()));
        let traces = self.traces.map(|it| spawn_blocking(move || it.shutdown()));
        let last = join_all([metrics, traces].into_iter().flatten());
        let _ = timeout(LAST_DELIVERY, last).await;
    }
}
