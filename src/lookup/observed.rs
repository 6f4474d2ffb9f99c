//! Notes each attempt in its journal: that it was made, and how long it took.

use crate::{
    exchange::Exchange,
    journal::Journal,
    query::{Attempt, Query},
    route::Parameters,
    source::Upstream,
};

/// Observes the attempts of the source inside.
#[derive(Debug)]
pub struct Observed<S> {
    inner: S,
}

/// An attempt that isn't over. One that is dropped was given up, and is noted too.
struct Ongoing<'a>(&'a Journal);

impl<S> Observed<S> {
    /// Puts the observation around `inner`.
    pub fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<P: Parameters, S: Upstream<P>> Upstream<P> for Observed<S> {
    async fn ask(&self, query: &Query<P>, attempt: &Attempt) -> Exchange<P::Answer> {
        let _ongoing = Ongoing::begin(&attempt.journal);
        self.inner.ask(query, attempt).await
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
