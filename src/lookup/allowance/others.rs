//! What the replicas do that share the allowance: who lives, what waits there, and what they read.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::window::Unit;
use crate::{
    credentials::Fingerprint,
    replicas::{Begun, Event, KeyId, Position, ReadId, Replica, Tag, Waits},
    sync::watch,
};

/// How often each says that it lives.
pub(super) const BEAT: Duration = Duration::from_millis(200);

/// Who is silent for longer is dead, and so are its reads.
const DEAD: Duration = Duration::from_millis(800);

/// Nobody is believed that more are under way, or that there are more who read.
const MAX_READS: usize = 10_000;
const MAX_REPLICAS: usize = 1000;

/// For so long after the ledger is back, it isn't known yet how many replicas there are.
const ARRIVING: Duration = Duration::from_secs(1);

/// How long a turn is left to each of those replicas that come before us. Enough to take it.
const GRACE: Duration = Duration::from_millis(25);

/// What the ledger says of the others, and what of us goes into it.
#[derive(Debug)]
pub(super) struct Others {
    pub me: Replica,
    key: KeyId,
    /// No read takes longer.
    longest_read: Duration,
    /// Whether the ledger can be written.
    pub is_reachable: bool,
    /// Why it can't, if that is known.
    pub trouble: Option<String>,
    /// How many parts of the limit there are while it can't, of which one is ours: as many as there were replicas.
    pub parts: usize,
    /// Since when it can.
    joined_at: Instant,
    /// All that stands there up to this is known here.
    pub seen: Position,
    replicas: HashMap<Replica, Other>,
    reads: HashMap<ReadId, Reading>,
    /// Since when what somebody here wants to know is read by a replica.
    watched: HashMap<Tag, watch::Sender<Option<Instant>>>,
    /// Since when our next read is the next one.
    mine: Next,
    /// Since when there is a turn to be had.
    ready_since: Option<Instant>,
    told: (Waits, Instant),
    outbox: Vec<Event>,
}

#[derive(Debug)]
struct Other {
    heard_at: Instant,
    /// Which secret it has; `None` as long as it hasn't said so.
    key: Option<KeyId>,
    waits: Waits,
    next: Next,
}

/// With which credential the next read of a replica is, and since when.
#[derive(Clone, Copy, Debug)]
struct Next {
    credential: Option<Fingerprint>,
    since: Instant,
}

/// A read of a replica that isn't over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub by: Replica,
    pub begun: Begun,
    /// What it takes of the window.
    pub unit: Option<Unit>,
    pub at: Instant,
}

impl Others {
    pub(super) fn new(me: Replica, key: KeyId, longest_read: Duration) -> Self {
        let now = Instant::now();
        Self {
            me,
            key,
            longest_read,
            is_reachable: false,
            trouble: None,
            parts: 1,
            joined_at: now,
            seen: Position::default(),
            replicas: HashMap::new(),
            reads: HashMap::new(),
            watched: HashMap::new(),
            mine: Next {
                credential: None,
                since: now,
            },
            ready_since: None,
            told: (Waits::default(), now),
            outbox: Vec::new(),
        }
    }

    /// How many there are, with us.
    pub(super) fn alive(&self) -> usize {
        self.replicas.len() + 1
    }

    /// How many reads wait there.
    pub(super) fn waiting(&self) -> usize {
        let waiting = self.replicas.values();
        waiting.map(|other| other.waits.reads as usize).sum()
    }

    /// How many turns are theirs before the `n`th of ours: as many as ours at most, since replicas take turns.
    pub(super) fn ahead_of(&self, n: usize) -> usize {
        let waiting = self.replicas.values();
        waiting.map(|other| n.min(other.waits.reads as usize)).sum()
    }

    /// The ledger can be written since `now`.
    pub(super) fn join(&mut self, now: Instant) {
        self.is_reachable = true;
        self.trouble = None;
        self.joined_at = now;
    }

    /// It can't any more: there are so many parts.
    pub(super) fn part(&mut self, now: Instant) -> usize {
        self.is_reachable = false;
        let before = if now < self.joined_at + ARRIVING {
            self.parts
        } else {
            1
        };
        self.parts = self.alive().max(before);
        self.parts
    }

    /// `by` was heard of at `now`.
    pub(super) fn hear(&mut self, by: Replica, now: Instant) {
        if self.replicas.len() >= MAX_REPLICAS && !self.replicas.contains_key(&by) {
            return;
        }
        let other = self.replicas.entry(by).or_insert(Other {
            heard_at: now,
            key: None,
            waits: Waits::default(),
            next: Next {
                credential: None,
                since: now,
            },
        });
        other.heard_at = other.heard_at.max(now);
    }

    /// Those of them whose secret is another one.
    pub(super) fn strangers(&self) -> usize {
        let keys = self.replicas.values().filter_map(|other| other.key);
        keys.filter(|key| *key != self.key).count()
    }

    /// That waits for a turn at `by`, which has the secret `key`.
    pub(super) fn note_waits(&mut self, by: Replica, waits: Waits, key: KeyId, now: Instant) {
        if let Some(other) = self.replicas.get_mut(&by) {
            other.key = Some(key);
            other.waits = waits;
            other.next.set(waits.next, now);
        }
    }

    /// Whether a read is under way that is called this, or there are too many for another one.
    pub(super) fn is_odd(&self, read: ReadId) -> bool {
        self.reads.contains_key(&read) || self.reads.len() >= MAX_READS
    }

