//! Reads of Rocket.Chat: the flights that callers share, their turns, and each request.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use http::StatusCode;
use opentelemetry::{
    KeyValue,
    metrics::{BoundHistogram, BoundUpDownCounter, Histogram},
};
use tokio::time::Instant;

use super::{Metrics, Users, names};
use crate::{
    credentials::Fingerprint,
    error::status::{GIVEN_UP, error_type},
    exchange::Exchange,
    route::Route,
};

/// The buckets of requests and turns, in seconds.
const DURATIONS: [f64; 15] = [
    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0,
];

/// The buckets of callers on one read.
const CALLERS: [f64; 11] = [
    1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 5000.0,
];

/// Measures what callers share.
#[derive(Clone, Debug)]
pub struct Flights {
    in_flight: BoundUpDownCounter<i64>,
    callers: BoundHistogram<f64>,
}

/// A read that callers share, from its beginning to its end. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Flight(Arc<Boarded>);

#[derive(Debug)]
struct Boarded {
    flights: Flights,
    callers: AtomicU32,
    is_sent: AtomicBool,
}

/// Measures how long requests wait for their turn, and whose they are.
#[derive(Clone, Debug)]
pub struct Turns {
    waits: BoundHistogram<f64>,
    users: Users,
}

/// A request that waits for its turn, until that comes, or until nobody waits any more.
#[derive(Debug)]
pub struct Waiting<'a> {
    turns: &'a Turns,
    since: Instant,
}

/// Measures requests to a route.
#[derive(Clone, Debug)]
pub struct Attempts {
    durations: Histogram<f64>,
    route: &'static Route,
}

/// A request that isn't over. One that is dropped was given up, and is measured too.
#[derive(Debug)]
pub struct Attempt<'a> {
    attempts: &'a Attempts,
    began: Instant,
    outcome: Outcome,
}

#[derive(Debug, Default)]
struct Outcome {
    status: Option<u16>,
    error_type: Option<&'static str>,
}

/// How much of an allowance is used, in requests a window; nothing if there is no limit.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// How many reads wait.
    pub waiting: usize,
    /// How many requests are allowed.
    pub limit: Option<usize>,
    /// How many were sent.
    pub used: Option<usize>,
    /// How many others are expected to send.
    pub others: Option<usize>,
    /// Who shares it; `None` if nobody does.
    pub replicas: Option<Replicas>,
}

/// Who shares an allowance.
#[derive(Clone, Copy, Debug)]
pub struct Replicas {
    /// Whether they do at this moment.
    pub are_reachable: bool,
    /// How many there are, or were, with this one.
    pub count: usize,
    /// How many of them have another secret.
    pub with_another_key: usize,
}

/// Has `metrics` look how the allowance of `route` stands.
pub fn watch_allowance(
    metrics: &Metrics,
    route: &'static Route,
    look: impl Fn() -> Standing + Clone + Send + Sync + 'static,
) {
    let gauge = |name, value: fn(&Standing) -> Option<usize>| {
        let look = look.clone();
        metrics.gauge(name, move || {
            let value = value(&look()).and_then(|it| u32::try_from(it).ok());
            let found = value.map(|it| (f64::from(it), of(route)));
            found.into_iter().collect()
        });
    };
    gauge(&names::QUEUE_LENGTH, |it| Some(it.waiting));
    gauge(&names::ALLOWANCE_LIMIT, |it| it.limit);
    gauge(&names::ALLOWANCE_USED, |it| it.used);
    gauge(&names::ALLOWANCE_OTHERS, |it| it.others);
    gauge(&names::STORE_REACHABLE, |it| {
        Some(usize::from(it.replicas?.are_reachable))
    });
    gauge(&names::REPLICAS, |it| Some(it.replicas?.count));
    gauge(&names::REPLICAS_WITH_ANOTHER_KEY, |it| {
        Some(it.replicas?.with_another_key)
    });
}

