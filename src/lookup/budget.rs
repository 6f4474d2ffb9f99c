//! Lets a request out when its turn comes: one unit of the allowance for each.

use std::{future::pending, time::Duration};

use tokio::time::Instant;

use super::allowance::{Allowance, Full};
use crate::{
    error::Error,
    exchange::Exchange,
    metrics::Turns,
    query::{Attempt, Query},
    route::Parameters,
    source::Upstream,
};

/// When to come again if even the queue is full.
const WHILE_FULL: Duration = Duration::from_secs(3);

/// Makes the requests of the source inside wait for their turn.
#[derive(Debug)]
pub struct Budget<S> {
    inner: S,
    allowance: Allowance,
    turns: Turns,
}

impl<S> Budget<S> {
    /// Spends `allowance` on requests of `inner`, and measures with `turns` how long they wait.
    pub fn new(inner: S, allowance: Allowance, turns: Turns) -> Self {
        Self {
            inner,
            allowance,
            turns,
        }
    }
}

impl<P: Parameters, S: Upstream<P>> Upstream<P> for Budget<S> {
    async fn ask(&self, query: &Query<P>, attempt: &Attempt) -> Exchange<P::Answer> {
        let waiting = self.turns.begin();
        let credential = query.key.fingerprint;
        let tag = self.allowance.tag(&query.key);
        let turn = self.allowance.turn(credential, tag, &attempt.claim).await;
        attempt.journal.waited(waiting.end());
        let mut ticket = match turn {
            Ok(ticket) => ticket,
            Err(Full) => {
                return Exchange::unanswered(Error::BudgetExhausted {
                    route: P::ROUTE,
                    retry_after: WHILE_FULL,
                });
            }
        };
        if !attempt.claim.send(Instant::now()) {
            drop(ticket);
            // Time has gone by, and whoever waited is just hearing so.
            return pending().await;
        }
        self.turns.sent(credential);
        ticket.begin();
        let exchange = self.inner.ask(query, attempt).await;
        ticket.over(exchange.sent.is_some(), exchange.head.as_ref());
        exchange
    }
}