    /// Whether the next read of any is of somebody for whom that holds.
    pub(super) fn any_next(&self, is_it: impl Fn(Fingerprint) -> bool) -> bool {
        let mut next = self
            .replicas
            .values()
            .filter_map(|other| other.next.credential);
        next.any(is_it)
    }

    pub(super) fn begun(&mut self, reading: Reading) {
        if reading.unit.is_some() {
            self.ready_since = None;
            if let Some(other) = self.replicas.get_mut(&reading.by) {
                other.next.since = reading.at;
            }
        }
        self.reads.insert(reading.begun.read, reading);
        self.show(reading.begun.tag);
    }

    pub(super) fn over(&mut self, read: ReadId) -> Option<Reading> {
        let reading = self.reads.remove(&read)?;
        self.show(reading.begun.tag);
        Some(reading)
    }

    /// Since when what `tag` stands for is read by a replica, whenever that changes.
    pub(super) fn watch(&mut self, tag: Tag) -> watch::Receiver<Option<Instant>> {
        let since = self.read_since(tag);
        let watched = self.watched.entry(tag);
        watched
            .or_insert_with(|| watch::channel(since).0)
            .subscribe()
    }

    /// Nobody watches it any more, if that is so.
    pub(super) fn unwatch(&mut self, tag: Tag) {
        let watched = self.watched.get(&tag);
        if watched.is_some_and(|watched| watched.receiver_count() == 0) {
            self.watched.remove(&tag);
        }
    }

    fn show(&self, tag: Tag) {
        if let Some(watched) = self.watched.get(&tag) {
            watched.send_replace(self.read_since(tag));
        }
    }

    /// Since when what `tag` stands for is read by a replica.
    pub(super) fn read_since(&self, tag: Tag) -> Option<Instant> {
        let reads = self.reads.values();
        let theirs = reads.filter(|reading| reading.begun.tag == tag);
        theirs.map(|reading| reading.at).max()
    }

    /// Forgets `by`; the reads that it hasn't finished.
    pub(super) fn forget(&mut self, by: Replica) -> Vec<Reading> {
        self.replicas.remove(&by);
        let theirs = self.reads.extract_if(|_, reading| reading.by == by);
        let theirs: Vec<_> = theirs.map(|(_, reading)| reading).collect();
        for reading in &theirs {
            self.show(reading.begun.tag);
        }
        theirs
    }

    /// The reads that should be over for long. That wasn't told, or not by somebody who keeps to the rules.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<Reading> {
        let limit = self.longest_read;
        let overdue = self.reads.extract_if(|_, it| it.at + limit < now);
        let overdue: Vec<_> = overdue.map(|(_, reading)| reading).collect();
        for reading in &overdue {
            self.show(reading.begun.tag);
        }
        overdue
    }

    /// Those who have been silent for too long.
    pub(super) fn dead(&self, now: Instant) -> Vec<Replica> {
        let is_dead = |other: &Other| other.heard_at + DEAD < now;
        let dead = self.replicas.iter().filter(|(_, other)| is_dead(other));
        dead.map(|(replica, _)| *replica).collect()
    }

    /// When a turn is ours that is to be had now, for a read with `credential`. Whoever had the last one longest
    /// ago comes first, as `last_turn` says; among replicas with the same credential, that whose next read has
    /// waited for longest.
    pub(super) fn due<T: Ord>(
        &mut self,
        credential: Fingerprint,
        last_turn: impl Fn(Fingerprint) -> T,
        now: Instant,
    ) -> Instant {
        let ready_since = *self.ready_since.get_or_insert(now);
        self.mine.set(Some(credential), now);
        let mine = (last_turn(credential), self.mine.since, self.me);
        let theirs = self.replicas.iter().filter_map(|(replica, other)| {
            let credential = other.next.credential?;
            Some((last_turn(credential), other.next.since, *replica))
        });
        let before_us = theirs.filter(|other| *other < mine).count();
        ready_since + GRACE * u32::try_from(before_us).unwrap_or(u32::MAX)
    }

    /// We had a turn at `now`.
    pub(super) fn had_turn(&mut self, now: Instant) {
        self.mine.since = now;
        self.ready_since = None;
    }

    /// Has the others told, if they can be. That a read is over they hear later, if not now.
    pub(super) fn tell(&mut self, event: Event) {
        if self.is_reachable || matches!(event, Event::Over(_)) {
            self.outbox.push(event);
        }
    }

    /// They couldn't be told of these events.
    pub(super) fn tell_again(&mut self, events: Vec<Event>) {
        let over = events.into_iter().filter(|it| matches!(it, Event::Over(_)));
        self.outbox.splice(0..0, over);
    }

    /// What they haven't been told yet, and what waits for a turn here if that has changed, or is to be repeated.
    pub(super) fn news(&mut self, waits: Waits, now: Instant) -> Vec<Event> {
        let (told, at) = self.told;
        let has_changed = told.next != waits.next || (told.reads == 0) != (waits.reads == 0);
        if has_changed || at + BEAT <= now {
            self.told = (waits, now);
            self.mine.set(waits.next, now);
            self.tell(Event::Alive(waits, self.key));
        }
        if !self.is_reachable {
            return Vec::new();
        }
        std::mem::take(&mut self.outbox)
    }

    /// All that are known.
    pub(super) fn all(&self) -> Vec<Replica> {
        self.replicas.keys().copied().collect()
    }
}

impl Next {
    fn set(&mut self, credential: Option<Fingerprint>, now: Instant) {
        if self.credential.is_some() != credential.is_some() {
            self.since = now;
        }
        self.credential = credential;
    }
}

#[cfg(test)]
mod tests;
