//! The allowance: which read is sent, and when, so that Rocket.Chat never has to refuse one.
//!
//! | module | decides |
//! |---|---|
//! | `window` | when: a sliding window over our own requests |
//! | `neighbours` | how much of Rocket.Chat's window is others' |
//! | `queue` | who is next |
//! | `marks` | who is accepted, and who isn't limited |
//! | `lane` | how many unlimited reads are under way |
//!
//! All but the last are pure; here they are put together, and the clock runs.

mod lane;
mod marks;
mod neighbours;
mod queue;
mod window;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep_until},
};

use self::{
    lane::{Lane, Permit},
    marks::Marks,
    queue::{Place, Queue, Waiting},
    window::{Unit, Window},
};
use crate::{
    claim::{Claim, Turn},
    credentials::Fingerprint,
    exchange::Head,
};

/// How many of those who were refused are expected to come again, each with a turn of their own.
const MAX_TURNED_AWAY: usize = 50;

/// Nobody is told to stay away for longer.
const MAX_WAIT: Duration = Duration::from_secs(60);

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
}

#[derive(Debug)]
struct State {
    /// `None` if there is no limit.
    window: Option<Window>,
    queue: Queue<Grant>,
    marks: Marks,
    /// How many reads of credentials that were never accepted are under way.
    strangers: usize,
    /// When all who were refused could have had a turn, one after another: they may come again.
    turned_away_until: Instant,
    /// Whether somebody hands out turns.
    is_driven: bool,
}

/// The permission to send one request.
#[derive(Debug)]
pub struct Ticket {
    allowance: Allowance,
    credential: Fingerprint,
    share: Share,
    is_stranger: bool,
    /// Whether the request may have been sent.
    is_used: bool,
    is_over: bool,
}

/// What a request takes of the allowance.
#[derive(Debug)]
enum Share {
    Window(Unit),
    Lane(Permit),
}

/// What a read that waits is handed.
#[derive(Debug)]
enum Grant {
    Ticket(Ticket),
    /// It needs no turn any more.
    Unlimited,
}

/// A place in the queue, left when this is dropped.
struct Queued<'a> {
    allowance: &'a Allowance,
    place: Place,
    granted: oneshot::Receiver<Grant>,
}

/// What there is to do for who hands out turns.
enum Step {
    /// Nobody waits.
    Stop,
    /// Nothing until then, or until something changes.
    Wait(Option<Instant>),
}

/// The queue is full.
#[derive(Debug)]
pub struct Full;

