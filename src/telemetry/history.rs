//! The last minutes of what was measured, for the page that draws them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prometheus::proto::{LabelPair, Metric, MetricFamily};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::metrics::Prometheus;

/// How often a sample is taken.
const EVERY: Duration = Duration::from_secs(2);

/// How many are kept: five minutes.
const KEPT: usize = 150;

/// Samples, oldest first.
#[derive(Debug, Default)]
pub struct History(Mutex<VecDeque<Sample>>);

#[derive(Debug)]
struct Sample {
    at: SystemTime,
    /// By the page's names for them.
    values: BTreeMap<String, f64>,
}

/// What is taken of a family of metrics.
struct Taken {
    family: &'static str,
    /// The page's name for it.
    name: &'static str,
    what: What,
    /// Whose service, if it has a label that says so.
    of: Option<&'static str>,
}

enum What {
    Number,
    /// For each value of the first of these labels that is there.
    By(&'static [&'static str]),
    /// The buckets of a histogram.
    Buckets,
    /// A histogram's count and sum, by the first of these labels that is there.
    Mean(&'static [&'static str]),
}

impl History {
    /// Takes samples of `prometheus`, of the calls of `service`. Never ready.
    pub async fn follow(&self, prometheus: &Prometheus, service: &'static str) {
        let mut interval = interval(EVERY);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let values = values(&prometheus.families(), service);
            let mut samples = self.lock();
            if samples.len() == KEPT {
                samples.pop_front();
            }
            samples.push_back(Sample {
                at: SystemTime::now(),
                values,
            });
        }
    }

    /// All samples: when they were taken, in seconds since 1970, and the values of each series then.
    #[must_use]
    pub fn as_json(&self) -> Value {
        let samples = self.lock();
        let names: BTreeSet<_> = samples.iter().flat_map(|it| it.values.keys()).collect();
        let series = names.into_iter().map(|name| {
            let values = samples.iter().map(|it| it.values.get(name).copied());
            (name.clone(), values.collect::<Vec<_>>().into())
        });
        let series: serde_json::Map<_, _> = series.collect();
        let at = samples.iter().map(|it| {
            let since = it.at.duration_since(UNIX_EPOCH).unwrap_or_default();
            since.as_secs_f64()
        });
        json!({ "at": at.collect::<Vec<_>>(), "series": series })
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Sample>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn taken() -> Vec<Taken> {
    let of = |family, name, what, of| Taken {
        family,
        name,
        what,
        of,
    };
    let number = |family, name| of(family, name, What::Number, None);
    vec![
        of(
            "grpc_server_handled_total",
            "calls",
            What::By(&["grpc_code"]),
            Some("grpc_service"),
        ),
        of(
            "rpc_server_call_duration_seconds",
            "duration",
            What::Buckets,
            Some("rpc_method"),
        ),
        of(
            "videoconf_refusals_total",
            "refusals",
            What::By(&["reason"]),
            None,
        ),
        of(
            "videoconf_answers_total",
            "answers",
            What::By(&["source"]),
            None,
        ),
        of("videoconf_answer_age_seconds", "age", What::Buckets, None),
        of(
            "http_client_request_duration_seconds",
            "upstream",
            What::Mean(&["error_type", "http_response_status_code"]),
            None,
        ),
        number("videoconf_upstream_down", "upstream_down"),
        number("videoconf_allowance_limit", "allowance/limit"),
        number("videoconf_allowance_used", "allowance/used"),
        number("videoconf_allowance_others", "allowance/others"),
        number("videoconf_replicas", "replicas/all"),
        number("videoconf_store_reachable", "replicas/reachable"),
        number("videoconf_replicas_with_another_key", "replicas/strangers"),
        number("videoconf_queue_length", "queue"),
        number("videoconf_reads_in_flight", "reads"),
        number("videoconf_calls_in_flight", "in_flight"),
        number("videoconf_connections_open", "connections"),
    ]
}

/// The values of a sample: sums over all labels that the page doesn't tell apart.
#[expect(clippy::cast_precision_loss, reason = "nobody counts so far")]
fn values(families: &[MetricFamily], service: &str) -> BTreeMap<String, f64> {
    let mut values = BTreeMap::new();
    let mut add = |name: String, value: f64| *values.entry(name).or_default() += value;
    for taken in taken() {
        let Some(family) = families.iter().find(|it| it.name() == taken.family) else {
            continue;
        };
        let is_ours = |metric: &&Metric| {
            let whose = taken.of.map(|label| self::label(metric, label));
            whose.is_none_or(|whose| whose.is_some_and(|it| it.starts_with(service)))
        };
        for metric in family.get_metric().iter().filter(is_ours) {
            let first = |labels: &[&str]| {
                let mut values = labels.iter().filter_map(|it| label(metric, it));
                values.next().unwrap_or("other").to_owned()
            };
            let (name, histogram) = (taken.name, metric.get_histogram());
            match taken.what {
                What::Number => add(name.to_owned(), number(metric)),
                What::By(labels) => add(format!("{name}/{}", first(labels)), number(metric)),
                What::Buckets => {
                    for bucket in histogram.get_bucket() {
                        let count = bucket.cumulative_count() as f64;
                        add(format!("{name}/{}", bucket.upper_bound()), count);
                    }
                    let count = histogram.get_sample_count() as f64;
                    add(format!("{name}/+Inf"), count);
                }
                What::Mean(labels) => {
                    let what = first(labels);
                    let count = histogram.get_sample_count() as f64;
                    add(format!("{name}_count/{what}"), count);
                    let sum = histogram.get_sample_sum();
                    add(format!("{name}_sum/{what}"), sum);
                }
            }
        }
    }
    values
}

fn label<'a>(metric: &'a Metric, name: &str) -> Option<&'a str> {
    let label = metric.get_label().iter().find(|it| it.name() == name);
    label.map(LabelPair::value)
}

/// What a counter or a gauge has; the other one is zero.
fn number(metric: &Metric) -> f64 {
    metric.get_counter().get_value() + metric.get_gauge().get_value()
}
