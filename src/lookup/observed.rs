//! Notes each attempt in its journal, and measures it: that it was made, and how long it took.

use crate::{
    exchange::Exchange,
    journal::Journal,
    metrics::Attempts,
    query::{Attempt, Query},
    route::Parameters,
    source::Upstream,
};

/// Observes the attempts of the source inside.
#[derive(Debug)]
pub struct Observed<S> {
    inner: S,
    attempts: Attempts,
}

/// An attempt that isn't over. One that is dropped was given up, and is noted too.
struct Ongoing<'a>(&'a Journal);

impl<S> Observed<S> {
    /// Puts the observation around `inner`. Its attempts are measured with `attempts`.
    pub fn new(inner: S, attempts: Attempts) -> Self {
        Self { inner, attempts }
    }
}

impl<P: Parameters, S: Upstream<P>> Upstream<P> for Observed<S> {
    async fn ask(&self, query: &Query<P>, attempt: &Attempt) -> Exchange<P::Answer> {
        let _ongoing = Ongoing::begin(&attempt.journal);
        let measured = self.attempts.begin();
        let exchange = self.inner.ask(query, attempt).await;
        measured.end(&exchange);
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
