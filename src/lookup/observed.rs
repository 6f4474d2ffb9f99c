//! Notes each attempt in the call's journal: how long it took and with which status it ended.

use tokio::time::Instant;

use crate::{
    error::Error,
    journal::Journal,
    source::{Answer, ConferenceSource, Lookup},
};

/// Observes the attempts of the source inside.
#[derive(Debug)]
pub struct Observed<S> {
    inner: S,
}

/// An attempt that isn't over. One that is dropped was given up, and is noted too.
struct Attempt<'a> {
    journal: &'a Journal,
    started: Instant,
    http_status: Option<u16>,
}

impl<S> Observed<S> {
    /// Puts the observation around `inner`.
    pub fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S: ConferenceSource> ConferenceSource for Observed<S> {
    async fn find(&self, lookup: &Lookup) -> Result<Answer, Error> {
        let mut attempt = Attempt {
            journal: &lookup.journal,
            started: Instant::now(),
            http_status: None,
        };
        let result = self.inner.find(lookup).await;
        attempt.http_status = match &result {
            Ok(answer) => Some(answer.http_status),
            Err(error) => error.http_status(),
        };
        result
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.journal
            .attempted(self.started.elapsed(), self.http_status);
    }
}
