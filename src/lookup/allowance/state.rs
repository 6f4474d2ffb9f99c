//! What the allowance knows, and what follows from it for the turns.

mod replicas;

use std::time::Duration;

use tokio::time::Instant;

use super::{
    Limit,
    marks::Marks,
    others::Others,
    queue::{Place, Queue, Waiting},
    ticket::{Share, Ticket},
    window::{Sender, Unit, Window},
};
use crate::{
    claim::{Cause, Claim, Turn},
    credentials::Fingerprint,
    exchange::Head,
    metrics::{Replicas, Standing},
    replicas::{Event, Over},
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
        let others = self.others.as_ref();
        let is_wanted = others.is_some_and(|others| others.any_next(is_accepted));
        let may_strangers = self.strangers < window.burst() && !is_wanted;
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
            // That it is over tells the others of it.
            sender: match ticket.read {
                Some(_) => Sender::UsAsTold,
                None => Sender::Us,
            },
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

    /// How many reads want a turn, here and elsewhere.
    fn wanted(&self, turned_away: usize) -> usize {
        let elsewhere = self.others.as_ref().map_or(0, Others::waiting);
        self.queue.len() + turned_away + elsewhere
    }
}

/// How many turns of `window` there are until then.
fn turns_until(until: Instant, now: Instant, window: &Window) -> usize {
    let turns = until.saturating_duration_since(now).as_nanos() / window.pace().as_nanos();
    usize::try_from(turns).unwrap_or(MAX_TURNED_AWAY)
}

#[cfg(test)]
mod tests;
