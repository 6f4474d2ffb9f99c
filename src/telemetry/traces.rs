//! Traces for a receiver of OTLP. A library's thread delivers them, in batches; while it can't, they are lost, and
//! no call waits for it.

use std::{mem, time::Duration};

use super::otlp::{self, Deliveries, Options, Receiver};
use crate::{
    metrics::{Metrics, Spans},
    trace::Tracer,
};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter},
};

/// Delivers spans, and sees to it that it is known what came of them.
#[derive(Debug)]
struct Watched<E> {
    inner: E,
    deliveries: Deliveries,
    spans: Spans,
}

/// Has spans delivered to `receiver`, from now on.
///
/// # Errors
/// Why they can't be.
pub fn start(
    receiver: &Receiver,
    options: &Options,
    resource: Resource,
    metrics: &Metrics,
) -> Result<SdkTracerProvider, String> {
    let exporter = Watched {
        inner: otlp::span_exporter(receiver)?,
        deliveries: Deliveries::new("traces", receiver),
        spans: Spans::new(metrics),
    };
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(options.spans.room)
        .with_max_export_batch_size(options.spans.batch)
        .with_scheduled_delay(options.spans.delay)
        .build();
    let batches = BatchSpanProcessor::builder(exporter).with_batch_config(batches);
    let provider = SdkTracerProvider::builder()
        .with_span_processor(batches.build())
        .with_sampler(options.sampler.clone())
        .with_resource(resource)
        .build();
    // Whoever drops the last one would wait for the receiver.
    mem::forget(provider.clone());
    Ok(provider)
}

/// What makes spans, for whoever delivers them, and within the traces of callers if `reads_callers`.
#[must_use]
pub fn tracer(provider: Option<&SdkTracerProvider>, reads_callers: bool) -> Tracer {
    let spans = provider.map(|it| it.tracer(env!("CARGO_PKG_NAME")));
    Tracer::new(spans, reads_callers)
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let result = self.inner.export(batch).await;
        self.spans.exported(count, result.is_ok());
        self.deliveries.report(&result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
