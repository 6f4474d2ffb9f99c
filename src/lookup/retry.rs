//! Asks once more where the first request can't have been answered.

use crate::{
    error::{Error, Unavailable},
    source::{Answer, ConferenceSource, Lookup},
};

/// Repeats a lookup of the source inside, once.
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

impl<S: ConferenceSource> ConferenceSource for Retry<S> {
    async fn find(&self, lookup: &Lookup) -> Result<Answer, Error> {
        match self.inner.find(lookup).await {
            Err(error) if repeatable(&error) => {
                let again = Lookup {
                    may_reuse_connection: false,
                    ..lookup.clone()
                };
                self.inner.find(&again).await
            }
            result => result,
        }
    }
}

/// A connection closed before an answer: as a rule Rocket.Chat's server closed an idle connection
/// of the pool at the moment at which it was used again. Asking twice is safe, since it is a GET.
fn repeatable(error: &Error) -> bool {
    matches!(
        error,
        Error::UpstreamUnavailable {
            cause: Unavailable::ConnectionClosed,
            ..
        }
    )
}
