//! Calls.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use opentelemetry::{
    KeyValue,
    metrics::{BoundCounter, BoundHistogram, BoundUpDownCounter, Counter, Histogram},
};
use tonic::Code;

use super::{Metrics, names};
use crate::{
    error::status::{code_name, wire_name},
    record::{Origin, Record},
};

/// The buckets of calls, in seconds: an answer from memory takes some 20 microseconds.
const DURATIONS: [f64; 19] = [
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025,
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// The buckets of ages, in seconds: `--fresh-for` and `--stale-for` are in them.
const AGES: [f64; 12] = [
    0.001, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 20.0, 30.0,
];

/// What stands for a method that doesn't exist, as OpenTelemetry has it.
pub const OTHER: &str = "_OTHER";

/// How many codes there are.
const CODES: usize = 17;

/// A method of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// Its service, with its package.
    pub service: String,
    /// Its own name.
    pub name: String,
    /// What travels.
    pub kind: Kind,
}

/// What travels in a call of a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A message each way.
    Unary,
    /// Many messages to the server.
    ClientStream,
    /// Many messages to the client.
    ServerStream,
    /// Many each way.
    BidiStream,
}

/// Measures calls. Clones share everything.
#[derive(Clone, Debug)]
pub struct Rpcs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// One for each method, and one for all that don't exist.
    methods: Vec<Measured>,
    in_flight: BoundUpDownCounter<i64>,
    refusals: Counter<u64>,
    answers: [BoundCounter<u64>; Origin::ALL.len()],
    ages: BoundHistogram<f64>,
    durations: Histogram<f64>,
    handled: Counter<u64>,
    handling: Option<Histogram<f64>>,
}

#[derive(Debug)]
struct Measured {
    method: Method,
    started: BoundCounter<u64>,
    /// By code, as they come: most never do.
    ended: [OnceLock<Ended>; CODES],
}

#[derive(Debug)]
struct Ended {
    handled: BoundCounter<u64>,
    duration: BoundHistogram<f64>,
    handling: Option<BoundHistogram<f64>>,
}

/// A call that isn't over.
#[derive(Debug)]
pub struct Rpc {
    rpcs: Rpcs,
    /// Which method's.
    index: usize,
}

impl Rpcs {
    /// Measures calls of `methods`, with the classic histogram, too, if it is asked for.
    #[must_use]
    pub fn new(metrics: &Metrics, methods: Vec<Method>, with_handling: bool) -> Self {
        let started = metrics.counter(&names::STARTED);
        let other = Method {
            service: OTHER.to_owned(),
            name: OTHER.to_owned(),
            kind: Kind::Unary,
        };
        let methods = methods.into_iter().chain([other]);
        let methods = methods.map(|method| Measured {
            started: started.bind(&method.labels()),
            method,
            ended: Default::default(),
        });
        let answers = metrics.counter(&names::ANSWERS);
        let answers =
            Origin::ALL.map(|origin| answers.bind(&[KeyValue::new("source", origin.as_str())]));
        Self(Arc::new(Inner {
            methods: methods.collect(),
            in_flight: metrics.up_down_counter(&names::IN_FLIGHT).bind(&[]),
            refusals: metrics.counter(&names::REFUSALS),
            answers,
            ages: metrics.histogram(&names::ANSWER_AGE, &AGES).bind(&[]),
            durations: metrics.histogram(&names::RPC_DURATION, &DURATIONS),
            handled: metrics.counter(&names::HANDLED),
            handling: with_handling.then(|| metrics.histogram(&names::HANDLING, &DURATIONS)),
        }))
    }

    /// A call comes, of the method with this number among those that there are, or of none.
    #[must_use]
    pub fn begin(&self, method: Option<usize>) -> Rpc {
        let index = method.unwrap_or(self.0.methods.len() - 1);
        self.0.methods[index].started.add(1);
        self.0.in_flight.add(1);
        Rpc {
            rpcs: self.clone(),
            index,
        }
    }
}

impl Rpc {
    /// The call is over, after `time`, with `code` and what `record` tells.
    pub fn end(&self, code: Code, time: Duration, record: &Record) {
        let inner = &*self.rpcs.0;
        let ended = inner.methods[self.index].ended(code, inner);
        inner.in_flight.add(-1);
        ended.handled.add(1);
        let seconds = time.as_secs_f64();
        ended.duration.record(seconds);
        if let Some(handling) = &ended.handling {
            handling.record(seconds);
        }
        if let Some((origin, age)) = record.answer().filter(|_| code == Code::Ok) {
            inner.answers[origin as usize].add(1);
            inner.ages.record(age.as_secs_f64());
        }
        if let Some(refusal) = record.refusal().filter(|_| code != Code::Ok) {
            let reason = KeyValue::new("reason", wire_name(refusal.reason));
            let problem = KeyValue::new("problem", refusal.problem.unwrap_or_default());
            inner.refusals.add(1, &[reason, problem]);
        }
    }
}

impl Measured {
    fn ended(&self, code: Code, inner: &Inner) -> &Ended {
        self.ended[code as usize].get_or_init(|| {
            let mut labels = self.method.labels();
            labels.push(KeyValue::new("grpc_code", classic_name(code)));
            let mut new_labels = vec![
                KeyValue::new("rpc.system.name", "grpc"),
                KeyValue::new("rpc.method", self.method.full_name()),
                KeyValue::new("rpc.response.status_code", code_name(code)),
            ];
            if code != Code::Ok {
                new_labels.push(KeyValue::new("error.type", code_name(code)));
            }
            Ended {
                handled: inner.handled.bind(&labels),
                duration: inner.durations.bind(&new_labels),
                handling: inner.handling.as_ref().map(|it| it.bind(&labels)),
            }
        })
    }
}

impl Method {
    /// Its name as OpenTelemetry has it.
    #[must_use]
    pub fn full_name(&self) -> String {
        match &*self.service {
            OTHER => OTHER.to_owned(),
            service => format!("{service}/{}", self.name),
        }
    }

    /// As gRPC's classic dashboards have them.
    fn labels(&self) -> Vec<KeyValue> {
        let kind = match self.kind {
            Kind::Unary => "unary",
            Kind::ClientStream => "client_stream",
            Kind::ServerStream => "server_stream",
            Kind::BidiStream => "bidi_stream",
        };
        vec![
            KeyValue::new("grpc_service", self.service.clone()),
            KeyValue::new("grpc_method", self.name.clone()),
            KeyValue::new("grpc_type", kind),
        ]
    }
}

/// The code's name as those dashboards have it, which is Go's.
fn classic_name(code: Code) -> String {
    match code {
        Code::Ok => "OK".to_owned(),
        // Rust's names are Go's, but for this one.
        Code::Cancelled => "Canceled".to_owned(),
        code => format!("{code:?}"),
    }
}
