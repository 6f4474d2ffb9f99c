//! Spans on their way to whoever receives them.

use opentelemetry::{KeyValue, metrics::BoundCounter};

use super::{Metrics, names};

/// Measures what becomes of spans.
#[derive(Clone, Debug)]
pub struct Spans {
    delivered: BoundCounter<u64>,
    lost: BoundCounter<u64>,
}

impl Spans {
    /// Measures with `metrics`.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        let exported = metrics.counter(&names::SPANS_EXPORTED);
        Self {
            delivered: exported.bind(&[]),
            lost: exported.bind(&[KeyValue::new("error.type", "not delivered")]),
        }
    }

    /// A delivery of so many is over.
    pub fn exported(&self, count: usize, is_delivered: bool) {
        let counter = if is_delivered {
            &self.delivered
        } else {
            &self.lost
        };
        counter.add(count as u64);
    }
}
