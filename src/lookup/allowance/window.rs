//! When the next request may be sent: a sliding window over our own, narrowed by what others use of
//! Rocket.Chat's, and paced when more is wanted than there is.
//!
//! It has no clock; moments are passed in.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::{
    Limit,
    neighbours::{Neighbours, News, Room, count},
};
use crate::exchange::{Head, RateLimit};

/// How much longer our window is than Rocket.Chat's, since requests travel for different times.
pub(super) const JITTER: Duration = Duration::from_millis(100);

/// After a silence of this length one request goes first, and its answer tells what others, or the
/// process before us, have used.
const SILENCE: Duration = Duration::from_secs(10);

/// How long the others wait for that answer.
const PROBE: Duration = Duration::from_secs(1);

/// Between two requests when a third of the window has been sent, and there is enough for all who wait:
/// whether more are about to come will show by then.
const DRIP: Duration = Duration::from_millis(50);

/// A request that is out for longer may hang, if no other one was answered meanwhile.
const HANGING: Duration = Duration::from_secs(1);

/// How far the clocks of replicas may be apart. Rocket.Chat may have counted one of theirs before one of ours
/// that was sent a little sooner, by ours.
const DISAGREEMENT: Duration = Duration::from_millis(20);

/// Between requests while a third of the window hangs.
const WHILE_HANGING: Duration = Duration::from_millis(800);

/// How much sooner than evenly paced requests follow each other. The window keeps the rate in any
/// case; this makes up for timers that are late.
const HASTE: f64 = 0.95;

/// The requests that Rocket.Chat has counted of late, and what follows from them.
#[derive(Debug)]
pub(super) struct Window {
    limit: Limit,
    /// How many have a part each of the limit.
    parts: usize,
    /// Ours and those of replicas, oldest first.
    sends: VecDeque<Send>,
    last_unit: u64,
    neighbours: Neighbours,
    closed_until: Option<Instant>,
    heard_at: Option<Instant>,
}

/// Who sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    Us,
    /// We did, and the replicas have been told.
    UsAsTold,
    /// A replica, as it told us.
    Replica,
}

/// One request's share of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit(u64);

#[derive(Clone, Copy, Debug)]
struct Send {
    unit: Unit,
    at: Instant,
    sender: Sender,
    /// Whether the next one keeps a distance. That of a stranger is likely to be given back.
    is_paced: bool,
    /// Whether it is over.
    is_over: bool,
    /// Whether there was an answer. One that was given up may be counted all the same, and later.
    is_heard: bool,
    /// `X-RateLimit-Reset` of its answer.
    reset: Option<u64>,
}

impl Window {
    pub(super) fn new(limit: Limit) -> Self {
        Self {
            limit,
            parts: 1,
            sends: VecDeque::new(),
            last_unit: 0,
            neighbours: Neighbours::default(),
            closed_until: None,
            heard_at: None,
        }
    }

    /// The earliest moment for the next request, while `wanted` of them wait.
    pub(super) fn ready_at(&self, now: Instant, wanted: usize) -> Instant {
        if let Some(until) = self.closed_until.filter(|until| *until > now) {
            return until;
        }
        if let Some(until) = self.probe_ends_at(now).filter(|until| *until > now) {
            return until;
        }
        if let Some(until) = self.hanging_until(now).filter(|until| *until > now) {
            return until;
        }
        let used = self.used(now);
        if used >= self.limit() {
            return self.sends[self.sends.len() - self.limit()].at + self.span();
        }
        let room = self.room(now);
        if let Some(room) = room.filter(|room| room.units < 1.0) {
            return room.opens_at;
        }
        self.paced(now, wanted, room)
    }

    /// The moment for the last one of `n` more requests, while `wanted` of them wait: a guess.
    pub(super) fn turn_at(&self, now: Instant, n: usize, wanted: usize) -> Instant {
        let used = self.used(now);
        // The first answer after a silence is likely to come soon.
        let first = if self.probe_ends_at(now).is_some_and(|end| end > now) {
            now
        } else {
            self.ready_at(now, wanted)
        };
        let limit = self.limit_beside_others(now);
        let free = limit.saturating_sub(used);
        let after = |turns: usize| first + self.span().mul_f64(count(turns) / count(limit));
        if n <= free {
            return if wanted <= free { first } else { after(n - 1) };
        }
        // Each further turn comes when the request of one window before leaves the window.
        let place = self.sends.len() - used + used.saturating_sub(limit) + (n - free - 1);
        match self.sends.get(place) {
            Some(send) => first.max(send.at + self.span()),
            None => after(n - 1),
        }
    }