impl Allowance {
    /// An allowance of which nothing is known to be spent.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                window: options.limit.map(Window::new),
                queue: Queue::new(),
                marks: Marks::new(),
                strangers: 0,
                turned_away_until: Instant::now(),
                is_driven: false,
            }),
            lane: Lane::new(options.max_reads_in_flight),
            changed: Notify::new(),
        }))
    }

    /// Waits for the turn of a read with `credential`. The claim is told when that may be.
    ///
    /// # Errors
    /// There are too many who wait already.
    pub async fn turn(&self, credential: Fingerprint, claim: &Claim) -> Result<Ticket, Full> {
        while !self.lock().is_unlimited(credential) {
            let mut queued = self.queue(credential, claim)?;
            let grant = loop {
                tokio::select! {
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
        Ok(Ticket {
            allowance: self.clone(),
            credential,
            share: Share::Lane(permit),
            is_stranger: false,
            is_used: false,
            is_over: false,
        })
    }

    fn queue(&self, credential: Fingerprint, claim: &Claim) -> Result<Queued<'_>, Full> {
        let (grant, granted) = oneshot::channel();
        let mut state = self.lock();
        let waiting = Waiting {
            credential,
            claim: claim.clone(),
            grant,
            is_hopeless: false,
        };
        let place = state.queue.add(waiting).ok_or(Full)?;
        state.tell(place, claim);
        if state.is_driven {
            self.0.changed.notify_one();
        } else {
            state.is_driven = true;
            tokio::spawn(self.clone().drive());
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
            match self.step() {
                Step::Stop => return,
                Step::Wait(None) => self.0.changed.notified().await,
                Step::Wait(Some(until)) => {
                    tokio::select! {
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
            let (waiting, ticket) = match state.next(now) {
                Ok((waiting, unit, is_stranger)) => {
                    let ticket = Ticket {
                        allowance: self.clone(),
                        credential: waiting.credential,
                        share: Share::Window(unit),
                        is_stranger,
                        is_used: false,
                        is_over: false,
                    };
                    (waiting, ticket)
                }
                Err(step) => return step,
            };
            drop(state);
            // Who doesn't wait any more gives it back by dropping it.
            let _ = waiting.grant.send(Grant::Ticket(ticket));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_unlimited(&self, credential: Fingerprint) -> bool {
        self.window.is_none() || self.marks.is_unlimited(credential, Instant::now())
    }

    /// Tells those who wait for the read at `place` when its turn may come.
    fn tell(&mut self, place: Place, claim: &Claim) {
        claim.queued(self.guess(place, claim, Instant::now()));
    }

    /// When the turn of the read at `place` may come. What becomes of a stranger's reads is known after
    /// the first of them, so until then the guess is that one's.
    fn guess(&mut self, place: Place, claim: &Claim, now: Instant) -> Turn {
        let Some(window) = &self.window else {
            return Turn {
                at: now,
                come_again_at: now,
            };
        };
        let marks = &self.marks;
        let is_accepted = |credential| marks.is_accepted(credential);
        let decisive = self.queue.decisive(place, is_accepted);
        let turns = self.queue.ahead_of(decisive, now, is_accepted) + 1;
        let turned_away = turns_until(self.turned_away_until, now, window);
        let wanted = self.queue.len() + turned_away;
        let at = window.turn_at(now, turns, wanted);
        let come_again_at = window.turn_at(now, turns + turned_away, wanted);
        let is_hopeless = claim.deadline().is_some_and(|deadline| at > deadline);
        self.queue.set_hopeless(place, is_hopeless);
        if is_hopeless && turned_away < MAX_TURNED_AWAY {
            self.turned_away_until = self.turned_away_until.max(now) + window.pace();
        }
        Turn {
            at,
            come_again_at: come_again_at.min(now + MAX_WAIT),
        }
    }

    /// Who is next, and what it takes of the window.
    fn next(&mut self, now: Instant) -> Result<(Waiting<Grant>, Unit, bool), Step> {
        let waiting = self.queue.len();
        let Some(window) = self.window.as_mut().filter(|_| waiting > 0) else {
            self.is_driven = false;
            return Err(Step::Stop);
        };
        // Those who were refused want a turn, too.
        let turned_away = turns_until(self.turned_away_until, now, window);
        let ready_at = window.ready_at(now, waiting + turned_away);
        if ready_at > now {
            return Err(Step::Wait(Some(ready_at)));
        }
        let marks = &self.marks;
        let is_accepted = |credential| marks.is_accepted(credential);
        // Strangers' reads may all be for nothing, and each keeps a unit until that shows. So they
        // are read one by one, and some more only while nobody else wants a turn.
        let queue = &mut self.queue;
        let mut next = queue.next(now, is_accepted, self.strangers == 0);
        if next.is_none() && self.strangers < window.burst() {
            next = queue.next(now, is_accepted, true);
        }
        let waiting = next.ok_or(Step::Wait(None))?;
        let is_stranger = !marks.is_accepted(waiting.credential);
        self.strangers += usize::from(is_stranger);
        Ok((waiting, window.take(now, !is_stranger), is_stranger))
    }

    /// Takes note of what came of a request, and says whose reads need no turn any more.
    fn over(&mut self, ticket: &Ticket, head: Option<&Head>, now: Instant) -> Vec<Waiting<Grant>> {
        self.strangers -= usize::from(ticket.is_stranger);
        let credential = ticket.credential;
        let was_stranger = !self.marks.is_accepted(credential);
        if let Some(head) = head {
            self.marks.learn(credential, head, now);
        }
        self.charge(ticket, head, now);
        if self.is_unlimited(credential) {
            return self.queue.take_all_of(credential);
        }
        if was_stranger && self.marks.is_accepted(credential) {
            for (place, claim) in self.queue.all_of(credential) {
                self.tell(place, &claim);
            }
        }
        Vec::new()
    }

    /// Charges a request to the window if Rocket.Chat counts it: not one that wasn't sent, nor one that
    /// was rejected before that, nor those of users whom it doesn't limit.
    fn charge(&mut self, ticket: &Ticket, head: Option<&Head>, now: Instant) {
        let is_unlimited = self.is_unlimited(ticket.credential);
        let Some(window) = &mut self.window else {
            return;
        };
        let is_rejected = head.is_some_and(|head| head.status == 401);
        let is_limited = head.is_some_and(|head| head.rate_limit.is_some());
        match &ticket.share {
            Share::Window(unit) => {
                window.over(*unit, head, now);
                if !ticket.is_used || is_rejected || is_unlimited {
                    window.give_back(*unit);
                }
            }
            // It was counted, against what we thought.
            Share::Lane(permit) if is_limited => {
                let unit = window.take(permit.since(), true);
                window.over(unit, head, now);
            }
            Share::Lane(_) => {}
        }
    }
}

/// How many turns of `window` there are until then.
fn turns_until(until: Instant, now: Instant, window: &Window) -> usize {
    let turns = until.saturating_duration_since(now).as_nanos() / window.pace().as_nanos();
    usize::try_from(turns).unwrap_or(MAX_TURNED_AWAY)
}

impl Ticket {
    /// The request is about to be sent.
    pub fn begin(&mut self) {
        self.is_used = true;
    }

    /// What came of the request: whether it was sent, and the head of the answer.
    pub fn over(mut self, was_sent: bool, head: Option<&Head>) {
        self.is_used = was_sent;
        self.settle(head);
    }

    fn settle(&mut self, head: Option<&Head>) {
        self.is_over = true;
        if let Share::Lane(permit) = &self.share {
            self.allowance.0.lane.leave(permit);
        }
        let released = self.allowance.lock().over(self, head, Instant::now());
        for waiting in released {
            let _ = waiting.grant.send(Grant::Unlimited);
        }
        self.allowance.0.changed.notify_one();
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.is_over {
            self.settle(None);
        }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.allowance.lock().queue.remove(self.place);
    }
}
