//! Answers from memory: as fresh as a caller wants, or as the allowance permits.

use std::time::Duration;

use tokio::time::Instant;

use super::{Answers, Coalesce, Shelves, answers::Known};
use crate::{
    claim::Refresh,
    error::Error,
    exchange::Exchange,
    query::{Attempt, Caller, Query},
    record::Origin,
    route::{Keepable, Parameters},
    source::{Answer, Lookup, Upstream},
};

/// How old answers may be. Ages are taken when a call arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// Until this age an answer is given without a read, unless the caller says another.
    pub fresh_for: Duration,
    /// Until this age an answer is given while a new one can't be had. Beyond it, never.
    pub stale_for: Duration,
    /// How long a caller to whom an answer could be shown waits for a newer one.
    pub refresh_wait: Duration,
}

/// Gives what is known, and has it read anew by the source inside.
#[derive(Debug)]
pub struct Cache<S, P: Parameters> {
    inner: Coalesce<S, P>,
    shelves: Shelves<P>,
    freshness: Freshness,
}

/// Keeps what Rocket.Chat says to requests of the source inside, whoever still waits for it.
#[derive(Debug)]
pub struct Remember<S, P: Parameters> {
    inner: S,
    answers: Answers<P>,
}

impl<S, P: Parameters> Cache<S, P> {
    /// Answers from `shelves`, or from `inner`.
    #[must_use]
    pub fn new(inner: Coalesce<S, P>, shelves: Shelves<P>, freshness: Freshness) -> Self {
        Self {
            inner,
            shelves,
            freshness,
        }
    }

    fn known(&self, query: &Query<P>, caller: &Caller) -> Option<Known<P::Answer>> {
        self.shelves.answers.get(&query.key, caller.arrived)
    }

    /// Whether what is `known` is given without a read.
    fn is_fresh(&self, known: &Known<P::Answer>, caller: &Caller) -> bool {
        match caller.max_age {
            // Only a read that starts after the call's arrival will do.
            Some(Duration::ZERO) => false,
            Some(max_age) => known.age(caller.arrived) <= max_age,
            // Refusals are known for as long as they are remembered.
            None => known.said.is_err() || known.age(caller.arrived) <= self.freshness.fresh_for,
        }
    }

    /// What can be shown to `caller` if there is nothing better.
    fn shown(
        &self,
        known: Option<Known<P::Answer>>,
        caller: &Caller,
    ) -> Option<(Answer<P::Answer>, Refresh)> {
        if caller.max_age.is_some() {
            return None;
        }
        let answer = known?.into_answer().ok()?;
        let refresh = Refresh {
            read_at: answer.read_at.at,
            is_final: answer.value.is_final(),
            until: answer.read_at.at + self.freshness.stale_for,
        };
        Some((answer, refresh))
    }
}

impl<P: Parameters, S: Upstream<P>> Lookup<P> for Cache<S, P> {
    async fn find(&self, query: &Query<P>, caller: &Caller) -> Result<Answer<P::Answer>, Error> {
        let mut origin = Origin::Memory;
        let mut known = self.known(query, caller);
        // Whoever began a read has looked.
        if known.is_none()
            && self.shelves.are_common()
            && !self.inner.is_reading(&query.key)
            && self.shelves.look(&query.key).await.is_some()
        {
            origin = Origin::Replica;
            known = self.known(query, caller);
        }
        let known = match known {
            Some(known) if self.is_fresh(&known, caller) => {
                caller.record.answered(origin, known.read_at.at);
                return known.into_answer();
            }
            known => known,
        };
        let Some((answer, refresh)) = self.shown(known, caller) else {
            return self.inner.find(query, caller).await;
        };
        // Half of the time that is left, so that the caller hears of what there is.
        let half = caller.deadline.remaining() / 2;
        let until = Instant::now() + self.freshness.refresh_wait.min(half);
        match self.inner.refresh(query, caller, refresh, until).await {
            Some(Ok(newer)) => Ok(newer),
            // It is an answer, too, and what was known before doesn't hold any more.
            Some(Err(refusal)) if refusal.is_refusal() => Err(refusal),
            _ => {
                // A replica may have read it meanwhile.
                let newer = self.shelves.are_common().then(|| self.known(query, caller));
                let newer = newer.flatten().map(Known::into_answer);
                let answer = newer.and_then(Result::ok).unwrap_or(answer);
                caller.record.answered(origin, answer.read_at.at);
                Ok(answer)
            }
        }
    }
}

impl<S, P: Parameters> Remember<S, P> {
    /// Keeps what `inner` brings in `answers`.
    pub fn new(inner: S, answers: Answers<P>) -> Self {
        Self { inner, answers }
    }
}

impl<P: Parameters, S: Upstream<P>> Upstream<P> for Remember<S, P> {
    async fn ask(&self, query: &Query<P>, attempt: &Attempt) -> Exchange<P::Answer> {
        let exchange = self.inner.ask(query, attempt).await;
        self.answers.keep(&query.key, &exchange);
        exchange
    }
}
