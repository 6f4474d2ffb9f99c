//! What is known of a read of Rocket.Chat while it goes on, whoever waits for it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::exchange::Head;

/// The notes on one read: its attempts, each noted as far as it has got. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Journal(Arc<Mutex<Read>>);

/// A read, summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// How many requests were tried, whether or not there was a connection for them.
    pub attempts: u32,
    /// How long they took together, until the answer was read whole, failed or was given up.
    pub elapsed: Duration,
    /// The head of the last one's answer, if it got as far.
    pub head: Option<Head>,
}

impl Journal {
    /// An attempt begins.
    pub fn begin(&self) {
        let mut read = self.lock();
        read.attempts += 1;
        read.head = None;
    }

    /// Its answer has begun.
    pub fn answered(&self, head: Head) {
        self.lock().head = Some(head);
    }

    /// It is over, or was given up.
    pub fn end(&self, elapsed: Duration) {
        self.lock().elapsed += elapsed;
    }

    /// The notes so far.
    #[must_use]
    pub fn read(&self) -> Read {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Read> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
