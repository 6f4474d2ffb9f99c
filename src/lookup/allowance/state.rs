//! What the allowance knows, and what follows from it for the turns.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    CommonStanding, Limit,
    marks::Marks,
    others::{Others, Reading},
    queue::{Place, Queue, Waiting},
    ticket::{Share, Ticket},
    window::{Sender, Unit, Window},
};
use crate::{
    claim::{Cause, Claim, Turn},
    credentials::Fingerprint,
    exchange::Head,
    metrics::{Replicas, Standing},
    replicas::{Entry, Event, Over, Position, Replica, Takes, Waits},
};

/// How many of those who were refused are expected to come again, each with a turn of their own.
const MAX_TURNED_AWAY: usize = 50;

/// Nobody is told to stay away for longer.
const MAX_WAIT: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct State {
    /// `None` if there is no limit.
    window: Option<Window>,
    pub(super) queue: Queue<Grant>,
    marks: Marks,
    /// How many reads of credentials that were never accepted are under way.
    strangers: usize,
    /// When all who were refused could have had a turn, one after another: they may come again.
    turned_away_until: Instant,
    /// Whether somebody hands out turns.
    pub(super) is_driven: bool,
    /// The replicas that share the allowance; `None` if it isn't shared.
    pub(super) others: Option<Others>,
}

/// What a request takes, here or at a replica.
struct Cost {
    credential: Fingerprint,
    /// Of the window; or when it was sent, if it takes nothing of that.
    unit: Result<Unit, Instant>,
    sender: Sender,
    is_stranger: bool,
    was_sent: bool,
}

/// A read whose turn it is.
pub(super) struct Next {
    pub place: Place,
    pub waiting: Waiting<Grant>,
    pub is_stranger: bool,
}

/// What a read that waits is handed.
#[derive(Debug)]
pub(super) enum Grant {
    Ticket(Ticket),
    /// It needs no turn any more.
    Unlimited,
}

/// What there is to do for who hands out turns.
pub(super) enum Step {
    /// Nobody waits.
    Stop,
    /// Nothing until then, or until something changes.
    Wait(Option<Instant>),
}

impl State {
    pub(super) fn new(limit: Option<Limit>, others: Option<Others>) -> Self {
        Self {
            window: limit.map(Window::new),
            queue: Queue::new(),
            marks: Marks::new(),
            strangers: 0,
            turned_away_until: Instant::now(),
            is_driven: false,
            others,
        }
    }

    /// Whether turns are those of all replicas.
    pub(super) fn is_common(&self) -> bool {
        let others = self.others.as_ref();
        others.is_some_and(|others| others.is_reachable)
    }

    /// What is known of the ledger.
    pub(super) fn seen(&self) -> Position {
        let others = self.others.as_ref();
        others.map_or(Position::default(), |others| others.seen)
    }

    pub(super) fn is_unlimited(&self, credential: Fingerprint) -> bool {
        self.window.is_none() || self.marks.is_unlimited(credential, Instant::now())
    }

    pub(super) fn standing(&self, now: Instant) -> Standing {
        let window = self.window.as_ref();
        Standing {
            waiting: self.queue.len(),
            limit: window.map(Window::limit),
            used: window.map(|window| window.used(now)),
            others: window.map(|window| window.limit() - window.limit_beside_others(now)),
            replicas: self.others.as_ref().map(|others| Replicas {
                are_reachable: others.is_reachable,
                count: if others.is_reachable {
                    others.alive()
                } else {
                    others.parts
                },
                with_another_key: others.strangers(),
            }),
        }
    }

    /// Tells those who wait for the read at `place` when its turn may come.
    pub(super) fn tell(&mut self, place: Place, claim: &Claim) {
        claim.queued(self.guess(place, claim, Instant::now()));
    }

