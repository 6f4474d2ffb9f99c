//! What others use of the same limit, as far as Rocket.Chat's headers tell.
//!
//! Rocket.Chat counts in windows that follow each other. All answers of one have the same
//! `X-RateLimit-Reset`, by which it is recognised without any clock being trusted, and `Remaining`
//! counts down in it. What was counted and isn't ours is others'.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::window::JITTER;

/// For how long the largest use by others is expected again. It comes in lumps.
const MEMORY: Duration = Duration::from_secs(10);

/// How much earlier than evenly others are expected to come. Found by simulation: with less, a
/// neighbour's burst at the end of a window meets ours.
const EARLINESS: f64 = 1.5;

/// How much is left to others beyond what they used, after each refusal that we got, and at most.
const MARGIN_STEP: f64 = 1.0;
const MARGIN_MAX: f64 = 4.0;

/// How much of that is taken back, per second.
const MARGIN_MELT: f64 = 0.02;

/// The neighbours at our client address.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    /// Rocket.Chat's windows of late, the newest last.
    periods: VecDeque<Period>,
    margin: f64,
    margin_set_at: Option<Instant>,
    /// The limit as Rocket.Chat told it last.
    limit: Option<u32>,
}

/// What an answer said of the window that its request was counted in.
#[derive(Clone, Copy, Debug)]
pub(super) struct News {
    /// When that request was sent.
    pub sent: Instant,
    /// `X-RateLimit-Reset`.
    pub reset: u64,
    /// How many requests the window has, up to that one.
    pub counted: u32,
    /// How many of them are ours.
    pub ours: u32,
}

/// How much there is for us in Rocket.Chat's window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// How many requests fit in.
    pub units: f64,
    /// When there is room for one.
    pub opens_at: Instant,
    /// When the window ends.
    pub ends_at: Instant,
}

/// One window of Rocket.Chat.
#[derive(Clone, Copy, Debug)]
struct Period {
    reset: u64,
    /// By then it had begun.
    begun: Instant,
    /// When our first request in it was sent.
    first_sent: Instant,
    /// How many requests it has, up to the one that was sent at `counted_at`.
    counted: u32,
    counted_at: Instant,
    others: u32,
    /// Whether nothing was known before. What was counted by then may be that of the process before us,
    /// or of any time; it isn't what is to be expected.
    is_first: bool,
}

impl Neighbours {
    /// Takes note of the limit that Rocket.Chat names.
    pub(super) fn set_limit(&mut self, limit: u32) {
        self.limit = Some(limit);
    }

    /// The limit that all of us have together, if Rocket.Chat told it.
    pub(super) fn limit(&self) -> Option<u32> {
        self.limit
    }

    /// When our first request in this window was sent, if there was one.
    pub(super) fn first_sent(&self, reset: u64) -> Option<Instant> {
        let mut periods = self.periods.iter();
        periods
            .find(|period| period.reset == reset)
            .map(|period| period.first_sent)
    }

    /// Takes note of what an answer said at `now` of a window of this length.
    pub(super) fn note(&mut self, news: News, now: Instant, span: Duration) {
        self.periods
            .retain(|period| now < period.begun + span + MEMORY);
        let known = self.periods.iter().position(|it| it.reset == news.reset);
        let period = if let Some(known) = known {
            &mut self.periods[known]
        } else {
            let is_first = self.periods.is_empty();
            self.periods.push_back(Period {
                reset: news.reset,
                // If it was the first one, the window began with it, while it travelled.
                begun: if news.counted == 1 {
                    now.min(news.sent + JITTER)
                } else {
                    now
                },
                first_sent: news.sent,
                counted: 0,
                counted_at: news.sent,
                others: 0,
                is_first,
            });
            self.periods.back_mut().expect("just added")
        };
        if news.counted > period.counted {
            period.counted = news.counted;
            period.counted_at = period.counted_at.max(news.sent);
            period.others = period.others.max(news.counted.saturating_sub(news.ours));
        }
    }

    /// We were refused, so others use more than we thought.
    pub(super) fn refused(&mut self, now: Instant) {
        self.margin = (self.margin(now) + MARGIN_STEP).min(MARGIN_MAX);
        self.margin_set_at = Some(now);
    }

    /// How many of a window's requests are left to others, of `limit`. Never all of them: a
    /// nonsensical header mustn't stop us for longer than a window.
    pub(super) fn expected(&self, now: Instant, span: Duration, limit: u32) -> f64 {
        let recent = self.periods.iter().filter(|period| {
            let end = period.begun + span;
            now < if period.is_first { end } else { end + MEMORY }
        });
        let largest = recent.map(|period| period.others).max().unwrap_or(0);
        (f64::from(largest) + self.margin(now)).min(f64::from(limit.saturating_sub(1)))
    }

    /// The room in the window of now, as far as it is known: what is left of it binds us even if all that
    /// was counted is ours, as after requests that hung and were counted late. Of a window that hasn't
    /// begun something is known only if others are expected in it. `limit` and `span` are the window's;
    /// `sent_since` counts our requests since a moment.
    pub(super) fn room(
        &self,
        now: Instant,
        (limit, span): (u32, Duration),
        sent_since: impl Fn(Instant) -> usize,
    ) -> Option<Room> {
        let period = self.periods.back()?;
        let expected = self.expected(now, span, limit);
        let end = period.begun + span;
        if expected < 0.5 && now >= end {
            return None;
        }
        let (ends_at, unused, still_expected) = if now < end {
            let unused = f64::from(limit) - f64::from(period.counted);
            let still_expected = (expected - f64::from(period.others)).max(0.0);
            let ours = sent_since(period.counted_at + Duration::from_nanos(1));
            (end, unused - count(ours), still_expected)
        } else {
            // The next one begins with the next request, whoever sends it.
            let unused = f64::from(limit) - count(sent_since(end));
            (end + span, unused, expected)
        };
        // What others are expected to send gets less as the window goes by, down to nothing.
        let left = ends_at.saturating_duration_since(now).as_secs_f64() / span.as_secs_f64();
        let units = unused - still_expected * (left * EARLINESS).min(1.0);
        let opens_at = if units >= 1.0 {
            now
        } else if unused < 1.0 || still_expected <= 0.0 {
            ends_at
        } else {
            let left = (unused - 1.0) / still_expected / EARLINESS;
            let opens_at = ends_at - span.mul_f64(left.clamp(0.0, 1.0));
            opens_at.max(now + Duration::from_millis(1))
        };
        Some(Room {
            units,
            opens_at,
            ends_at,
        })
    }

    /// When the window of now ends, if it is known.
    pub(super) fn ends_at(&self, span: Duration) -> Option<Instant> {
        self.periods.back().map(|period| period.begun + span)
    }

    fn margin(&self, now: Instant) -> f64 {
        let melted = self.margin_set_at.map_or(0.0, |set_at| {
            now.saturating_duration_since(set_at).as_secs_f64() * MARGIN_MELT
        });
        (self.margin - melted).max(0.0)
    }
}

/// Requests in a window are few.
#[allow(clippy::cast_precision_loss)]
pub(super) fn count(requests: usize) -> f64 {
    requests as f64
}

#[cfg(test)]
mod tests;
