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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::{
        lookup::scripted::{Scripted, attempt, found, query},
        metrics::Metrics,
        route::Info,
        trace::{Target, Tracer},
    };

    /// What Rocket.Chat took is what its attempts took, one that was given up too, and no pause between them.
    #[tokio::test(start_paused = true)]
    async fn only_attempts_take_time() {
        const ANSWERED: Duration = Duration::from_millis(40);
        const PATIENCE: Duration = Duration::from_millis(30);
        const PAUSE: Duration = Duration::from_secs(1);
        let slow = Scripted(|_| async {
            sleep(ANSWERED).await;
            found()
        });
        let attempts = Attempts::new(&Metrics::off(), Info::ROUTE);
        let target = Target {
            url: "http://127.0.0.1".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: 80,
        };
        let spans = Requests::new(Tracer::off(), Info::ROUTE, target);
        let observed = Observed::new(slow, attempts, spans);
        let (query, attempt) = (query(), attempt());

        let given_up = timeout(PATIENCE, observed.ask(&query, &attempt)).await;
        given_up.expect_err("too slow");
        sleep(PAUSE).await;
        let answered = observed.ask(&query, &attempt).await;
        answered.result.expect("an answer");
        sleep(PAUSE).await;

        let read = attempt.journal.read();
        assert_eq!((read.attempts, read.elapsed), (2, PATIENCE + ANSWERED));
    }
}
