//! Remembers for a moment that Rocket.Chat is down, so that not everybody has to find out.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use crate::{
    claim::{Claim, Stage},
    error::{Error, Unavailable},
    exchange::Exchange,
    metrics::{Metrics, watch_trouble},
    query::{Attempt, Query},
    route::{Parameters, Route},
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

/// How long the first read that finds out during a silence may take, since somebody waits for it. The
/// next ones have twice the time of those before: it may be slow and not dead.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long trouble is remembered while nobody asks.
const MEMORY: Duration = Duration::from_secs(2);

/// Other reads are bounded elsewhere.
const FOR_EVER: Duration = Duration::from_secs(86_400);

/// A read that others have overtaken by this much at the end of a silence won't be answered any more.
const OVERTAKEN: Duration = Duration::from_secs(1);

/// While Rocket.Chat fails or is silent, lets only single reads through to the source inside.
#[derive(Debug)]
pub struct Breaker<S> {
    inner: S,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// The failures since the last success.
    failures: u32,
    failing_since: Instant,
    last_failure: Unavailable,
    /// When there was the last answer of any kind.
    heard_at: Instant,
    /// How long a read that finds out may take, during a silence.
    silence: Option<Duration>,
    /// When something last went wrong.
    troubled_at: Instant,
    /// When the next read may find out.
    probe_at: Instant,
    /// When the next one that hangs may be given up for that.
    room_at: Instant,
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
    /// How long it may take.
    patience: Duration,
}

impl<S> Breaker<S> {
    /// Puts the memory around `inner`.
    pub fn new(inner: S) -> Self {
        let now = Instant::now();
        Self {
            inner,
            state: Arc::new(Mutex::new(State {
                failures: 0,
                failing_since: now,
                last_failure: Unavailable::Silent,
                heard_at: now,
                silence: None,
                troubled_at: now,
                probe_at: now,
                room_at: now,
                reads: Vec::new(),
                last_id: 0,
            })),
        }
    }

    /// Has `metrics` look whether there is an answer to be had, on `route`.
    #[must_use]
    pub fn watch(self, metrics: &Metrics, route: &'static Route) -> Self {
        let state = self.state.clone();
        watch_trouble(metrics, route, move || {
            let state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.trouble(Instant::now()).is_some()
        });
        self
    }

    fn begin(&self, claim: &Claim) -> Result<Ongoing<'_, S>, Error> {
        let mut state = self.lock();
        let patience = state.admit(Instant::now())?;
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
            patience,
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
            Err(error) => return Exchange::unanswered(error),
        };
        let mut asking = pin!(self.inner.ask(query, attempt));
        let mut impatient = pin!(sleep(ongoing.patience));
        // A timer that is due before all others costs a system call, so a read that begins in good times
        // looks only when it could be among those that are silent.
        let mut look_after = match ongoing.patience {
            FOR_EVER => SILENCE,
            _ => PROBE_EVERY,
        };
        loop {
            tokio::select! {
                biased;
                exchange = &mut asking => {
                    self.lock().note(&exchange, &ongoing.read, Instant::now());
                    return exchange;
                }
                () = ongoing.read.lost.notified() => {
                    return Exchange::unanswered(unavailable(Unavailable::Silent, PROBE_EVERY));
                }
                () = &mut impatient => {
                    let now = Instant::now();
                    let until = ongoing.read.sent_at().unwrap_or(now) + ongoing.patience;
                    if until <= now {
                        self.lock().note_silence(ongoing.patience, now);
                        return Exchange::unanswered(unavailable(Unavailable::Silent, PROBE_EVERY));
                    }
                    // It had to wait for its turn.
                    impatient.as_mut().reset(until);
                }
                () = sleep(look_after) => {
                    self.lock().make_room(Instant::now());
                    look_after = PROBE_EVERY;
                }
            }
        }
    }
}

impl State {
    /// Lets a read through, unless it is known that there is no answer to be had just now; and says
    /// how long it may take.
    fn admit(&mut self, now: Instant) -> Result<Duration, Error> {
        if self.is_forgotten(now) {
            self.failures = 0;
            self.silence = None;
        }
        self.silence = self.silence(now);
        let Some(cause) = self.trouble(now) else {
            return Ok(FOR_EVER);
        };
        if !self.may_probe(now) {
            let wait = self.probe_at.saturating_duration_since(now);
            return Err(unavailable(cause, wait));
        }
        Ok(self.silence.unwrap_or(FOR_EVER))
    }

    /// Whether nobody has asked for so long that anything may be.
    fn is_forgotten(&self, now: Instant) -> bool {
        self.reads.is_empty() && now > self.troubled_at + MEMORY
    }

    /// Why there is no answer to be had just now, if that is known.
    fn trouble(&self, now: Instant) -> Option<Unavailable> {
        if self.is_forgotten(now) {
            return None;
        }
        let is_failing = self.failures >= FAILURES && now >= self.failing_since + FAILING;
        if is_failing {
            return Some(self.last_failure);
        }
        self.silence(now).map(|_| Unavailable::Silent)
    }

    fn may_probe(&mut self, now: Instant) -> bool {
        let may = now >= self.probe_at;
        if may {
            self.probe_at = now + PROBE_EVERY;
        }
        may
    }

    /// During a silence, gives up the read that has waited for longest: one that waits for its place can
    /// find out as well as a new one.
    fn make_room(&mut self, now: Instant) {
        self.silence = self.silence(now);
        if self.silence.is_some() && now >= self.room_at {
            self.room_at = now + PROBE_EVERY;
            self.troubled_at = now;
            let oldest = self.reads.iter().filter_map(Read::sent_at).min();
            self.give_up(|sent_at| Some(sent_at) == oldest);
        }
    }

    /// A read that was to find out got no answer within `patience`.
    fn note_silence(&mut self, patience: Duration, now: Instant) {
        self.troubled_at = now;
        self.silence = self.silence.map(|it| it.max(patience * 2));
    }

    /// Whether it is silent, and how long a read that finds out may take then.
    fn silence(&self, now: Instant) -> Option<Duration> {
        let since = |moment: Instant| moment + SILENCE <= now;
        let waiting = self.reads.iter().filter_map(Read::sent_at);
        let begins =
            || since(self.heard_at) && waiting.filter(|it| since(*it)).count() >= SILENT_READS;
        self.silence.or_else(|| begins().then_some(PATIENCE))
    }

    /// Takes note of what came of a read.
    fn note<T>(&mut self, exchange: &Exchange<T>, read: &Read, now: Instant) {
        let failure = match &exchange.result {
            Err(Error::UpstreamUnavailable { cause, .. }) => Some(*cause),
            Err(Error::DeadlineExceeded(_)) => Some(Unavailable::Silent),
            _ => None,
        };
        if exchange.head.is_some() {
            if self.silence.take().is_some()
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
                self.troubled_at = now;
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

#[cfg(test)]
mod tests;
