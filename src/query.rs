//! A question for Rocket.Chat, who asks it, and one attempt to have it answered.
//!
//! A [`Query`] says what is asked; its [`Key`] is all that an answer depends on, and stands for
//! whatever is shared between callers. A [`Caller`] is one of those who want it; no source that
//! serves several of them passes it on. An [`Attempt`] is one request to Rocket.Chat.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    claim::Claim,
    credentials::{Credentials, Fingerprint},
    deadline::Deadline,
    journal::Journal,
    record::Record,
    trace::TraceContext,
};

/// What is asked, and on whose behalf. An answer never crosses credentials.
#[derive(Clone, Debug)]
pub struct Query<P> {
    /// What stands for the query wherever answers are compared, shared or kept.
    pub key: Key<P>,
    /// On whose behalf.
    pub credentials: Credentials,
}

/// All that an answer depends on, without a secret: of the credentials there is a keyed hash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key<P> {
    /// What is asked.
    pub parameters: P,
    /// Stands for the credentials.
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
    /// What it is wanted for, and how far it has got.
    pub claim: Claim,
    /// When it is given up; `None` as long as nobody has set that.
    pub deadline: Option<Deadline>,
    /// Over which connection.
    pub connection: Connection,
    /// Where it is noted what becomes of it, as soon as that is known.
    pub journal: Journal,
    /// Within which span.
    pub trace: TraceContext,
}

impl Attempt {
    /// Until when somebody waits for an answer, if that is known.
    #[must_use]
    pub fn wanted_until(&self) -> Option<Instant> {
        let given_up = self.deadline.map(|deadline| deadline.at);
        [given_up, self.claim.deadline()]
            .into_iter()
            .flatten()
            .min()
    }
}

/// Which connections to Rocket.Chat may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// An idle one, if there is one.
    Any,
    /// A new one. Where one idle connection was found closed, the others are likely to be, too.
    New,
}
