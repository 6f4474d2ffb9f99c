//! The allowance: which read is sent, and when, so that Rocket.Chat never has to refuse one.
//!
//! | module | decides |
//! |---|---|
//! | `window` | when: a sliding window over our own requests |
//! | `neighbours` | how much of Rocket.Chat's window is others' |
//! | `queue` | who is next |
//! | `marks` | who is accepted, and who isn't limited |
//! | `lane` | how many unlimited reads are under way |
//! | `state` | what follows from the first four together |
//! | `ticket` | what a request has cost, once it is over |
//! | `others` | what the replicas do, if it is shared with any |
//! | `common` | which turn is ours then |
//!
//! The first three have no clock; here turns are waited for and handed out, and the clock runs.

mod common;
mod lane;
mod marks;
mod neighbours;
mod others;
mod queue;
mod state;
mod ticket;
mod window;

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

pub use self::common::{Common, Standing as CommonStanding, Watched};
use self::{
    common::Sharing,
    lane::Lane,
    others::Others,
    queue::{Place, Waiting},
    state::{Grant, Next, State, Step},
    ticket::{Share, Ticket},
    window::Unit,
};
use crate::{
    claim::Claim,
    credentials::Fingerprint,
    metrics::{Metrics, watch_allowance},
    replicas::{ReadId, Tag},
    route::Route,
    sync::{Mutex, MutexGuard, Notify, oneshot, select, sleep_until, spawn},
};

/// What Rocket.Chat allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// How many requests, at least one.
    pub requests: u32,
    /// In how long a time.
    pub span: Duration,
}

/// How the allowance is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Rocket.Chat's limit for one client address; `None` if there is none.
    pub limit: Option<Limit>,
    /// How many reads that aren't limited may be under way.
    pub max_reads_in_flight: usize,
}

/// The allowance of one route. Clones share it.
#[derive(Clone, Debug)]
pub struct Allowance(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    lane: Lane,
    /// Something has changed that may bring a turn forward.
    changed: Notify,
    /// `None` if it is this process's alone.
    sharing: Option<Sharing>,
}

/// A place in the queue, left when this is dropped.
struct Queued<'a> {
    allowance: &'a Allowance,
    place: Place,
    granted: oneshot::Receiver<Grant>,
}

/// The queue is full.
#[derive(Debug)]
pub struct Full;

impl Allowance {
    /// An allowance of which nothing is known to be spent.
    #[must_use]
    pub fn new(options: Options, common: Option<Common>) -> Self {
        let others = common
            .as_ref()
            .map(|it| Others::new(it.me, it.key, it.longest_read));
        Self(Arc::new(Shared {
            state: Mutex::new(State::new(options.limit, others)),
            lane: Lane::new(options.max_reads_in_flight),
            changed: Notify::new(),
            sharing: common.map(|common| Sharing {
                common,
                unwritten: Notify::new(),
            }),
        }))
    }

    /// Waits for the turn of a read with `credential`, for which `tag` stands. The claim is told when that may be.
    ///
    /// # Errors
    /// There are too many who wait already.
    pub async fn turn(
        &self,
        credential: Fingerprint,
        tag: Option<Tag>,
        claim: &Claim,
    ) -> Result<Ticket, Full> {
        while !self.lock().is_unlimited(credential) {
            let mut queued = self.queue(credential, tag, claim)?;
            let grant = loop {
                select! {
                    biased;
                    grant = &mut queued.granted => break grant,
                    () = claim.needs_guess() => self.lock().tell(queued.place, claim),
                }
            };
            match grant.ok() {
                Some(Grant::Ticket(ticket)) => return Ok(ticket),
                Some(Grant::Unlimited) => {}
                None => return Err(Full),
            }
        }
        let permit = self.0.lane.enter(claim).await;
        let share = Share::Lane(permit);
        let mut ticket = Ticket::new(self.clone(), credential, share, false, None);
        if let (Some(sharing), Some(tag)) = (&self.0.sharing, tag) {
            self.begin_beside(&mut ticket, tag, sharing).await;
        }
        Ok(ticket)
    }

    /// Has `metrics` look how the allowance stands, which is that of `route`.
    pub fn watch(&self, metrics: &Metrics, route: &'static Route) {
        let allowance = self.clone();
        let look = move || allowance.lock().standing(Instant::now());
        watch_allowance(metrics, route, look);
    }

    fn queue(
        &self,
        credential: Fingerprint,
        tag: Option<Tag>,
        claim: &Claim,
    ) -> Result<Queued<'_>, Full> {
        let (grant, granted) = oneshot::channel();
        let mut state = self.lock();
        let waiting = Waiting {
            credential,
            tag,
            claim: claim.clone(),
            grant,
            is_hopeless: false,
        };
        let place = state.queue.add(waiting).ok_or(Full)?;
        state.tell(place, claim);
        if state.is_driven {
            self.0.changed();
        } else {
            state.is_driven = true;
            spawn(self.clone().drive());
        }
        Ok(Queued {
            allowance: self,
            place,
            granted,
        })
    }

    /// Hands out turns, as long as somebody waits for one.
    async fn drive(self) {
        loop {
            let step = match &self.0.sharing {
                Some(sharing) if self.lock().is_common() => self.step_in_common(sharing).await,
                _ => self.step(),
            };
            match step {
                Step::Stop => return,
                Step::Wait(None) => self.0.changed.notified().await,
                Step::Wait(Some(until)) => {
                    select! {
                        biased;
                        () = self.0.changed.notified() => {}
                        () = sleep_until(until) => {}
                    }
                }
            }
        }
    }

    /// Hands out the turns that are due.
    fn step(&self) -> Step {
        loop {
            let mut state = self.lock();
            let now = Instant::now();
            let next = match state.next(now) {
                Ok(next) => next,
                Err(step) => return step,
            };
            let unit = state.begin(&next, false, now);
            drop(state);
            self.grant(next, unit, None);
        }
    }

    /// Hands out a turn.
    fn grant(&self, next: Next, unit: Unit, read: Option<ReadId>) {
        let share = Share::Window(unit);
        let Next { waiting, .. } = next;
        let ticket = Ticket::new(
            self.clone(),
            waiting.credential,
            share,
            next.is_stranger,
            read,
        );
        // Who doesn't wait any more gives it back by dropping it.
        let _ = waiting.grant.send(Grant::Ticket(ticket));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets those go who need no turn any more.
fn release(waiting: Vec<Waiting<Grant>>) {
    for waiting in waiting {
        let _ = waiting.grant.send(Grant::Unlimited);
    }
}

impl Shared {
    /// Something has changed that may bring a turn forward, or that replicas want to know.
    fn changed(&self) {
        self.changed.notify_one();
        if let Some(sharing) = &self.sharing {
            sharing.unwritten.notify_one();
        }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.allowance.lock().queue.remove(self.place);
    }
}
