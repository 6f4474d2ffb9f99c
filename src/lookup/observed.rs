//! Notes each attempt in its journal, measures it, and has it seen in traces.

use crate::{
    exchange::Exchange,
    journal::Journal,
    metrics::Attempts,
    query::{Attempt, Query},
    route::Parameters,
    source::Upstream,
    trace::Requests,
};

/// Observes the attempts of the source inside.
#[derive(Debug)]
pub struct Observed<S> {
    inner: S,
    attempts: Attempts,
    spans: Requests,
}

/// An attempt that isn't over. One that is dropped was given up, and is noted too.
struct Ongoing<'a>(&'a Journal);

impl<S> Observed<S> {
    /// Puts the observation around `inner`. Its attempts are measured with `attempts`, and seen as `spans`.
    pub fn new(inner: S, attempts: Attempts, spans: Requests) -> Self {
        Self {
            inner,
            attempts,
            spans,
        }
    }
}

impl<P: Parameters, S: Upstream<P>> Upstream<P> for Observed<S> {
    async fn ask(&self, query: &Query<P>, attempt: &Attempt) -> Exchange<P::Answer> {
        let _ongoing = Ongoing::begin(&attempt.journal);
        let measured = self.attempts.begin();
        let span = self.spans.begin(&attempt.trace, &attempt.journal);
        let seen = span.context().map(|trace| Attempt {
            trace,
            ..attempt.clone()
        });
        let exchange = self
            .inner
            .ask(query, seen.as_ref().unwrap_or(attempt))
            .await;
        measured.end(&exchange);
        span.end(&exchange);
        exchange
    }
}

impl<'a> Ongoing<'a> {
    fn begin(journal: &'a Journal) -> Self {
        journal.begin();
        Self(journal)
    }
}

impl Drop for Ongoing<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}
