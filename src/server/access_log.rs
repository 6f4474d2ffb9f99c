//! The access line of every RPC, its part in the metrics, and the bound on what those may fill the log with
//! who have no business here.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::{HeaderMap, Uri};
use tokio::time::{Instant, interval};
use tonic::{Code, Status};

use super::{Methods, Request, layers::Id};
use crate::{
    error::status::{code_name, wire_name},
    journal::Read,
    metrics::{Rpc, Rpcs},
    record::{Origin, Record},
};

/// The path of a watch of health.
const HEALTH_WATCH: &str = "/grpc.health.v1.Health/Watch";

/// What AWS's load balancer asks for unless told otherwise. It knows that there is no such method.
const LOAD_BALANCER_PROBE: &str = "/AWS.ALB/healthcheck";

/// What stands for the name of a method that doesn't exist.
const OTHER: &str = "other";

/// How much of an unknown path a line has, in characters.
const MAX_PATH: usize = 128;

/// How many lines of calls that failed without a read are written in a [`WINDOW`].
const MAX_CHEAP_LINES: u32 = 100;

const WINDOW: Duration = Duration::from_secs(1);

/// Writes the access lines. Clones share the bound.
#[derive(Clone, Debug)]
pub struct AccessLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    methods: Methods,
    rpcs: Rpcs,
    cheap: Mutex<Cheap>,
}

/// The lines of calls that failed without a read, which cost their callers nothing.
#[derive(Debug)]
struct Cheap {
    window_began: Instant,
    written: u32,
    left_out: u64,
}

/// A call that isn't over, for its access line and the metrics. One that is dropped was cancelled: the caller has
/// gone.
#[derive(Debug)]
pub struct Line {
    log: AccessLog,
    uri: Uri,
    rpc: Rpc,
    request_id: Option<Id>,
    peer: Option<SocketAddr>,
    record: Record,
    /// How it ended.
    code: Code,
}

impl AccessLog {
    /// A log whose lines name `methods`, and nothing else. Calls are measured with `rpcs`, too.
    #[must_use]
    pub fn new(methods: Methods, rpcs: Rpcs) -> Self {
        let cheap = Cheap {
            window_began: Instant::now(),
            written: 0,
            left_out: 0,
        };
        Self(Arc::new(Shared {
            methods,
            rpcs,
            cheap: Mutex::new(cheap),
        }))
    }

    /// The line of a call that begins.
    #[must_use]
    pub fn begin(&self, request: &Request, record: Record) -> Line {
        let method = self.0.methods.find(request.uri().path());
        Line {
            log: self.clone(),
            uri: request.uri().clone(),
            rpc: self.0.rpcs.begin(method),
            request_id: request.extensions().get().cloned(),
            peer: request.extensions().get().copied(),
            record,
            code: Code::Cancelled,
        }
    }

    /// Says every now and then how many lines were left out. Never ready.
    pub async fn report_left_out(&self) {
        let mut interval = interval(WINDOW);
        loop {
            interval.tick().await;
            self.0.cheap().report();
        }
    }
}

impl Shared {
    fn cheap(&self) -> MutexGuard<'_, Cheap> {
        self.cheap.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cheap {
    /// Whether one more line is written; else it is counted.
    fn admit(&mut self) -> bool {
        let now = Instant::now();
        if now.duration_since(self.window_began) >= WINDOW {
            self.window_began = now;
            self.written = 0;
        }
        if self.written < MAX_CHEAP_LINES {
            self.written += 1;
            true
        } else {
            self.left_out += 1;
            false
        }
    }

    fn report(&mut self) {
        let left_out = std::mem::take(&mut self.left_out);
        if left_out > 0 {
            tracing::warn!(
                target: "access",
                left_out,
                "lines left out, of calls that failed without a read"
            );
        }
    }
}

impl Drop for Cheap {
    fn drop(&mut self) {
        self.report();
    }
}

impl Line {
    /// The record of the call.
    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    /// The call is over with this code, and the line is written.
    pub(super) fn end(mut self, code: Code) {
        self.code = code;
    }

    fn write(&self) {
        let answer = self.record.answer();
        let is_from_memory = matches!(answer, Some((Origin::Memory, _)));
        // What is read meanwhile for later calls isn't this one's.
        let read = if is_from_memory {
            Read::default()
        } else {
            self.record.read()
        };
        // Answers from memory, reflection and probes would drown the rest. A watch of health has no
        // other end than its caller's leaving.
        let path = self.uri.path();
        let is_watch = self.code == Code::Cancelled && path == HEALTH_WATCH;
        let is_routine = self.code == Code::Ok || is_watch || path == LOAD_BALANCER_PROBE;
        if read.attempts == 0 && !is_routine && !self.log.0.cheap().admit() {
            return;
        }
        let is_known = self.log.0.methods.find(path).is_some();
        let refusal = self.record.refusal();
        macro_rules! access_line {
            ($level:ident) => {
                tracing::event!(
                    target: "access",
                    tracing::Level::$level,
                    method = if is_known { path } else { OTHER },
                    path = (!is_known).then(|| beginning(path)),
                    code = code_name(self.code),
                    reason = refusal.map(|refusal| wire_name(refusal.reason)),
                    problem = refusal.and_then(|refusal| refusal.problem),
                    retry_ms = refusal.and_then(|refusal| refusal.retry_millis),
                    ms = millis(self.record.arrived().elapsed()),
                    source = answer.map(|(origin, _)| origin.as_str()),
                    age_ms = answer.map(|(_, age)| millis(age)),
                    turn_ms = (read.attempts > 0).then(|| millis(read.waited)),
                    upstream_ms = (read.attempts > 0).then(|| millis(read.elapsed)),
                    upstream_status = read.head.map(|head| head.status),
                    upstream_attempts = (read.attempts > 1).then_some(read.attempts),
                    request_id = self.request_id.as_ref().map(Id::as_str),
                    peer = self.peer.map(tracing::field::display),
                )
            };
        }
        if read.attempts == 0 && is_routine {
            access_line!(DEBUG);
        } else {
            access_line!(INFO);
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let time = self.record.arrived().elapsed();
        self.rpc.end(self.code, time, &self.record);
        self.write();
    }
}

/// The code among the headers or trailers with which a call is over.
pub(super) fn code_of(headers: &HeaderMap) -> Option<Code> {
    headers
        .get(Status::GRPC_STATUS)
        .map(|value| Code::from_bytes(value.as_bytes()))
}

fn beginning(path: &str) -> &str {
    let end = path.char_indices().nth(MAX_PATH);
    end.map_or(path, |(end, _)| &path[..end])
}

/// To the microsecond.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
