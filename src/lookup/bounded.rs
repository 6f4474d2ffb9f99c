//! Ends a request that takes too long, whoever waits for it.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::{
    deadline::{Deadline, Limit},
    error::Error,
    exchange::{Exchange, Moment},
    query::{Attempt, Query},
    route::Parameters,
    source::Upstream,
};

/// Gives each request of the source inside the same time at most. Callers have deadlines of their
/// own; this is the end of a request that outlives them.
#[derive(Debug)]
pub struct Bounded<S> {
    inner: S,
    ceiling: Duration,
}

impl<S> Bounded<S> {
    /// Gives each request of `inner` the time `ceiling`.
    pub fn new(inner: S, ceiling: Duration) -> Self {
        Self { inner, ceiling }
    }
}

impl<P: Parameters, S: Upstream<P>> Upstream<P> for Bounded<S> {
    async fn ask(&self, query: &Query<P>, attempt: &Attempt) -> Exchange<P::Answer> {
        let sent = Moment::now();
        let ceiling = Deadline {
            at: Instant::now() + self.ceiling,
            limit: Limit::Server,
        };
        let deadline = match attempt.deadline {
            Some(deadline) if deadline.at < ceiling.at => deadline,
            _ => ceiling,
        };
        let bounded = Attempt {
            deadline: Some(deadline),
            ..attempt.clone()
        };
        timeout_at(deadline.at, self.inner.ask(query, &bounded))
            .await
            .unwrap_or_else(|_| Exchange {
                // It may have been.
                sent: Some(sent),
                head: attempt.journal.read().head,
                result: Err(Error::DeadlineExceeded(deadline.limit)),
            })
    }
}
