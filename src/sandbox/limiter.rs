//! Rocket.Chat's rate limiter: a fixed window with one clock for all clients.

use std::collections::{HashMap, VecDeque};

/// How many windows are remembered. A demo that runs for days must not grow.
const REMEMBERED: usize = 10_000;

/// Counts requests per client. A window starts with the first request that comes more than its
/// length after the start of the one before, whoever sends it, and then all start from 0 again:
/// so does Meteor's `rate-limit` package, on which Rocket.Chat builds.
pub(super) struct RateLimiter {
    limit: u32,
    window_ms: u64,
    started_ms: Option<u64>,
    counts: HashMap<String, u32>,
    windows: VecDeque<Window>,
}

/// What came of the requests of one window, those of all clients together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// How many had room.
    pub accepted: u64,
    /// How many were answered 429.
    pub refused: u64,
}

/// What the limiter says to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// How long to wait, in milliseconds, if the request is refused.
    pub refused_for_ms: Option<u64>,
    /// How many requests a window has room for.
    pub limit: u32,
    /// How many more requests this client may send in this window.
    pub remaining: u32,
    /// When this window is over, in milliseconds since the Unix epoch.
    pub reset_ms: u64,
}

impl RateLimiter {
    pub(super) fn new(limit: u32, window_ms: u64) -> Self {
        Self {
            limit,
            window_ms,
            started_ms: None,
            counts: HashMap::new(),
            windows: VecDeque::new(),
        }
    }

    /// The last windows, the current one included.
    pub(super) fn windows(&self) -> Vec<Window> {
        self.windows.iter().copied().collect()
    }

    /// Counts a request of `client`, a refused one too, which does not lengthen the window.
    pub(super) fn check(&mut self, client: &str, now_ms: u64) -> Verdict {
        let started_ms = match self.started_ms {
            Some(started_ms) if now_ms.saturating_sub(started_ms) <= self.window_ms => started_ms,
            _ => {
                self.counts.clear();
                if self.windows.len() == REMEMBERED {
                    self.windows.pop_front();
                }
                self.windows.push_back(Window::default());
                now_ms
            }
        };
        self.started_ms = Some(started_ms);
        let reset_ms = started_ms + self.window_ms;
        let count = self.counts.entry(client.to_owned()).or_default();
        *count = count.saturating_add(1);
        let is_refused = *count > self.limit;
        if let Some(window) = self.windows.back_mut() {
            window.accepted += u64::from(!is_refused);
            window.refused += u64::from(is_refused);
        }
        Verdict {
            refused_for_ms: is_refused.then(|| reset_ms.saturating_sub(now_ms)),
            limit: self.limit,
            remaining: self.limit.saturating_sub(*count),
            reset_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_769_498_326_491;

    fn limiter() -> RateLimiter {
        RateLimiter::new(15, 3000)
    }

    fn exhaust(limiter: &mut RateLimiter, client: &str, now_ms: u64) {
        for sent in 1..=15 {
            let verdict = limiter.check(client, now_ms);
            assert_eq!(verdict.refused_for_ms, None);
            assert_eq!(verdict.remaining, 15 - sent);
        }
    }

    #[test]
    fn request_15_passes_and_16_is_refused() {
        let mut limiter = limiter();
        exhaust(&mut limiter, "a", START);
        let expected = Verdict {
            refused_for_ms: Some(2999),
            limit: 15,
            remaining: 0,
            reset_ms: START + 3000,
        };
        assert_eq!(limiter.check("a", START + 1), expected);
    }

    #[test]
    fn refused_requests_do_not_lengthen_the_window() {
        let mut limiter = limiter();
        exhaust(&mut limiter, "a", START);
        let last = limiter.check("a", START + 3000);
        assert_eq!(last.refused_for_ms, Some(0));
        let first = limiter.check("a", START + 3001);
        assert_eq!((first.refused_for_ms, first.remaining), (None, 14));
        assert_eq!(first.reset_ms, START + 6001);
    }

    #[test]
    fn windows_tell_what_was_accepted_and_refused() {
        let mut limiter = limiter();
        assert_eq!(limiter.windows(), []);
        exhaust(&mut limiter, "a", START);
        limiter.check("a", START + 1);
        limiter.check("b", START + 2);
        limiter.check("b", START + 3001);
        let window = |accepted, refused| Window { accepted, refused };
        assert_eq!(limiter.windows(), [window(16, 1), window(1, 0)]);
    }

    #[test]
    fn clients_count_apart_and_share_the_clock() {
        let mut limiter = limiter();
        exhaust(&mut limiter, "a", START);
        let other = limiter.check("b", START + 2000);
        assert_eq!((other.remaining, other.reset_ms), (14, START + 3000));
        // b's request restarts the clock for a as well.
        limiter.check("b", START + 3500);
        assert_eq!(limiter.check("a", START + 3501).reset_ms, START + 6500);
    }
}
