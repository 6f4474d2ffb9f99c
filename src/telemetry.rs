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

/// Begins: metrics if they are received or `are_measured` for somebody else, traces if they are received.
///
/// # Errors
/// Why a receiver can't be reached at all.
pub fn start(options: &otlp::Options, are_measured: bool) -> Result<Started, String> {
    let mut outbox = Outbox::default();
    let (metrics, prometheus) = if are_measured || options.metrics.is_some() {
        let (metrics, prometheus) = metrics::start(options.metrics.as_ref())?;
        outbox.metrics = options.metrics.as_ref().map(|_| prometheus.provider());
        (metrics, Some(prometheus))
    } else {
        (Metrics::off(), None)
    };
    let traces = options.traces.as_ref();
    let traces = traces.map(|it| traces::start(it, &metrics)).transpose()?;
    outbox.traces.clone_from(&traces);
    Ok(Started {
        instruments: Instruments {
            tracer: traces::tracer(traces.as_ref(), options.reads_callers),
            metrics,
        },
        prometheus,
        outbox,
    })
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
