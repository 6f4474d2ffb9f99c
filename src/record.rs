//! What there is to tell of a call: filled in where things happen, read by whatever observes.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    credentials::Fingerprint,
    journal::{Journal, Read},
    proto::v1::ErrorReason,
    trace::TraceContext,
};

/// The record of one call. Clones share it.
#[derive(Clone, Debug)]
pub struct Record {
    arrived: Instant,
    entries: Arc<Mutex<Entries>>,
}

#[derive(Debug, Default)]
struct Entries {
    refusal: Option<Refusal>,
    journal: Option<Journal>,
    answer: Option<(Origin, Duration)>,
    trace: TraceContext,
    credential: Option<Fingerprint>,
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was known.
    Memory,
    /// A read that somebody else had started.
    SharedRead,
    /// A read that this call started.
    OwnRead,
    /// A read of another replica.
    Replica,
}

/// Why a call was refused, from sets that are fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What the caller's `ErrorInfo` says, too.
    pub reason: ErrorReason,
    /// What is wrong in particular, where a reason has several causes.
    pub problem: Option<&'static str>,
    /// When the caller is to try again, in milliseconds, where that makes sense.
    pub retry_millis: Option<u64>,
}

impl Origin {
    /// All there are, in their order.
    pub const ALL: [Self; 4] = [Self::Memory, Self::SharedRead, Self::OwnRead, Self::Replica];

    /// Where, in a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::SharedRead => "shared read",
            Self::OwnRead => "own read",
            Self::Replica => "another replica",
        }
    }
}

impl Record {
    /// The record of a call that arrived at this moment.
    #[must_use]
    pub fn begin(arrived: Instant) -> Self {
        Self {
            arrived,
            entries: Arc::default(),
        }
    }

    /// When the call arrived.
    #[must_use]
    pub fn arrived(&self) -> Instant {
        self.arrived
    }

    /// What happens from now on is within this span, or this caller's trace.
    pub fn is_within(&self, trace: TraceContext) {
        self.lock().trace = trace;
    }

    /// Within what it happens.
    #[must_use]
    pub fn trace(&self) -> TraceContext {
        self.lock().trace.clone()
    }

    /// The call is this user's.
    pub fn is_by(&self, credential: Fingerprint) {
        self.lock().credential = Some(credential);
    }

    /// Whose call it is, if it got so far as to be asked.
    #[must_use]
    pub fn credential(&self) -> Option<Fingerprint> {
        self.lock().credential
    }

    /// The call is refused. Of several refusals the last one holds, since that is what is sent.
    pub fn refused(&self, refusal: Refusal) {
        self.lock().refusal = Some(refusal);
    }

    /// Why the call was refused, if it was, by us.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        self.lock().refusal
    }

    /// The call waits for the read with these notes.
    pub fn waits_for(&self, journal: Journal) {
        self.lock().journal = Some(journal);
    }

    /// The call is answered, with what was read at `read_at`.
    pub fn answered(&self, origin: Origin, read_at: Instant) {
        let age = self.arrived.saturating_duration_since(read_at);
        self.lock().answer = Some((origin, age));
    }

    /// Where the answer came from, and how old it was when the call arrived; `None` without one.
    #[must_use]
    pub fn answer(&self) -> Option<(Origin, Duration)> {
        self.lock().answer
    }

    /// The read that the call waited for, as far as it has got; an empty one where nothing was read.
    #[must_use]
    pub fn read(&self) -> Read {
        let journal = self.lock().journal.clone();
        journal.as_ref().map(Journal::read).unwrap_or_default()
    }

    /// Where in a trace that read began; none where nothing was read.
    #[must_use]
    pub fn reader(&self) -> TraceContext {
        let journal = self.lock().journal.clone();
        journal.as_ref().map(Journal::reader).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
