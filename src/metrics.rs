//! What is measured. The rooms say what happens, in types of their own below; who reads it, and in which form,
//! is `telemetry`'s. All names stand in [`names`].
//!
//! The values of labels come from fixed sets: the service's own methods, codes, reasons, states. What a caller
//! sends is never one of them.

mod connections;
pub mod names;
mod reads;
mod rpcs;
mod spans;
mod stores;
mod users;

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, Meter, MeterProvider, NoopMeterProvider, UpDownCounter},
};

pub use connections::{Connections, End, Open};
use names::Name;
pub use reads::{
    Attempt, Attempts, Flight, Flights, Replicas, Standing, Turns, Waiting, watch_allowance,
    watch_trouble,
};
pub use rpcs::{Kind, Method, OTHER, Rpc, Rpcs};
pub use spans::Spans;
pub use stores::{Operation, Operations};
pub use users::Users;

/// Where instruments are made. Clones are the same.
#[derive(Clone, Debug)]
pub struct Metrics {
    meter: Meter,
    users: Users,
}

/// What one look at a gauge finds: values, and the labels of each.
pub type Found = Vec<(f64, Vec<KeyValue>)>;

impl Metrics {
    /// Instruments of `meter`.
    #[must_use]
    pub fn new(meter: Meter) -> Self {
        Self {
            meter,
            users: Users::seen(),
        }
    }

    /// Instruments that measure nothing.
    #[must_use]
    pub fn off() -> Self {
        Self {
            meter: NoopMeterProvider::new().meter("off"),
            users: Users::default(),
        }
    }

    /// Who had Rocket.Chat asked of late.
    #[must_use]
    pub fn users(&self) -> Users {
        self.users.clone()
    }

    /// A value that is looked up when it is asked for.
    pub fn gauge(&self, name: &Name, look: impl Fn() -> Found + Send + Sync + 'static) {
        let gauge = self.meter.f64_observable_gauge(name.name);
        gauge
            .with_description(name.about)
            .with_unit(name.unit)
            .with_callback(move |observer| {
                for (value, labels) in look() {
                    observer.observe(value, &labels);
                }
            })
            .build();
    }

    /// A count that somebody else keeps.
    pub fn count(&self, name: &Name, look: impl Fn() -> f64 + Send + Sync + 'static) {
        let counter = self.meter.f64_observable_counter(name.name);
        counter
            .with_description(name.about)
            .with_unit(name.unit)
            .with_callback(move |observer| observer.observe(look(), &[]))
            .build();
    }

    fn counter(&self, name: &Name) -> Counter<u64> {
        let counter = self.meter.u64_counter(name.name);
        let counter = counter.with_description(name.about);
        counter.with_unit(name.unit).build()
    }

    fn up_down_counter(&self, name: &Name) -> UpDownCounter<i64> {
        let counter = self.meter.i64_up_down_counter(name.name);
        let counter = counter.with_description(name.about);
        counter.with_unit(name.unit).build()
    }

    fn histogram(&self, name: &Name, boundaries: &[f64]) -> Histogram<f64> {
        let histogram = self.meter.f64_histogram(name.name);
        let histogram = histogram.with_description(name.about);
        let histogram = histogram.with_boundaries(boundaries.to_vec());
        histogram.with_unit(name.unit).build()
    }
}
