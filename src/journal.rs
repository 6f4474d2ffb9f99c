//! What is known of a read of Rocket.Chat while it goes on, whoever waits for it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{exchange::Head, trace::TraceContext};

/// The notes on one read: its attempts, each noted as far as it has got. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Journal(Arc<Mutex<Notes>>);

#[derive(Debug, Default)]
struct Notes {
    /// Whose trace the read is in: that of the caller for whom it began.
    reader: TraceContext,
    /// Without the attempt that goes on.
    read: Read,
    /// Since when there is one.
    attempting_since: Option<Instant>,
}

/// A read, summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// How long they waited for their turns.
    pub waited: Duration,
    /// How many requests were tried, whether or not there was a connection for them.
    pub attempts: u32,
    /// How long they took together, until the answer was read whole, failed or was given up, or until
    /// now.
    pub elapsed: Duration,
    /// The head of the last one's answer, if it got as far.
    pub head: Option<Head>,
    /// Whether another replica made it in the end.
    pub is_of_replica: bool,
}

impl Journal {
    /// The notes on a read that begins there in a trace.
    #[must_use]
    pub fn within(reader: TraceContext) -> Self {
        Self(Arc::new(Mutex::new(Notes {
            reader,
            ..Notes::default()
        })))
    }

    /// Where in a trace it began.
    #[must_use]
    pub fn reader(&self) -> TraceContext {
        self.lock().reader.clone()
    }

    /// An attempt's turn has come, or won't, after this time.
    pub fn waited(&self, time: Duration) {
        self.lock().read.waited += time;
    }

    /// An attempt begins.
    pub fn begin(&self) {
        let mut notes = self.lock();
        notes.read.attempts += 1;
        notes.read.head = None;
        notes.attempting_since = Some(Instant::now());
    }

    /// Its answer has begun.
    pub fn answered(&self, head: Head) {
        self.lock().read.head = Some(head);
    }

    /// It is over, or was given up.
    pub fn end(&self) {
        let mut notes = self.lock();
        notes.read = notes.so_far();
        notes.attempting_since = None;
    }

    /// Another replica has made the read.
    pub fn is_of_replica(&self) {
        self.lock().read.is_of_replica = true;
    }

    /// The notes so far.
    #[must_use]
    pub fn read(&self) -> Read {
        self.lock().so_far()
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    fn so_far(&self) -> Read {
        let ongoing = self.attempting_since.map(|since| since.elapsed());
        Read {
            elapsed: self.read.elapsed + ongoing.unwrap_or_default(),
            ..self.read
        }
    }
}
