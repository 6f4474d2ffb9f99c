//! Flights: callers who join, leave and read anew at the same time.

mod scenario;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use shuttle::future::{block_on, yield_now};
use shuttle_tokio::{select, spawn, sync::oneshot};
use tokio::time::Instant;
use videoconf_facade_interleavings::{
    error::Error,
    exchange::{Exchange, Moment},
    lookup::coalesce::Coalesce,
    metrics::{Flights, Metrics},
    query::{Attempt, Caller, Query},
    source::{Answer, Lookup, Upstream},
};

use scenario::{Number, Which, caller, orders, query};

/// Answers with the number of the read, a little later.
#[derive(Clone, Default)]
struct Counting {
    reads: Arc<AtomicUsize>,
    answered: Arc<AtomicUsize>,
}

impl Upstream<Number> for Counting {
    async fn ask(&self, _: &Query<Number>, attempt: &Attempt) -> Exchange<Which> {
        // As when its turn comes.
        yield_now().await;
        if !attempt.claim.send(Instant::now()) {
            return std::future::pending().await;
        }
        yield_now().await;
        let sent = Moment::now();
        let read = self.reads.fetch_add(1, Ordering::Relaxed);
        yield_now().await;
        self.answered.fetch_add(1, Ordering::Relaxed);
        Exchange {
            sent: Some(sent),
            head: None,
            result: Ok(Which(read)),
        }
    }
}

type Source = Coalesce<Counting, Number>;

fn source() -> (Counting, Arc<Source>) {
    let upstream = Counting::default();
    let source = Coalesce::new(upstream.clone(), Flights::new(&Metrics::off()));
    (upstream, Arc::new(source))
}

async fn ask(source: Arc<Source>, caller: Caller) -> Result<Answer<Which>, Error> {
    source.find(&query("a"), &caller).await
}

/// Asks, and leaves when that is asked for.
async fn ask_until(
    left: oneshot::Receiver<()>,
    source: Arc<Source>,
) -> Option<Result<Answer<Which>, Error>> {
    select! {
        biased;
        _ = left => None,
        answer = ask(source, caller(None)) => Some(answer),
    }
}

#[test]
fn two_callers_have_their_answer() {
    orders(|| {
        let (upstream, source) = source();
        block_on(async {
            let other = spawn(ask(Arc::clone(&source), caller(None)));
            ask(source, caller(None)).await.expect("an answer");
            other.await.unwrap().expect("an answer");
        });
        let reads = upstream.reads.load(Ordering::Relaxed);
        assert!((1..=2).contains(&reads), "{reads} reads");
    });
}

/// Whoever wants what is newer than the call isn't given what was sent before it.
#[test]
fn nobody_is_given_an_older_answer_than_they_accept() {
    orders(|| {
        let (_, source) = source();
        block_on(async {
            let others: Vec<_> = (0..2)
                .map(|_| spawn(ask(Arc::clone(&source), caller(None))))
                .collect();
            let caller = caller(Some(Duration::ZERO));
            let arrived = caller.arrived;
            let answer = ask(source, caller).await.expect("an answer");
            assert!(answer.read_at.at >= arrived, "read before it was asked for");
            for other in others {
                other.await.unwrap().expect("an answer");
            }
        });
    });
}

/// The one who began the read leaves while another joins it.
#[test]
fn who_leaves_takes_nothing_from_who_stays() {
    orders(|| {
        let (upstream, source) = source();
        block_on(async {
            let (leave, left) = oneshot::channel::<()>();
            let first = spawn(ask_until(left, Arc::clone(&source)));
            let second = spawn(ask(Arc::clone(&source), caller(None)));
            yield_now().await;
            let _ = leave.send(());
            if let Some(answer) = first.await.unwrap() {
                answer.expect("an answer");
            }
            second.await.unwrap().expect("an answer");
        });
        assert!(upstream.reads.load(Ordering::Relaxed) <= 2);
    });
}

/// All leave: a read that was sent is finished, and stands in nobody's way if it wasn't.
#[test]
fn what_nobody_wants_is_finished_if_it_was_sent() {
    orders(|| {
        let (upstream, source) = source();
        block_on(async {
            let (leave, left) = oneshot::channel::<()>();
            let only = spawn(ask_until(left, Arc::clone(&source)));
            yield_now().await;
            let _ = leave.send(());
            if let Some(answer) = only.await.unwrap() {
                answer.expect("an answer");
            }
            // A newcomer has one, whatever became of the other.
            ask(source, caller(None)).await.expect("an answer");
            let reads = upstream.reads.load(Ordering::Relaxed);
            assert!((1..=2).contains(&reads), "{reads} reads");
            // For ever, if it was cut off.
            while upstream.answered.load(Ordering::Relaxed) < reads {
                yield_now().await;
            }
        });
    });
}