    /// Counts a request that is sent at `at`. Others are paced after it if it `is_paced`.
    pub(super) fn take(&mut self, at: Instant, sender: Sender, is_paced: bool) -> Unit {
        let forgotten = self.span() * 2;
        while let Some(oldest) = self.sends.front()
            && oldest.at + forgotten < at
        {
            self.sends.pop_front();
        }
        self.last_unit += 1;
        let unit = Unit(self.last_unit);
        // What replicas send is heard of a little later.
        let earlier = self.sends.partition_point(|send| send.at <= at);
        let send = Send {
            unit,
            at,
            sender,
            is_paced,
            is_over: false,
            is_heard: false,
            reset: None,
        };
        self.sends.insert(earlier, send);
        unit
    }

    /// From now on one of so many parts of the limit is ours. Of several, what replicas send is theirs.
    pub(super) fn divide(&mut self, parts: usize) {
        self.parts = parts;
        if parts > 1 {
            self.sends.retain(|send| send.sender != Sender::Replica);
        }
    }

    /// It isn't sure that the replicas have been told of our requests.
    pub(super) fn doubt(&mut self) {
        for send in &mut self.sends {
            if send.sender == Sender::UsAsTold {
                send.sender = Sender::Us;
            }
        }
    }

    /// How long ago the requests in the window were sent of which the replicas haven't been told. They are.
    pub(super) fn untold(&mut self, now: Instant) -> Vec<Duration> {
        let span = self.span();
        let mut untold = Vec::new();
        for send in &mut self.sends {
            let ago = now.saturating_duration_since(send.at);
            if send.sender == Sender::Us && ago < span {
                send.sender = Sender::UsAsTold;
                untold.push(ago);
            }
        }
        untold
    }

    /// The request wasn't sent, or isn't counted.
    pub(super) fn give_back(&mut self, unit: Unit) {
        self.sends.retain(|send| send.unit != unit);
    }

    /// The request was answered, or given up.
    pub(super) fn over(&mut self, unit: Unit, head: Option<&Head>, now: Instant) {
        let Some(send) = self.sends.iter_mut().find(|send| send.unit == unit) else {
            return;
        };
        send.is_over = true;
        send.is_heard = head.is_some();
        // A 401 comes before anything is counted, and tells nothing of that.
        let Some(head) = head.filter(|head| head.status != 401) else {
            return;
        };
        self.heard_at = Some(now);
        if let Some(rate_limit) = &head.rate_limit {
            send.reset = rate_limit.reset;
            let sent_at = send.at;
            self.listen(sent_at, rate_limit, now);
        }
        if head.status == 429 {
            self.close(head, now);
        }
    }

    /// Takes note of what `rate_limit` says of a request that was sent at `sent_at`.
    fn listen(&mut self, sent_at: Instant, rate_limit: &RateLimit, now: Instant) {
        if let Some(limit) = rate_limit.limit.filter(|limit| *limit > 0) {
            self.neighbours.set_limit(limit);
        }
        let (Some(reset), Some(remaining)) = (rate_limit.reset, rate_limit.remaining) else {
            return;
        };
        let first_sent = self.neighbours.first_sent(reset).unwrap_or(sent_at);
        let is_counted = |send: &&Send| {
            let is_in_it = if send.is_over {
                send.reset == Some(reset)
            } else {
                send.at >= first_sent
            };
            let agreed_at = match send.sender {
                Sender::Us | Sender::UsAsTold => send.at,
                Sender::Replica => send.at.checked_sub(DISAGREEMENT).unwrap_or(send.at),
            };
            is_in_it && agreed_at <= sent_at
        };
        let ours = self.sends.iter().filter(is_counted).count();
        let news = News {
            sent: sent_at,
            reset,
            counted: self.common_limit().saturating_sub(remaining),
            ours: u32::try_from(ours).unwrap_or(u32::MAX),
        };
        self.neighbours.note(news, now, self.limit.span);
    }

