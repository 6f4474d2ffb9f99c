//! What the allowance knows, and what follows from it for the turns.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    Limit,
    marks::Marks,
    queue::{Place, Queue, Waiting},
    ticket::{Share, Ticket},
    window::{Unit, Window},
};
use crate::{
    claim::{Cause, Claim, Turn},
    credentials::Fingerprint,
    exchange::Head,
    metrics::Standing,
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
    pub(super) fn new(limit: Option<Limit>) -> Self {
        Self {
            window: limit.map(Window::new),
            queue: Queue::new(),
            marks: Marks::new(),
            strangers: 0,
            turned_away_until: Instant::now(),
            is_driven: false,
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
            cause: Cause::Limit,
        }
    }

    /// Who is next, and what it takes of the window.
    pub(super) fn next(&mut self, now: Instant) -> Result<(Waiting<Grant>, Unit, bool), Step> {
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
    pub(super) fn over(
        &mut self,
        ticket: &Ticket,
        head: Option<&Head>,
        now: Instant,
    ) -> Vec<Waiting<Grant>> {
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
