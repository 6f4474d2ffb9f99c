//! One read for all who want the same.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    claim::{Cause, Claim, Refresh, Stage, Turn, Watching},
    error::Error,
    exchange::Exchange,
    journal::Journal,
    metrics::{self, Flights},
    query::{Attempt, Caller, Connection, Key, Query},
    record::Origin,
    route::Parameters,
    source::{Answer, Lookup, Upstream},
    sync::{Mutex, MutexGuard, select, sleep_until, spawn, watch},
};

/// A read that was sent longer ago isn't joined by anybody who would be served better by a new one.
const PATIENCE: Duration = Duration::from_secs(1);

/// How much before a deadline a caller hears that there was no turn: a tenth of the time, and this at
/// most. The answer has to travel.
const LEAD: Duration = Duration::from_millis(50);

/// The shortest time after which anybody is told to come again; up to three times that, by chance.
const SOON: Duration = Duration::from_millis(200);

/// Reads for callers, those who want the same together. A read is a task of its own: a caller who
/// leaves, or panics, harms nobody.
#[derive(Debug)]
pub struct Coalesce<S, P: Parameters>(Arc<Shared<S, P>>);

#[derive(Debug)]
struct Shared<S, P: Parameters> {
    inner: S,
    measured: Flights,
    /// The newest read of each query that is under way.
    flights: Mutex<HashMap<Key<P>, Flight<P>>>,
}

/// A read that is under way.
#[derive(Debug)]
struct Flight<P: Parameters> {
    claim: Claim,
    journal: Journal,
    measured: metrics::Flight,
    landed: watch::Receiver<Option<Landed<P>>>,
}

/// What came of a read.
type Landed<P> = Result<Answer<<P as Parameters>::Answer>, Error>;

/// A caller's part in a read.
struct Seat<P: Parameters> {
    watching: Watching,
    landed: watch::Receiver<Option<Landed<P>>>,
    origin: Origin,
}

/// Takes a flight off the list of those that can be joined, however it ends.
struct Listed<'a, S, P: Parameters> {
    shared: &'a Shared<S, P>,
    key: &'a Key<P>,
    claim: &'a Claim,
}

impl<P: Parameters, S: Upstream<P>> Coalesce<S, P> {
    /// Reads from `inner`, and measures with `flights` for how many.
    pub fn new(inner: S, flights: Flights) -> Self {
        Self(Arc::new(Shared {
            inner,
            measured: flights,
            flights: Mutex::default(),
        }))
    }

    /// Has what is known read anew, and waits for that until `until`. `None` if it takes longer, or
    /// if it is clear that it will: the read goes on.
    pub(super) async fn refresh(
        &self,
        query: &Query<P>,
        caller: &Caller,
        refresh: Refresh,
        until: Instant,
    ) -> Option<Landed<P>> {
        let seat = self.board(query, caller, |claim| claim.refresh(refresh));
        let origin = seat.origin;
        let landed = seat.outcome_until(until).await?;
        if let Ok(answer) = &landed {
            caller
                .record
                .answered(of(origin, caller), answer.read_at.at);
        }
        Some(landed)
    }

    /// Whether this is being read.
    pub(super) fn is_reading(&self, key: &Key<P>) -> bool {
        self.0.lock().contains_key(key)
    }

    /// Joins the read that is under way, if it suits, or else starts one.
    fn board(
        &self,
        query: &Query<P>,
        caller: &Caller,
        want: impl Fn(&Claim) -> Option<Watching>,
    ) -> Seat<P> {
        let mut flights = self.0.lock();
        if let Some(flight) = flights.get(&query.key)
            && flight.suits(caller)
            && let Some(watching) = want(&flight.claim)
        {
            caller.record.waits_for(flight.journal.clone());
            flight.measured.joined();
            return Seat {
                watching,
                landed: flight.landed.clone(),
                origin: Origin::SharedRead,
            };
        }
        let claim = Claim::new();
        let watching = want(&claim).expect("a claim that isn't dropped");
        let journal = Journal::within(caller.record.trace());
        caller.record.waits_for(journal.clone());
        let (land, landed) = watch::channel(None);
        let measured = self.0.measured.begin();
        let flight = Flight {
            claim: claim.clone(),
            journal: journal.clone(),
            measured: measured.clone(),
            landed: landed.clone(),
        };
        flights.insert(query.key.clone(), flight);
        spawn(fly(
            Arc::clone(&self.0),
            query.clone(),
            claim,
            journal,
            measured,
            land,
        ));
        Seat {
            watching,
            landed,
            origin: Origin::OwnRead,
        }
    }
}

impl<P: Parameters, S: Upstream<P>> Lookup<P> for Coalesce<S, P> {
    async fn find(&self, query: &Query<P>, caller: &Caller) -> Result<Answer<P::Answer>, Error> {
        let deadline = caller.deadline.at;
        let time = caller.deadline.remaining();
        let max_age = caller.max_age;
        let not_before = max_age.and_then(|max_age| caller.arrived.checked_sub(max_age));
        let seat = self.board(query, caller, |claim| claim.wait(deadline, not_before));
        let origin = seat.origin;
        let answer = seat.outcome(deadline - LEAD.min(time / 10)).await?;
        caller
            .record
            .answered(of(origin, caller), answer.read_at.at);
        Ok(answer)
    }
}

