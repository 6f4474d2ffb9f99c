//! Gives every caller a read of their own.

use crate::{
    claim::Claim,
    error::Error,
    exchange::Exchange,
    journal::Journal,
    query::{Attempt, Caller, Connection, Query},
    record::Origin,
    route::Parameters,
    source::{Answer, Lookup, Upstream},
};

/// Answers each caller by asking the source inside. Here a call becomes a read; what is further in
/// knows of no caller.
#[derive(Debug)]
pub struct Direct<S> {
    inner: S,
}

impl<S> Direct<S> {
    /// Answers callers from `inner`.
    pub fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<P: Parameters, S: Upstream<P>> Lookup<P> for Direct<S> {
    async fn find(&self, query: &Query<P>, caller: &Caller) -> Result<Answer<P::Answer>, Error> {
        let trace = caller.record.trace();
        let journal = Journal::within(trace.clone());
        caller.record.waits_for(journal.clone());
        let claim = Claim::new();
        let _waiting = claim.wait(caller.deadline.at, None);
        let attempt = Attempt {
            claim,
            deadline: Some(caller.deadline),
            connection: Connection::Any,
            journal,
            trace,
        };
        let Exchange { sent, result, .. } = self.inner.ask(query, &attempt).await;
        let value = result?;
        // What wasn't sent has no answer.
        let read_at = sent.ok_or(Error::Internal)?;
        caller.record.answered(Origin::OwnRead, read_at.at);
        Ok(Answer { value, read_at })
    }
}
