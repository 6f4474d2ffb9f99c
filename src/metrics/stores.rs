//! Operations on the store that replicas share.

use opentelemetry::{
    KeyValue,
    metrics::{BoundCounter, Histogram},
};
use tokio::time::Instant;

use super::{Metrics, names};
use crate::error::status::GIVEN_UP;

/// The buckets of operations, in seconds: what takes longer than 100 milliseconds has failed.
const DURATIONS: [f64; 9] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.1,
];

/// Measures operations.
#[derive(Clone, Debug)]
pub struct Operations {
    durations: Histogram<f64>,
    unreadable: BoundCounter<u64>,
}

/// An operation that isn't over. One that is dropped was given up, and is measured too.
#[derive(Debug)]
pub struct Operation<'a> {
    operations: &'a Operations,
    name: &'static str,
    began: Instant,
    error_type: Option<&'static str>,
}

impl Operations {
    /// Measures with `metrics`.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            durations: metrics.histogram(&names::STORE_DURATION, &DURATIONS),
            unreadable: metrics.counter(&names::STORE_UNREADABLE).bind(&[]),
        }
    }

    /// The command `name` is sent.
    #[must_use]
    pub fn begin(&self, name: &'static str) -> Operation<'_> {
        Operation {
            operations: self,
            name,
            began: Instant::now(),
            error_type: Some(GIVEN_UP),
        }
    }

    /// Something was found that can't be read.
    pub fn unreadable(&self) {
        self.unreadable.add(1);
    }
}

impl Operation<'_> {
    /// It is over, perhaps with an error of this kind.
    pub fn end(mut self, error_type: Option<&'static str>) {
        self.error_type = error_type;
    }
}

impl Drop for Operation<'_> {
    fn drop(&mut self) {
        let mut labels = vec![
            KeyValue::new("db.system.name", "redis"),
            KeyValue::new("db.operation.name", self.name),
        ];
        let error_type = self.error_type.map(|it| KeyValue::new("error.type", it));
        labels.extend(error_type);
        let time = self.began.elapsed().as_secs_f64();
        self.operations.durations.record(time, &labels);
    }
}
