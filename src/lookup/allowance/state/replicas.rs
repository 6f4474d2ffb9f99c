//! What an allowance that is shared knows of the replicas, and what they are told.

use std::time::Duration;

use tokio::time::Instant;

use super::{Cost, Grant, State};
use crate::{
    lookup::allowance::{CommonStanding, others::Reading, queue::Waiting, window::Sender},
    replicas::{Begun, Entry, Event, Over, Position, Replica, Takes, Waits},
};

/// What is read as it is written isn't older.
const LIVE: Duration = Duration::from_millis(250);

impl State {
    /// Whether turns are those of all replicas.
    pub(in super::super) fn is_common(&self) -> bool {
        let others = self.others.as_ref();
        others.is_some_and(|others| others.is_reachable)
    }

    /// What is known of the ledger.
    pub(in super::super) fn seen(&self) -> Position {
        let others = self.others.as_ref();
        others.map_or(Position::default(), |others| others.seen)
    }

    /// Takes note of what a replica says, and says whose reads need no turn any more.
    pub(in super::super) fn learn(&mut self, entry: &Entry, now: Instant) -> Vec<Waiting<Grant>> {
        let Entry { by, event, .. } = *entry;
        let Some(others) = &mut self.others else {
            return Vec::new();
        };
        // A ledger that begins anew has smaller ones.
        others.seen = entry.position;
        // Clocks jump: what is heard as it happens isn't old.
        let at = if others.is_reachable {
            entry.at.max(now.checked_sub(LIVE).unwrap_or(now))
        } else {
            entry.at
        };
        if by == others.me {
            return Vec::new();
        }
        others.hear(by, at);
        match event {
            Event::Alive(waits, key) => others.note_waits(by, waits, key, at),
            Event::Left => self.forget(by, now),
            Event::Begun(begun) if others.is_odd(begun.read) => {}
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
    pub(in super::super) fn bury(&mut self, now: Instant) {
        let dead = self.others.as_ref().map(|others| others.dead(now));
        for replica in dead.into_iter().flatten() {
            self.forget(replica, now);
        }
        let overdue = self.others.as_mut().map(|others| others.overdue(now));
        for reading in overdue.into_iter().flatten() {
            self.settle(&reading.cost(true), None, now);
        }
    }

    /// A read wasn't sent of which nobody knows whether it has begun in the ledger.
    pub(in super::super) fn never_sent(&mut self, begun: &Begun) {
        if let Some(others) = &mut self.others {
            others.tell(Event::Over(Over {
                read: begun.read,
                credential: begun.credential,
                was_sent: false,
                head: None,
            }));
        }
    }

    /// The others couldn't be told of these events.
    pub(in super::super) fn tell_again(&mut self, events: Vec<Event>) {
        let has_sent = events.iter().any(|it| matches!(it, Event::Sent(_)));
        if let Some(window) = self.window.as_mut().filter(|_| has_sent) {
            window.doubt();
        }
        if let Some(others) = &mut self.others {
            others.tell_again(events);
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
    pub(in super::super) fn join(&mut self, now: Instant) {
        let Some(others) = &mut self.others else {
            return;
        };
        others.join(now);
        if let Some(window) = &mut self.window {
            window.divide(1);
            for ago in window.untold(now) {
                others.tell(Event::Sent(ago));
            }
        }
    }

    /// It can't be, not for now: there is our part of the limit left.
    pub(in super::super) fn part(&mut self, now: Instant) {
        let Some(others) = self.others.as_mut().filter(|it| it.is_reachable) else {
            return;
        };
        let parts = others.part(now);
        for replica in others.all() {
            self.forget(replica, now);
        }
        if let Some(window) = &mut self.window {
            window.divide(parts);
        }
    }

    /// Whether the allowance is shared just now; `None` as long as that isn't known.
    pub(in super::super) fn standing_in_common(&self) -> Option<CommonStanding> {
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
    pub(in super::super) fn news(&mut self, now: Instant) -> Vec<Event> {
        let marks = &self.marks;
        let next = self.queue.next(now, |it| marks.is_accepted(it), true);
        let waits = Waits {
            reads: u32::try_from(self.queue.len()).unwrap_or(u32::MAX),
            next: next.map(|(_, credential)| credential),
        };
        let others = self.others.as_mut();
        others.map_or_else(Vec::new, |others| others.news(waits, now))
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

#[cfg(test)]
mod tests;