    /// After a 429. Whatever it says, the window opens again after its length.
    fn close(&mut self, head: &Head, now: Instant) {
        let said = head.rate_limit.and_then(|limit| limit.resets_after);
        let said = said.filter(|after| !after.is_zero());
        let said = now + said.unwrap_or(self.limit.span).min(self.limit.span);
        let end = self.neighbours.ends_at(self.limit.span);
        let end = end.filter(|end| *end > now).unwrap_or(said).min(said);
        // A moment later, since a window lasts until it is *longer* than its length.
        self.closed_until = Some(end + JITTER / 4);
        self.neighbours.refused(now);
    }

    /// When the first request after a silence has been waited for long enough.
    fn probe_ends_at(&self, now: Instant) -> Option<Instant> {
        let is_silent = self.heard_at.is_none_or(|at| now > at + SILENCE);
        let last = self.sends.back().filter(|send| !send.is_over)?;
        is_silent.then(|| last.at + PROBE)
    }

    /// While nothing is answered, a few requests only are added to those that may hang: when Rocket.Chat
    /// is back it may count all of them at once, and there must be room left for new ones.
    fn hanging_until(&self, now: Instant) -> Option<Instant> {
        let is_old = |moment: Instant| moment + HANGING <= now;
        let hanging = |send: &&Send| !send.is_heard && is_old(send.at);
        let is_hanging = self.heard_at.is_none_or(is_old)
            && self.sends.iter().filter(hanging).count() >= self.burst();
        let last = self.sends.back().filter(|_| is_hanging)?;
        Some(last.at + WHILE_HANGING)
    }

    /// The moment after the last one. Whatever is sent at once leaves a silence later, in which all
    /// that is known grows old: so what there is is spread, if more is wanted than that.
    fn paced(&self, now: Instant, wanted: usize, room: Option<Room>) -> Instant {
        let used = self.used(now);
        let last = self.sends.iter().rev().find(|send| send.is_paced);
        let Some(last) = last.filter(|_| used >= self.burst()) else {
            return now;
        };
        let free = count(self.limit() - used);
        let room = room.filter(|room| room.units < free);
        let (units, until) = match room {
            Some(room) => (room.units, room.ends_at),
            None => (free, self.sends[self.sends.len() - used].at + self.span()),
        };
        if count(wanted) <= units {
            return last.at + DRIP;
        }
        let left = until.saturating_duration_since(last.at);
        let spread = left.div_f64(units + 1.0);
        let even = self.pace().mul_f64(HASTE);
        last.at
            + if room.is_some() {
                spread
            } else {
                spread.max(even)
            }
    }

    fn room(&self, now: Instant) -> Option<Room> {
        let window = (self.common_limit(), self.limit.span);
        let sent_since = |since| self.sends.iter().filter(|send| send.at >= since).count();
        self.neighbours.room(now, window, sent_since)
    }

    /// How many of ours are in the window.
    pub(super) fn used(&self, now: Instant) -> usize {
        let is_in = |send: &&Send| send.at + self.span() > now;
        self.sends.iter().rev().take_while(is_in).count()
    }

    /// How many are sent without a pause.
    pub(super) fn burst(&self) -> usize {
        (self.limit() / 3).max(1)
    }

    /// The time between requests that follow each other evenly.
    pub(super) fn pace(&self) -> Duration {
        self.span().div_f64(count(self.limit()))
    }

    fn span(&self) -> Duration {
        self.limit.span + JITTER
    }

    /// Ours: what is configured, or less if Rocket.Chat says so.
    pub(super) fn limit(&self) -> usize {
        let limit = self.limit.requests.min(self.common_limit()) as usize;
        (limit / self.parts).max(1)
    }

    /// That of all who share our address.
    fn common_limit(&self) -> u32 {
        self.neighbours.limit().unwrap_or(self.limit.requests)
    }

    pub(super) fn limit_beside_others(&self, now: Instant) -> usize {
        let common = self.common_limit();
        let others = self.neighbours.expected(now, self.limit.span, common);
        let left = (f64::from(common) - others).floor();
        (1..=self.limit())
            .rev()
            .find(|it| count(*it) <= left)
            .unwrap_or(1)
    }
}

#[cfg(test)]
mod tests;
