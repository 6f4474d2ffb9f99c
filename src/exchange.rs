//! What came of one request to Rocket.Chat, everything that its headers said included.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::error::Error;

/// One request to Rocket.Chat and what came back.
#[derive(Clone, Debug)]
pub struct Exchange<T> {
    /// When the request was sent; `None` if it never was, as without a connection, or if
    /// it was given up.
    pub sent: Option<Moment>,
    /// The head of the answer, if it came. It is there for every status, whatever became of the body.
    pub head: Option<Head>,
    /// What the answer says.
    pub result: Result<T, Error>,
}

/// A moment by both clocks: ages are measured with the one that never jumps, callers are told the
/// other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// By the clock that only goes forward.
    pub at: Instant,
    /// By this machine's wall clock.
    pub wall: SystemTime,
}

/// What the head of an answer says beside its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The HTTP status.
    pub status: u16,
    /// What is said of Rocket.Chat's limit. A 200 without it is for a credential that has none.
    pub rate_limit: Option<RateLimit>,
    /// `Retry-After`, by the sender's clock.
    pub retry_after: Option<Duration>,
}

/// Rocket.Chat's `X-RateLimit-*`. What can't be read is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimit {
    /// How many requests a window allows.
    pub limit: Option<u32>,
    /// How many of them are left.
    pub remaining: Option<u32>,
    /// When the window ends, in epoch milliseconds by Rocket.Chat's clock. All answers of a window
    /// have the same, so it names the window whatever the clock is worth.
    pub reset: Option<u64>,
    /// How long the window still lasts, by Rocket.Chat's clock; zero if it is over.
    pub resets_after: Option<Duration>,
}

impl<T> Exchange<T> {
    /// A request that wasn't sent, or was given up before there was an answer.
    #[must_use]
    pub fn unanswered(error: Error) -> Self {
        Self {
            sent: None,
            head: None,
            result: Err(error),
        }
    }
}

impl Moment {
    /// This moment.
    #[must_use]
    pub fn now() -> Self {
        Self {
            at: Instant::now(),
            wall: SystemTime::now(),
        }
    }
}
