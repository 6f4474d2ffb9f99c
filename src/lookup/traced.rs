//! Has a lookup seen in traces.

use crate::{
    error::Error,
    query::{Caller, Query},
    route::Parameters,
    source::{Answer, Lookup},
    trace::Tracer,
};

/// Makes a span for each lookup in the source inside.
#[derive(Debug)]
pub struct Traced<S> {
    inner: S,
    tracer: Tracer,
}

impl<S> Traced<S> {
    /// Makes the spans of `inner` with `tracer`.
    pub fn new(inner: S, tracer: Tracer) -> Self {
        Self { inner, tracer }
    }
}

impl<P: Parameters, S: Lookup<P>> Lookup<P> for Traced<S> {
    async fn find(&self, query: &Query<P>, caller: &Caller) -> Result<Answer<P::Answer>, Error> {
        let span = self.tracer.lookup(&caller.record, P::ROUTE);
        let answer = self.inner.find(query, caller).await;
        if let Some(span) = span {
            span.end(answer.as_ref().err());
        }
        answer
    }
}
