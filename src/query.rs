//! A question for Rocket.Chat, who asks it, and one attempt to have it answered.
//!
//! A [`Query`] says what is asked, and is all that an answer depends on: the key of whatever is
//! shared between callers. A [`Caller`] is one of those who want it; no source that serves several
//! of them passes it on. An [`Attempt`] is one request to Rocket.Chat.

use std::{
    hash::{Hash, Hasher},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    credentials::{Credentials, Fingerprint},
    deadline::Deadline,
    journal::Journal,
    record::Record,
};

/// What is asked, and on whose behalf. An answer never crosses credentials.
#[derive(Clone, Debug)]
pub struct Query<P> {
    /// What is asked.
    pub parameters: P,
    /// On whose behalf.
    pub credentials: Credentials,
    /// Stands for the credentials wherever queries are compared or kept.
    pub fingerprint: Fingerprint,
}

/// Somebody who waits for the answer to a query.
#[derive(Clone, Debug)]
pub struct Caller {
    /// When the call arrived. The age of answers is taken at this moment.
    pub arrived: Instant,
    /// The oldest answer that the caller accepts; `None` leaves it to the sources.
    pub max_age: Option<Duration>,
    /// When the caller stops waiting.
    pub deadline: Deadline,
    /// What becomes of the call.
    pub record: Record,
}

/// One request to Rocket.Chat.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// When nobody waits for it any more.
    pub deadline: Deadline,
    /// Over which connection.
    pub connection: Connection,
    /// Where it is noted what becomes of it, as soon as that is known.
    pub journal: Journal,
}

/// Which connections to Rocket.Chat may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// An idle one, if there is one.
    Any,
    /// A new one. Where one idle connection was found closed, the others are likely to be, too.
    New,
}

impl<P: PartialEq> PartialEq for Query<P> {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint && self.parameters == other.parameters
    }
}

impl<P: Eq> Eq for Query<P> {}

impl<P: Hash> Hash for Query<P> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fingerprint.hash(state);
        self.parameters.hash(state);
    }
}
