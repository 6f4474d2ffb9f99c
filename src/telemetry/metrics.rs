//! Metrics, for Prometheus and for a receiver of OTLP.

use std::{mem, time::Duration};

use opentelemetry::{KeyValue, global, metrics::MeterProvider};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::{
        PeriodicReader, SdkMeterProvider, Temporality, data::ResourceMetrics,
        exporter::PushMetricExporter,
    },
};
use prometheus::{Encoder, Registry, TextEncoder, proto::MetricFamily};

use super::otlp::{self, Deliveries, Receiver};
use crate::metrics::{Metrics, names};

/// What was measured, for whoever asks.
#[derive(Debug)]
pub struct Prometheus {
    registry: Registry,
    /// As long as this is there, there is something to ask for.
    provider: SdkMeterProvider,
}

/// Delivers metrics, and sees to it that it is known what came of them.
#[derive(Debug)]
struct Watched<E> {
    inner: E,
    deliveries: Deliveries,
}

/// Measures from now on, also for `receiver` as often as is said with it: where instruments are made, and where what they measured can be
/// read. What OpenTelemetry measures of itself is among it.
///
/// # Errors
/// Why nothing can be delivered to the receiver.
///
/// # Panics
/// Never: an empty registry takes a collector.
pub fn start(
    receiver: Option<(&Receiver, Duration)>,
    resource: Resource,
) -> Result<(Metrics, Prometheus), String> {
    let registry = Registry::new();
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .scope_info_enabled(false)
        .without_target_info()
        .build()
        .expect("a registry that is empty takes a collector");
    let mut provider = SdkMeterProvider::builder()
        .with_reader(exporter)
        .with_resource(resource);
    if let Some((receiver, every)) = receiver {
        let exporter = Watched {
            inner: otlp::metric_exporter(receiver)?,
            deliveries: Deliveries::new("metrics", receiver),
        };
        let reader = PeriodicReader::builder(exporter).with_interval(every);
        provider = provider.with_reader(reader.build());
    }
    let provider = provider.build();
    if receiver.is_some() {
        // Whoever drops the last one would wait for the receiver.
        mem::forget(provider.clone());
    }
    global::set_meter_provider(provider.clone());
    let metrics = Metrics::new(provider.meter(env!("CARGO_PKG_NAME")));
    measure_process(&metrics);
    let prometheus = Prometheus { registry, provider };
    Ok((metrics, prometheus))
}

impl<E: PushMetricExporter> PushMetricExporter for Watched<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.inner.export(metrics).await;
        self.deliveries.report(&result);
        result
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.inner.temporality()
    }
}

impl Prometheus {
    /// The content type of [`text`](Self::text).
    pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

    /// What measures it.
    pub(super) fn provider(&self) -> SdkMeterProvider {
        self.provider.clone()
    }

    /// All that was measured.
    #[must_use]
    pub fn families(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }

    /// The same in Prometheus' text format.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        // Fails for a family without a metric, of which the registry gives none.
        if let Err(error) = TextEncoder::new().encode(&self.families(), &mut text) {
            tracing::error!(%error, "metrics can't be written");
        }
        text
    }
}

fn measure_process(metrics: &Metrics) {
    metrics.gauge(&names::BUILD_INFO, || {
        let version = KeyValue::new("version", env!("CARGO_PKG_VERSION"));
        let commit = KeyValue::new("commit", env!("VIDEOCONF_BUILD_COMMIT"));
        vec![(1.0, vec![version, commit])]
    });
    #[cfg(target_os = "linux")]
    linux::measure_process(metrics);
}

#[cfg(target_os = "linux")]
mod linux {
    use procfs::{
        WithCurrentSystemInfo, boot_time_secs,
        process::{LimitValue, Process, Stat},
        ticks_per_second,
    };

    use crate::metrics::{Metrics, names};

    /// What the system says of us, under Prometheus' own names.
    #[expect(clippy::cast_precision_loss, reason = "no process has 2^53 bytes")]
    pub(super) fn measure_process(metrics: &Metrics) {
        let gauge = |name, look: fn(&Process, Stat) -> Option<f64>| {
            metrics.gauge(name, move || {
                let value = myself().and_then(|(process, stat)| look(&process, stat));
                value.map(|value| (value, Vec::new())).into_iter().collect()
            });
        };
        gauge(&names::RESIDENT_MEMORY, |_, stat| {
            Some(stat.rss_bytes().get() as f64)
        });
        gauge(&names::VIRTUAL_MEMORY, |_, stat| Some(stat.vsize as f64));
        gauge(&names::THREADS, |_, stat| Some(stat.num_threads as f64));
        gauge(&names::OPEN_FDS, |process, _| {
            process.fd_count().ok().map(|count| count as f64)
        });
        gauge(&names::MAX_FDS, |process, _| {
            match process.limits().ok()?.max_open_files.soft_limit {
                LimitValue::Value(limit) => Some(limit as f64),
                LimitValue::Unlimited => None,
            }
        });
        gauge(&names::START_TIME, |_, stat| {
            let since_boot = stat.starttime as f64 / ticks_per_second() as f64;
            Some(boot_time_secs().ok()? as f64 + since_boot)
        });
        metrics.count(&names::CPU_SECONDS, || {
            let ticks = myself().map_or(0, |(_, stat)| stat.utime + stat.stime);
            ticks as f64 / ticks_per_second() as f64
        });
    }

    fn myself() -> Option<(Process, Stat)> {
        let process = Process::myself().ok()?;
        let stat = process.stat().ok()?;
        Some((process, stat))
    }
}