/// Has `metrics` look whether it is known that `route` gives no answers.
pub fn watch_trouble(
    metrics: &Metrics,
    route: &'static Route,
    is_down: impl Fn() -> bool + Send + Sync + 'static,
) {
    metrics.gauge(&names::UPSTREAM_DOWN, move || {
        vec![(f64::from(u8::from(is_down())), of(route))]
    });
}

fn of(route: &Route) -> Vec<KeyValue> {
    vec![KeyValue::new("route", route.name)]
}

impl Flights {
    /// Measures with `metrics`.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            in_flight: metrics.up_down_counter(&names::READS_IN_FLIGHT).bind(&[]),
            callers: metrics.histogram(&names::READ_CALLERS, &CALLERS).bind(&[]),
        }
    }

    /// A read begins, for one caller.
    #[must_use]
    pub fn begin(&self) -> Flight {
        self.in_flight.add(1);
        Flight(Arc::new(Boarded {
            flights: self.clone(),
            callers: AtomicU32::new(1),
            is_sent: AtomicBool::new(false),
        }))
    }
}

impl Flight {
    /// One more caller joins it.
    pub fn joined(&self) {
        self.0.callers.fetch_add(1, Ordering::Relaxed);
    }

    /// It was sent, so that it is a read indeed.
    pub fn sent(&self) {
        self.0.is_sent.store(true, Ordering::Relaxed);
    }
}

impl Drop for Boarded {
    fn drop(&mut self) {
        self.flights.in_flight.add(-1);
        if *self.is_sent.get_mut() {
            let callers = f64::from(*self.callers.get_mut());
            self.flights.callers.record(callers);
        }
    }
}

impl Turns {
    /// Measures with `metrics`.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            waits: metrics.histogram(&names::TURN_WAIT, &DURATIONS).bind(&[]),
            users: metrics.users(),
        }
    }

    /// The turn of a request of this user has come, and it is sent.
    pub fn sent(&self, credential: Fingerprint) {
        self.users.sent(credential);
    }

    /// A request begins to wait.
    #[must_use]
    pub fn begin(&self) -> Waiting<'_> {
        Waiting {
            turns: self,
            since: Instant::now(),
        }
    }
}

impl Waiting<'_> {
    /// The wait is over, after this time.
    #[must_use]
    pub fn end(self) -> Duration {
        self.since.elapsed()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.turns.waits.record(self.since.elapsed().as_secs_f64());
    }
}

impl Attempts {
    /// Measures requests to `route` with `metrics`.
    #[must_use]
    pub fn new(metrics: &Metrics, route: &'static Route) -> Self {
        Self {
            durations: metrics.histogram(&names::HTTP_DURATION, &DURATIONS),
            route,
        }
    }

    /// A request begins.
    #[must_use]
    pub fn begin(&self) -> Attempt<'_> {
        Attempt {
            attempts: self,
            began: Instant::now(),
            outcome: Outcome {
                status: None,
                error_type: Some(GIVEN_UP),
            },
        }
    }
}

impl Attempt<'_> {
    /// It is over, with what came back.
    pub fn end<T>(mut self, exchange: &Exchange<T>) {
        self.outcome = Outcome {
            status: exchange
                .head
                .map(|head| head.status)
                .filter(|it| is_known(*it)),
            error_type: exchange.result.as_ref().err().map(error_type),
        };
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let mut labels = vec![
            KeyValue::new("http.request.method", self.attempts.route.verb.to_string()),
            KeyValue::new("url.template", self.attempts.route.url_template()),
        ];
        if let Some(status) = self.outcome.status {
            labels.push(KeyValue::new(
                "http.response.status_code",
                i64::from(status),
            ));
        }
        if let Some(error_type) = self.outcome.error_type {
            labels.push(KeyValue::new("error.type", error_type));
        }
        let time = self.began.elapsed().as_secs_f64();
        self.attempts.durations.record(time, &labels);
    }
}

/// Whether a status has a name, or is one of Cloudflare's, so that no server makes up labels.
fn is_known(status: u16) -> bool {
    let named = StatusCode::from_u16(status).is_ok_and(|it| it.canonical_reason().is_some());
    named || (520..=530).contains(&status)
}