impl<S, P: Parameters> Shared<S, P> {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key<P>, Flight<P>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Parameters> Flight<P> {
    /// Whether its answer is good enough for `caller`, and not better had anew.
    fn suits(&self, caller: &Caller) -> bool {
        match self.claim.stage() {
            Stage::Begun | Stage::Queued(_) => true,
            Stage::Dropped => false,
            Stage::Sent(at) => {
                let is_fresh = match caller.max_age {
                    Some(Duration::ZERO) => at > caller.arrived,
                    Some(max_age) => caller.arrived.saturating_duration_since(at) <= max_age,
                    None => true,
                };
                is_fresh && at + PATIENCE > Instant::now()
            }
        }
    }
}

/// Reads, until there is an answer or nobody wants it any more.
async fn fly<P: Parameters, S: Upstream<P>>(
    shared: Arc<Shared<S, P>>,
    query: Query<P>,
    claim: Claim,
    journal: Journal,
    measured: metrics::Flight,
    land: watch::Sender<Option<Landed<P>>>,
) {
    let _listed = Listed {
        shared: &shared,
        key: &query.key,
        claim: &claim,
    };
    let attempt = Attempt {
        claim: claim.clone(),
        deadline: None,
        connection: Connection::Any,
        trace: journal.reader(),
        journal,
    };
    let exchange = select! {
        biased;
        () = claim.dropped() => return,
        exchange = shared.inner.ask(&query, &attempt) => exchange,
    };
    if exchange.sent.is_some() {
        measured.sent();
    }
    land.send_replace(Some(landed(exchange)));
}

/// Where an answer came from that a read has brought, on which this caller was with a seat of this origin.
fn of(origin: Origin, caller: &Caller) -> Origin {
    if caller.record.read().is_of_replica {
        Origin::Replica
    } else {
        origin
    }
}

fn landed<T>(exchange: Exchange<T>) -> Result<Answer<T>, Error> {
    let value = exchange.result?;
    // What wasn't sent has no answer.
    let read_at = exchange.sent.ok_or(Error::Internal)?;
    Ok(Answer { value, read_at })
}

impl<P: Parameters> Seat<P> {
    /// What comes of the read. If that isn't sent by `last_moment`, or if it is clear that it won't
    /// be, the caller hears when to come again.
    async fn outcome(mut self, last_moment: Instant) -> Landed<P> {
        loop {
            let turn = match self.watching.stage() {
                Stage::Queued(turn) => Some(turn),
                _ => None,
            };
            if let Some(turn) = turn.filter(|turn| turn.at > last_moment) {
                return Err(no_turn::<P>(turn));
            }
            let too_late = async {
                match turn {
                    Some(turn) => {
                        sleep_until(last_moment).await;
                        turn
                    }
                    // It isn't in a queue, so it is the deadline that ends it.
                    None => std::future::pending().await,
                }
            };
            select! {
                biased;
                landed = landing::<P>(&mut self.landed) => return landed,
                () = self.watching.changed() => {}
                turn = too_late => return Err(no_turn::<P>(turn)),
            }
        }
    }

    /// What comes of the read, if that comes until `until`. Who has something to show doesn't wait for
    /// a turn.
    async fn outcome_until(mut self, until: Instant) -> Option<Landed<P>> {
        let waits = until.saturating_duration_since(Instant::now());
        loop {
            let until = match self.watching.stage() {
                Stage::Queued(turn) if !turn.is_due() => return None,
                // Others have waited for it already.
                Stage::Sent(at) => until.min(at + waits),
                _ => until,
            };
            select! {
                biased;
                landed = landing::<P>(&mut self.landed) => return Some(landed),
                () = self.watching.changed() => {}
                () = sleep_until(until) => return None,
            }
        }
    }
}

async fn landing<P: Parameters>(landed: &mut watch::Receiver<Option<Landed<P>>>) -> Landed<P> {
    match landed.wait_for(Option::is_some).await {
        Ok(landed) => landed.clone().unwrap_or(Err(Error::Internal)),
        // It ended without one, which only a defect does while somebody waits.
        Err(_) => Err(Error::Internal),
    }
}

fn no_turn<P: Parameters>(turn: Turn) -> Error {
    if turn.cause == Cause::ReadsInFlight {
        return Error::Overloaded;
    }
    let again_at = turn.come_again_at;
    let retry_after = again_at.saturating_duration_since(Instant::now());
    Error::BudgetExhausted {
        route: P::ROUTE,
        // The guess may have been wrong, and stock clients take "at once" at its word, all together.
        retry_after: retry_after.max(SOON.mul_f64(1.0 + 2.0 * fastrand::f64())),
    }
}

impl<S, P: Parameters> Drop for Listed<'_, S, P> {
    fn drop(&mut self) {
        let mut flights = self.shared.lock();
        let listed = flights.get(self.key);
        if listed.is_some_and(|flight| flight.claim.is(self.claim)) {
            flights.remove(self.key);
        }
    }
}

#[cfg(test)]
mod tests;
