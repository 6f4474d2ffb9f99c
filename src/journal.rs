//! What happened upstream during one call, for its access line.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// A call's notes on its reads of Rocket.Chat. Clones share the notes.
#[derive(Clone, Debug, Default)]
pub struct Journal(Arc<Mutex<Upstream>>);

/// The reads of one call, summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upstream {
    /// How many requests were tried, whether or not there was a connection for them.
    pub attempts: u32,
    /// How long they took together, until the answer was read whole, failed or was given up.
    pub elapsed: Duration,
    /// The status of the last one, if it got as far as a status.
    pub http_status: Option<u16>,
}

impl Journal {
    /// Notes one finished attempt.
    pub fn attempted(&self, elapsed: Duration, http_status: Option<u16>) {
        let mut upstream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        upstream.attempts += 1;
        upstream.elapsed += elapsed;
        upstream.http_status = http_status;
    }

    /// The notes so far.
    #[must_use]
    pub fn upstream(&self) -> Upstream {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
