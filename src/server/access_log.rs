//! The access line of every RPC, and the bound on what those may fill the log with who have no business here.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, interval};
use tonic::Code;

use crate::{
    error::status::{code_name, wire_name},
    journal::Read,
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
pub struct AccessLog(Arc<Mutex<Cheap>>);

/// The lines of calls that failed without a read, which cost their callers nothing.
#[derive(Debug)]
struct Cheap {
    window_began: Instant,
    written: u32,
    left_out: u64,
}

/// What a line tells of a call that is over.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) path: &'a str,
    /// Whether there is a method with this path.
    pub(super) is_known: bool,
    pub(super) code: Code,
    pub(super) record: &'a Record,
    pub(super) request_id: Option<&'a str>,
    pub(super) peer: Option<SocketAddr>,
}

impl Default for AccessLog {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Cheap {
            window_began: Instant::now(),
            written: 0,
            left_out: 0,
        })))
    }
}

impl AccessLog {
    /// Says every now and then how many lines were left out. Never ready.
    pub async fn report_left_out(&self) {
        let mut interval = interval(WINDOW);
        loop {
            interval.tick().await;
            self.cheap().report();
        }
    }

    /// Writes `line`, unless there were too many like it.
    pub(super) fn write(&self, line: &Line) {
        let record = line.record;
        let answer = record.answer();
        let is_from_memory = matches!(answer, Some((Origin::Memory, _)));
        // What is read meanwhile for later calls isn't this one's.
        let read = if is_from_memory {
            Read::default()
        } else {
            record.read()
        };
        // Answers from memory, reflection and probes would drown the rest. A watch of health has no
        // other end than its caller's leaving.
        let is_watch = line.code == Code::Cancelled && line.path == HEALTH_WATCH;
        let is_routine = line.code == Code::Ok || is_watch || line.path == LOAD_BALANCER_PROBE;
        if read.attempts == 0 && !is_routine && !self.cheap().admit() {
            return;
        }
        let refusal = record.refusal();
        macro_rules! access_line {
            ($level:ident) => {
                tracing::event!(
                    target: "access",
                    tracing::Level::$level,
                    method = if line.is_known { line.path } else { OTHER },
                    path = (!line.is_known).then(|| beginning(line.path)),
                    code = code_name(line.code),
                    reason = refusal.map(|refusal| wire_name(refusal.reason)),
                    problem = refusal.and_then(|refusal| refusal.problem),
                    retry_ms = refusal.and_then(|refusal| refusal.retry_millis),
                    ms = millis(record.arrived().elapsed()),
                    source = answer.map(|(origin, _)| origin.as_str()),
                    age_ms = answer.map(|(_, age)| millis(age)),
                    turn_ms = (read.attempts > 0).then(|| millis(read.waited)),
                    upstream_ms = (read.attempts > 0).then(|| millis(read.elapsed)),
                    upstream_status = read.head.map(|head| head.status),
                    upstream_attempts = (read.attempts > 1).then_some(read.attempts),
                    credential = record.credential().map(tracing::field::display),
                    request_id = line.request_id,
                    trace_id = record.trace().trace_id().map(tracing::field::display),
                    peer = line.peer.map(tracing::field::display),
                )
            };
        }
        if read.attempts == 0 && is_routine {
            access_line!(DEBUG);
        } else {
            access_line!(INFO);
        }
    }

    fn cheap(&self) -> MutexGuard<'_, Cheap> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

fn beginning(path: &str) -> &str {
    let end = path.char_indices().nth(MAX_PATH);
    end.map_or(path, |(end, _)| &path[..end])
}

/// To the microsecond.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