    /// When the turn of the read at `place` may come. What becomes of a stranger's reads is known after
    /// the first of them, so until then the guess is that one's.
    fn guess(&mut self, place: Place, claim: &Claim, now: Instant) -> Turn {
        let Some(window) = &self.window else {
            return Turn {
                at: now,
                come_again_at: now,
                cause: Cause::Limit,
            };
        };
        let marks = &self.marks;
        let is_accepted = |credential| marks.is_accepted(credential);
        let decisive = self.queue.decisive(place, is_accepted);
        let turns = self.queue.ahead_of(decisive, now, is_accepted) + 1;
        let others = self.others.as_ref();
        let turns = turns + others.map_or(0, |others| others.ahead_of(turns));
        let turned_away = turns_until(self.turned_away_until, now, window);
        let wanted = self.wanted(turned_away);
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
            cause: Cause::Limit,
        }
    }

    /// Whose turn it is. Its read isn't in the queue any more.
    pub(super) fn next(&mut self, now: Instant) -> Result<Next, Step> {
        let Some(window) = self.window.as_ref().filter(|_| self.queue.len() > 0) else {
            self.is_driven = false;
            return Err(Step::Stop);
        };
        // Those who were refused want a turn, too.
        let turned_away = turns_until(self.turned_away_until, now, window);
        let ready_at = window.ready_at(now, self.wanted(turned_away));
        if ready_at > now {
            return Err(Step::Wait(Some(ready_at)));
        }
        let marks = &self.marks;
        let is_accepted = |credential| marks.is_accepted(credential);
        // Strangers' reads may all be for nothing, and each keeps a unit until that shows. So they
        // are read one by one, and some more only while nobody else wants a turn.
        let queue = &mut self.queue;
        let next = queue.next(now, is_accepted, self.strangers == 0);
        let may_strangers = self.strangers < window.burst();
        let next = next.or_else(|| queue.next(now, is_accepted, true).filter(|_| may_strangers));
        let (place, credential) = next.ok_or(Step::Wait(None))?;
        if let Some(others) = &mut self.others {
            let last_turn = |credential| queue.last_turn(credential, is_accepted);
            let due = others.due(credential, last_turn, now);
            if due > now {
                return Err(Step::Wait(Some(due)));
            }
        }
        let waiting = queue.take(place).ok_or(Step::Wait(None))?;
        Ok(Next {
            place,
            waiting,
            is_stranger: !is_accepted(credential),
        })
    }

    /// The read has its turn: what it takes of the window. The others know of it if it `is_told`.
    pub(super) fn begin(&mut self, next: &Next, is_told: bool, now: Instant) -> Unit {
        self.strangers += usize::from(next.is_stranger);
        let marks = &self.marks;
        self.queue
            .serve(next.waiting.credential, |it| marks.is_accepted(it));
        if let Some(others) = &mut self.others {
            others.had_turn(now);
        }
        let sender = if is_told {
            Sender::UsAsTold
        } else {
            Sender::Us
        };
        let window = self.window.as_mut().expect("turns are of a window");
        window.take(now, sender, !next.is_stranger)
    }

    /// It had none after all.
    pub(super) fn put_back(&mut self, next: Next) {
        if !next.waiting.grant.is_closed() {
            self.queue.put_back(next.place, next.waiting);
        }
    }

    /// Takes note of what came of a request of ours, and says whose reads need no turn any more.
    pub(super) fn over(
        &mut self,
        ticket: &Ticket,
        head: Option<&Head>,
        now: Instant,
    ) -> Vec<Waiting<Grant>> {
        let cost = Cost {
            credential: ticket.credential,
            unit: match &ticket.share {
                Share::Window(unit) => Ok(*unit),
                Share::Lane(permit) => Err(permit.since()),
            },
            sender: Sender::Us,
            is_stranger: ticket.is_stranger,
            was_sent: ticket.is_used,
        };
        if let (Some(read), Some(others)) = (ticket.read, &mut self.others) {
            others.tell(Event::Over(Over {
                read,
                credential: ticket.credential,
                was_sent: ticket.is_used,
                head: head.copied(),
            }));
        }
        self.settle(&cost, head, now)
    }

    fn settle(&mut self, cost: &Cost, head: Option<&Head>, now: Instant) -> Vec<Waiting<Grant>> {
        self.strangers -= usize::from(cost.is_stranger);
        let credential = cost.credential;
        let was_stranger = !self.marks.is_accepted(credential);
        if let Some(head) = head {
            self.marks.learn(credential, head, now);
        }
        self.charge(cost, head, now);
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
    fn charge(&mut self, cost: &Cost, head: Option<&Head>, now: Instant) {
        let is_unlimited = self.is_unlimited(cost.credential);
        let Some(window) = &mut self.window else {
            return;
        };
        let is_rejected = head.is_some_and(|head| head.status == 401);
        let is_limited = head.is_some_and(|head| head.rate_limit.is_some());
        match cost.unit {
            Ok(unit) => {
                window.over(unit, head, now);
                if !cost.was_sent || is_rejected || is_unlimited {
                    window.give_back(unit);
                }
            }
            // It was counted, against what we thought.
            Err(since) if is_limited => {
                let unit = window.take(since, cost.sender, true);
                window.over(unit, head, now);
            }
            Err(_) => {}
        }
    }

    /// Takes note of what a replica says, and says whose reads need no turn any more.
    pub(super) fn learn(&mut self, entry: &Entry, now: Instant) -> Vec<Waiting<Grant>> {
        let Entry { by, at, event, .. } = *entry;
        let Some(others) = &mut self.others else {
            return Vec::new();
        };
        others.seen = others.seen.max(entry.position);
        if by == others.me {
            return Vec::new();
        }
        others.hear(by, at);
        match event {
            Event::Alive(waits, key) => others.note_waits(by, waits, key, at),
            Event::Left => self.forget(by, now),
            Event::Begun(begun) => {
                let marks = &self.marks;
                let is_counted = begun.takes != Takes::Nothing;
                let is_stranger = begun.takes == Takes::OneForAStranger;
                if is_counted {
                    self.queue
                        .serve(begun.credential, |it| marks.is_accepted(it));
                }
                self.strangers += usize::from(is_stranger);
                let window = self.window.as_mut().filter(|_| is_counted);
                let unit = window.map(|window| window.take(at, Sender::Replica, !is_stranger));
                others.begun(Reading {
                    by,
                    begun,
                    unit,
                    at,
                });
            }
            Event::Over(over) => {
                if let Some(reading) = others.over(over.read) {
                    return self.settle(&reading.cost(over.was_sent), over.head.as_ref(), now);
                }
            }
            Event::Sent(ago) => {
                if let (Some(window), Some(at)) = (&mut self.window, at.checked_sub(ago)) {
                    let unit = window.take(at, Sender::Replica, true);
                    window.over(unit, None, now);
                }
            }
        }
        Vec::new()
    }

    /// Gives up the reads of those who haven't been heard of for too long.
    pub(super) fn bury(&mut self, now: Instant) {
        let dead = self.others.as_ref().map(|others| others.dead(now));
        for replica in dead.into_iter().flatten() {
            self.forget(replica, now);
        }
    }

    /// Its reads may have been sent, and that is all that will be known of them.
    fn forget(&mut self, replica: Replica, now: Instant) {
        let others = self.others.as_mut();
        let reads = others.map(|others| others.forget(replica));
        for reading in reads.into_iter().flatten() {
            self.settle(&reading.cost(true), None, now);
        }
    }

    /// The ledger can be written from now on: the others hear what they haven't been told.
    pub(super) fn join(&mut self, now: Instant) {
        let Some(others) = &mut self.others else {
            return;
        };
        others.is_reachable = true;
        others.trouble = None;
        if let Some(window) = &mut self.window {
            window.divide(1);
            for ago in window.untold(now) {
                others.tell(Event::Sent(ago));
            }
        }
    }

    /// It can't be, not for now: there is our part of the limit left.
    pub(super) fn part(&mut self, now: Instant) {
        let Some(others) = self.others.as_mut().filter(|it| it.is_reachable) else {
            return;
        };
        others.is_reachable = false;
        let parts = others.alive();
        others.parts = parts;
        for replica in others.all() {
            self.forget(replica, now);
        }
        if let Some(window) = &mut self.window {
            window.divide(parts);
        }
    }

    /// Whether the allowance is shared just now; `None` as long as that isn't known.
    pub(super) fn standing_in_common(&self) -> Option<CommonStanding> {
        let others = self.others.as_ref()?;
        if others.is_reachable {
            return Some(CommonStanding::Together {
                others: others.alive() - 1,
                strangers: others.strangers(),
            });
        }
        let why = others.trouble.clone()?;
        let parts = others.parts;
        Some(CommonStanding::Apart { parts, why })
    }

    /// What the others are to be told.
    pub(super) fn news(&mut self, now: Instant) -> Vec<Event> {
        let marks = &self.marks;
        let next = self.queue.next(now, |it| marks.is_accepted(it), true);
        let waits = Waits {
            reads: u32::try_from(self.queue.len()).unwrap_or(u32::MAX),
            next: next.map(|(_, credential)| credential),
        };
        let others = self.others.as_mut();
        others.map_or_else(Vec::new, |others| others.news(waits, now))
    }

    /// How many reads want a turn, here and elsewhere.
    fn wanted(&self, turned_away: usize) -> usize {
        let elsewhere = self.others.as_ref().map_or(0, Others::waiting);
        self.queue.len() + turned_away + elsewhere
    }
}

impl Reading {
    fn cost(&self, was_sent: bool) -> Cost {
        Cost {
            credential: self.begun.credential,
            unit: self.unit.ok_or(self.at),
            sender: Sender::Replica,
            is_stranger: self.begun.takes == Takes::OneForAStranger,
            was_sent,
        }
    }
}

/// How many turns of `window` there are until then.
fn turns_until(until: Instant, now: Instant, window: &Window) -> usize {
    let turns = until.saturating_duration_since(now).as_nanos() / window.pace().as_nanos();
    usize::try_from(turns).unwrap_or(MAX_TURNED_AWAY)
}

#[cfg(test)]
mod tests;
