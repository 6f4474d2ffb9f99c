//! Remembers for a moment that Rocket.Chat is down, so that not everybody has to find out.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::{
    claim::{Claim, Stage},
    error::{Error, Unavailable},
    exchange::Exchange,
    query::{Attempt, Query},
    route::Parameters,
    source::Upstream,
};

/// How many reads must have failed in a row, and for how long nothing else happened.
const FAILURES: u32 = 5;
const FAILING: Duration = Duration::from_secs(1);

/// How many reads must be out, and for how long there was no answer at all.
const SILENT_READS: usize = 3;
const SILENCE: Duration = Duration::from_secs(3);

/// Between the reads that find out whether it is back.
const PROBE_EVERY: Duration = Duration::from_millis(400);

/// A read that others have overtaken by this much at the end of a silence won't be answered any more.
const OVERTAKEN: Duration = Duration::from_secs(1);

/// While Rocket.Chat fails or is silent, lets only single reads through to the source inside.
#[derive(Debug)]
pub struct Breaker<S> {
    inner: S,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The failures since the last success.
    failures: u32,
    failing_since: Instant,
    last_failure: Unavailable,
    /// When there was the last answer of any kind.
    heard_at: Instant,
    /// When the next read may find out.
    probe_at: Instant,
    /// The reads that are under way.
    reads: Vec<Read>,
    last_id: u64,
}

#[derive(Clone, Debug)]
struct Read {
    id: u64,
    claim: Claim,
    /// Told when it is given up.
    lost: Arc<Notify>,
}

/// A read that is under way, until this is dropped.
struct Ongoing<'a, S> {
    breaker: &'a Breaker<S>,
    read: Read,
}

impl<S> Breaker<S> {
    /// Puts the memory around `inner`.
    pub fn new(inner: S) -> Self {
        let now = Instant::now();
        Self {
            inner,
            state: Mutex::new(State {
                failures: 0,
                failing_since: now,
                last_failure: Unavailable::Silent,
                heard_at: now,
                probe_at: now,
                reads: Vec::new(),
                last_id: 0,
            }),
        }
    }

    fn begin(&self, claim: &Claim) -> Result<Ongoing<'_, S>, Error> {
        let mut state = self.lock();
        state.admit(Instant::now())?;
        state.last_id += 1;
        let read = Read {
            id: state.last_id,
            claim: claim.clone(),
            lost: Arc::default(),
        };
        state.reads.push(read.clone());
        drop(state);
        Ok(Ongoing {
            breaker: self,
            read,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Parameters, S: Upstream<P>> Upstream<P> for Breaker<S> {
    async fn ask(&self, query: &Query<P>, attempt: &Attempt) -> Exchange<P::Answer> {
        let ongoing = match self.begin(&attempt.claim) {
            Ok(ongoing) => ongoing,
            Err(error) => return Exchange::unsent(error),
        };
        tokio::select! {
            biased;
            exchange = self.inner.ask(query, attempt) => {
                self.lock().note(&exchange, &ongoing.read, Instant::now());
                exchange
            }
            () = ongoing.read.lost.notified() => {
                Exchange::unsent(unavailable(Unavailable::Silent, PROBE_EVERY))
            }
        }
    }
}

impl State {
    /// Lets a read through, unless it is known that there is no answer to be had just now.
    fn admit(&mut self, now: Instant) -> Result<(), Error> {
        let is_failing = self.failures >= FAILURES && now >= self.failing_since + FAILING;
        let is_silent = self.is_silent(now);
        let cause = match (is_failing, is_silent) {
            (true, _) => self.last_failure,
            (false, true) => Unavailable::Silent,
            (false, false) => return Ok(()),
        };
        if now < self.probe_at {
            return Err(unavailable(cause, self.probe_at - now));
        }
        self.probe_at = now + PROBE_EVERY;
        if is_silent {
            // In the place of the one that has waited for longest, so that there never are more.
            let oldest = self.reads.iter().filter_map(Read::sent_at).min();
            self.give_up(|sent_at| Some(sent_at) == oldest);
        }
        Ok(())
    }

    fn is_silent(&self, now: Instant) -> bool {
        let since = |sent_at: Instant| sent_at + SILENCE <= now;
        let waiting = self.reads.iter().filter_map(Read::sent_at);
        since(self.heard_at) && waiting.filter(|sent_at| since(*sent_at)).count() >= SILENT_READS
    }

    /// Takes note of what came of a read.
    fn note<T>(&mut self, exchange: &Exchange<T>, read: &Read, now: Instant) {
        let failure = match &exchange.result {
            Err(Error::UpstreamUnavailable { cause, .. }) => Some(*cause),
            Err(Error::DeadlineExceeded(_)) => Some(Unavailable::Silent),
            _ => None,
        };
        if exchange.head.is_some() {
            if self.is_silent(now)
                && let Some(sent_at) = read.sent_at()
            {
                self.give_up(|other| other + OVERTAKEN < sent_at);
            }
            self.heard_at = now;
        }
        match failure {
            Some(failure) => {
                if self.failures == 0 {
                    self.failing_since = now;
                }
                self.failures = self.failures.saturating_add(1);
                self.last_failure = failure;
            }
            None if exchange.head.is_some() => self.failures = 0,
            None => {}
        }
    }

    fn give_up(&self, which: impl Fn(Instant) -> bool) {
        for read in &self.reads {
            if read.sent_at().is_some_and(&which) {
                read.lost.notify_one();
            }
        }
    }
}

impl Read {
    fn sent_at(&self) -> Option<Instant> {
        match self.claim.stage() {
            Stage::Sent(at) => Some(at),
            _ => None,
        }
    }
}

impl<S> Drop for Ongoing<'_, S> {
    fn drop(&mut self) {
        let mut state = self.breaker.lock();
        state.reads.retain(|read| read.id != self.read.id);
    }
}

/// Spread a little, so that those who hear it together don't come again together.
fn unavailable(cause: Unavailable, after: Duration) -> Error {
    Error::UpstreamUnavailable {
        cause,
        retry_after: PROBE_EVERY.max(after).mul_f64(1.0 + fastrand::f64() / 2.0),
    }
}
