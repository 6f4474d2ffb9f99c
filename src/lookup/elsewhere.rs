//! What replicas have read, or read just now, isn't read once more.

use std::{future::pending, pin::pin, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Allowance, Answers, allowance::Watched};
use crate::{
    claim::Stage,
    error::Error,
    exchange::Exchange,
    query::{Attempt, Key, Query},
    replicas::{Kept, Shelf},
    route::{Keepable, Parameters},
    source::Upstream,
};

/// What was read longer ago is read anew, however long it counts as fresh.
const AT_LEAST: Duration = Duration::from_secs(1);

/// Takes from the shelf what others have read in place of a read of the source inside.
#[derive(Debug)]
pub struct Elsewhere<S, P: Parameters> {
    inner: S,
    shelves: Shelves<P>,
    fresh_for: Duration,
}

/// Puts on the shelf what the source inside brings, before anybody hears that it is over.
#[derive(Debug)]
pub struct Publish<S, P: Parameters> {
    inner: S,
    shelves: Shelves<P>,
}

/// Our own memory, and what all replicas have.
#[derive(Debug)]
pub struct Shelves<P: Parameters> {
    /// What is known here.
    pub answers: Answers<P>,
    /// What is known to all replicas; `None` if there are none.
    pub common: Option<CommonShelf>,
}

/// What is known to all replicas.
#[derive(Clone, Debug)]
pub struct CommonShelf {
    /// Where it is.
    pub shelf: Arc<dyn Shelf>,
    /// Knows who reads what.
    pub allowance: Allowance,
}

impl<S, P: Parameters> Elsewhere<S, P> {
    /// Looks in `shelves` before `inner` is asked. What was read within `fresh_for` is as good as a read.
    pub fn new(inner: S, shelves: Shelves<P>, fresh_for: Duration) -> Self {
        Self {
            inner,
            shelves,
            fresh_for: fresh_for.max(AT_LEAST),
        }
    }

    /// What a replica has read, if that will do for all who wait.
    async fn look(&self, query: &Query<P>, attempt: &Attempt) -> Option<Exchange<P::Answer>> {
        let exchange = self.shelves.look(&query.key).await?;
        let read_at = exchange.sent?.at;
        let is_fresh = read_at + self.fresh_for >= Instant::now();
        if !is_fresh || !attempt.claim.accept(read_at) {
            return None;
        }
        attempt.journal.is_of_replica();
        Some(exchange)
    }
}

impl<P: Parameters, S: Upstream<P>> Upstream<P> for Elsewhere<S, P> {
    async fn ask(&self, query: &Query<P>, attempt: &Attempt) -> Exchange<P::Answer> {
        let Some(mut elsewhere) = self.shelves.watch(&query.key) else {
            return self.inner.ask(query, attempt).await;
        };
        // What is noted as sent in our place.
        let mut theirs = None;
        loop {
            if let Some(exchange) = self.look(query, attempt).await {
                return exchange;
            }
            // What waits for a turn here gives that up before it waits for the other one.
            let since = {
                let mut asking = pin!(self.inner.ask(query, attempt));
                let since = tokio::select! {
                    biased;
                    since = elsewhere.begun() => since,
                    exchange = &mut asking => return exchange,
                };
                if matches!(attempt.claim.stage(), Stage::Sent(at) if Some(at) != theirs) {
                    return asking.await;
                }
                since
            };
            // It is as if it were ours.
            if !attempt.claim.send(since) {
                return pending().await;
            }
            theirs = Some(since);
            elsewhere.over().await;
        }
    }
}

impl<S, P: Parameters> Publish<S, P> {
    /// Puts what `inner` brings into `shelves`.
    pub fn new(inner: S, shelves: Shelves<P>) -> Self {
        Self { inner, shelves }
    }
}

impl<P: Parameters, S: Upstream<P>> Upstream<P> for Publish<S, P> {
    async fn ask(&self, query: &Query<P>, attempt: &Attempt) -> Exchange<P::Answer> {
        let exchange = self.inner.ask(query, attempt).await;
        self.shelves.put(&query.key, &exchange).await;
        exchange
    }
}

impl<P: Parameters> Shelves<P> {
    /// Our own memory only.
    #[must_use]
    pub fn own(answers: Answers<P>) -> Self {
        Self {
            answers,
            common: None,
        }
    }

    /// Whether there is a common one.
    pub(super) fn are_common(&self) -> bool {
        self.common.is_some()
    }

    /// What is on the common shelf. It is in our own memory then, too.
    pub(super) async fn look(&self, key: &Key<P>) -> Option<Exchange<P::Answer>> {
        let common = self.common.as_ref()?;
        let tag = common.allowance.tag(key)?;
        let kept = common.shelf.get(tag, key.fingerprint).await?;
        let result = match kept.said {
            Ok(bytes) => Ok(P::Answer::from_bytes(bytes)?),
            Err(refusal) => Err(refusal),
        };
        let exchange = Exchange {
            sent: Some(kept.read_at),
            head: None,
            result,
        };
        self.answers.keep(key, &exchange);
        Some(exchange)
    }

    async fn put(&self, key: &Key<P>, exchange: &Exchange<P::Answer>) {
        let Some(CommonShelf { shelf, allowance }) = &self.common else {
            return;
        };
        let Some(tag) = allowance.tag(key) else {
            return;
        };
        let Some(read_at) = exchange.sent else { return };
        let said = match &exchange.result {
            Ok(answer) => Ok(answer.to_bytes()),
            Err(refusal) if refusal.is_worth_remembering() => Err(refusal.clone()),
            Err(_) => return,
        };
        if said == Err(Error::CredentialsRejected) {
            shelf.reject(key.fingerprint, read_at).await;
        }
        shelf.put(tag, &Kept { read_at, said }).await;
    }

    /// Watches whether a replica reads it.
    fn watch(&self, key: &Key<P>) -> Option<Watched> {
        let allowance = &self.common.as_ref()?.allowance;
        allowance.watch_tag(allowance.tag(key)?)
    }
}

impl<P: Parameters> Clone for Shelves<P> {
    fn clone(&self) -> Self {
        Self {
            answers: self.answers.clone(),
            common: self.common.clone(),
        }
    }
}
