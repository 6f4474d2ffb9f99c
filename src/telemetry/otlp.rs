//! OpenTelemetry's protocol: who receives what is told of the process, and what becomes of it on the way.

mod deliveries;
mod transport;

use std::{env, time::Duration};

use http::HeaderMap;
use opentelemetry::KeyValue;
use opentelemetry_sdk::{
    Resource,
    resource::{EnvResourceDetector, TelemetryResourceDetector},
    trace::Sampler,
};
use rustls::ClientConfig;
use url::Url;

pub use deliveries::Deliveries;
pub use transport::{metric_exporter, span_exporter};

/// Who receives what.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who receives traces.
    pub traces: Option<Receiver>,
    /// Who receives metrics.
    pub metrics: Option<Receiver>,
    /// Whether callers may say in which trace they are.
    pub reads_callers: bool,
    /// Which traces are recorded.
    pub sampler: Sampler,
    /// How spans are kept until they are delivered.
    pub spans: SpanBatches,
    /// How often metrics are delivered.
    pub metrics_every: Duration,
}

/// How spans are kept until they are delivered.
#[derive(Clone, Copy, Debug)]
pub struct SpanBatches {
    /// How many there is room for. More are lost.
    pub room: usize,
    /// How many are delivered at once.
    pub batch: usize,
    /// How long a span waits for others.
    pub delay: Duration,
}

/// Somebody who receives OTLP.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Where it is, without a user or a password.
    pub url: Url,
    /// What each request has for headers, as a key that lets us in: marked sensitive.
    pub headers: HeaderMap,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// How long it may take for one delivery.
    pub timeout: Duration,
    /// Whether what is sent is packed.
    pub is_gzipped: bool,
    /// How TLS is spoken, if the URL says so.
    pub tls: ClientConfig,
}

/// How a receiver is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC.
    Grpc,
    /// Protobuf by HTTP/1.
    #[default]
    Http,
}

impl Options {
    /// Who receives something, and what.
    pub fn receivers(&self) -> impl Iterator<Item = (&'static str, &Receiver)> {
        let traces = self.traces.iter().map(|it| ("traces", it));
        traces.chain(self.metrics.iter().map(|it| ("metrics", it)))
    }
}

impl Receiver {
    /// Where it is, without secrets.
    #[must_use]
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

impl Protocol {
    /// The protocol's name in the standard variables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http/protobuf",
        }
    }
}

/// Who we are, as receivers hear it. The standard variables have the last word.
#[must_use]
pub fn resource() -> Resource {
    let instance = format!("{:032x}", fastrand::u128(..));
    let resource = Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", env!("CARGO_PKG_NAME")),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance),
        ])
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_detector(Box::new(EnvResourceDetector::new()));
    match env::var("OTEL_SERVICE_NAME") {
        Ok(name) if !name.is_empty() => resource.with_service_name(name).build(),
        _ => resource.build(),
    }
}
