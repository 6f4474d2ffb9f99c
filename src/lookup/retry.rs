//! Asks once more where the first request can't have been answered.

use crate::{
    error::{Error, Unavailable},
    exchange::Exchange,
    query::{Attempt, Connection, Query},
    route::Parameters,
    source::Upstream,
};

/// Repeats a request of the source inside, once, if its route allows that.
#[derive(Debug)]
pub struct Retry<S> {
    inner: S,
}

impl<S> Retry<S> {
    /// Puts the repetition around `inner`.
    pub fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<P: Parameters, S: Upstream<P>> Upstream<P> for Retry<S> {
    async fn ask(&self, query: &Query<P>, attempt: &Attempt) -> Exchange<P::Answer> {
        let exchange = self.inner.ask(query, attempt).await;
        if !P::ROUTE.is_repeatable || !was_closed(&exchange) {
            return exchange;
        }
        let again = Attempt {
            connection: Connection::New,
            ..attempt.clone()
        };
        self.inner.ask(query, &again).await
    }
}

/// A connection closed before an answer: as a rule Rocket.Chat's server closed an idle connection
/// of the pool at the moment at which it was used again.
fn was_closed<T>(exchange: &Exchange<T>) -> bool {
    matches!(
        exchange.result,
        Err(Error::UpstreamUnavailable {
            cause: Unavailable::ConnectionClosed,
            ..
        })
    )
}
