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

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;
    use crate::lookup::scripted::{Scripted, attempt, query};

    /// It is the first of both deadlines that ends a request, and the request knows it.
    #[tokio::test(start_paused = true)]
    async fn the_first_deadline_ends_it() {
        let ceiling = Duration::from_secs(10);
        for (given, expected) in [
            (None, (ceiling, Limit::Server)),
            (Some(ceiling * 2), (ceiling, Limit::Server)),
            (Some(ceiling / 2), (ceiling / 2, Limit::Caller)),
        ] {
            let began = Instant::now();
            let silent = Scripted(move |attempt: Attempt| async move {
                let deadline = attempt.deadline.expect("a deadline");
                assert_eq!((deadline.at - began, deadline.limit), expected);
                pending().await
            });
            let attempt = Attempt {
                deadline: given.map(|time| Deadline {
                    at: began + time,
                    limit: Limit::Caller,
                }),
                ..attempt()
            };
            let exchange = Bounded::new(silent, ceiling).ask(&query(), &attempt).await;
            assert_eq!(began.elapsed(), expected.0, "{given:?}");
            assert_eq!(
                exchange.result.err(),
                Some(Error::DeadlineExceeded(expected.1))
            );
            assert_eq!(exchange.sent.map(|sent| sent.at), Some(began));
        }
    }
}
