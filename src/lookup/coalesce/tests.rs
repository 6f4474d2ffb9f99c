//! The rules of waiting together, moment by moment: `tests/it/freshness.rs` and `load.rs` have what callers see
//! of them.

#![allow(
    clippy::unchecked_time_subtraction,
    reason = "one that is too large fails the test"
)]

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::{task::yield_now, time::sleep};

use super::*;
use crate::{
    claim::{Rank, Refresh},
    exchange::Moment,
    lookup::scripted::{Scripted, caller, found, query},
    metrics::Metrics,
    proto::Conference,
    route::Info,
};

const INSTANT: Duration = Duration::from_millis(1);
const TIME: Duration = Duration::from_secs(2);

fn before<F, Answering>(upstream: F) -> Coalesce<Scripted<F>, Info>
where
    F: Fn(Attempt) -> Answering + Send + Sync + 'static,
    Answering: Future<Output = Exchange<Conference>> + Send,
{
    Coalesce::new(Scripted(upstream), Flights::new(&Metrics::off()))
}

/// A turn that comes after `wait`, for whom that is too late: come again after `again`.
fn turn(wait: Duration, again: Duration) -> Turn {
    Turn {
        at: Instant::now() + wait,
        come_again_at: Instant::now() + again,
        cause: Cause::Limit,
    }
}

async fn never() -> Exchange<Conference> {
    std::future::pending().await
}

/// Asks a Rocket.Chat whose turn is `turn`, but doesn't come: after how long what is heard.
async fn told(turn: Turn, time: Duration) -> (Duration, Error) {
    let began = Instant::now();
    let reads = before(move |attempt| {
        attempt.claim.queued(turn);
        never()
    });
    let heard = reads.find(&query(), &caller(time)).await;
    (began.elapsed(), heard.expect_err("no turn"))
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_is_too_late_is_told_at_once() {
    let last_moment = TIME - LEAD;
    let again = Duration::from_secs(7);
    let refused = Error::BudgetExhausted {
        route: Info::ROUTE,
        retry_after: again,
    };
    let (took, error) = told(turn(last_moment + INSTANT, again), TIME).await;
    assert_eq!((took, &error), (Duration::ZERO, &refused));

    // One that was to come and doesn't is told while there is time.
    let (took, error) = told(turn(last_moment, last_moment + again), TIME).await;
    assert_eq!((took, &error), (last_moment, &refused));
    let hurry = LEAD * 2;
    let (took, _) = told(turn(INSTANT, again), hurry).await;
    assert_eq!(took, hurry - hurry / 10);

    let ours = Turn {
        cause: Cause::ReadsInFlight,
        ..turn(TIME, again)
    };
    assert_eq!(told(ours, TIME).await.1, Error::Overloaded);
}

#[tokio::test(start_paused = true)]
async fn nobody_comes_again_at_once_or_together() {
    let mut waits = Vec::new();
    for _ in 0..200 {
        let (_, error) = told(turn(TIME, Duration::ZERO), TIME).await;
        match error {
            Error::BudgetExhausted { retry_after, .. } => waits.push(retry_after),
            error => panic!("{error:?}"),
        }
    }
    let (first, last) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
    assert!((SOON..SOON * 5 / 4).contains(first), "{first:?}");
    assert!((SOON * 11 / 4..=SOON * 3).contains(last), "{last:?}");
}

/// How many reads there are if a caller with `max_age` comes `later` than the first read was sent, whose
/// caller came before that.
async fn reads(later: Duration, max_age: Option<Duration>) -> usize {
    static READS: AtomicUsize = AtomicUsize::new(0);
    READS.store(0, Ordering::Relaxed);
    let reads = before(|attempt| async move {
        READS.fetch_add(1, Ordering::Relaxed);
        sleep(INSTANT).await;
        assert!(attempt.claim.send(Instant::now()));
        sleep(TIME).await;
        found()
    });
    let query = query();
    let first = caller(TIME * 2);
    let second = async {
        sleep(INSTANT + later).await;
        // If that is now, it is sent first.
        yield_now().await;
        let caller = Caller {
            max_age,
            ..caller(TIME * 2)
        };
        reads.find(&query, &caller).await
    };
    let (first, second) = tokio::join!(reads.find(&query, &first), second);
    first.expect("an answer");
    second.expect("an answer");
    READS.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn a_read_is_joined_while_that_is_no_worse_than_a_new_one() {
    for (later, max_age, expected) in [
        (Duration::ZERO, None, 1),
        (PATIENCE - INSTANT, None, 1),
        (PATIENCE, None, 2),
        (INSTANT * 2, Some(INSTANT * 2), 1),
        (INSTANT * 3, Some(INSTANT * 2), 2),
        // Sent after the arrival it must be.
        (INSTANT, Some(Duration::ZERO), 2),
        (Duration::ZERO, Some(Duration::ZERO), 2),
        (PATIENCE, Some(TIME), 2),
    ] {
        let reads = reads(later, max_age).await;
        assert_eq!(reads, expected, "{later:?} {max_age:?}");
    }
}

/// A call that arrived before a read was sent may join it then, whatever age it asks for.
#[tokio::test(start_paused = true)]
async fn a_read_sent_after_the_arrival_has_no_age() {
    let reads = before(|attempt| async move {
        assert!(attempt.claim.send(Instant::now()));
        sleep(INSTANT * 5).await;
        found()
    });
    let query = query();
    let early = Caller {
        max_age: Some(Duration::ZERO),
        ..caller(TIME)
    };
    sleep(INSTANT).await;
    let first = caller(TIME);
    let joins = async {
        sleep(INSTANT).await;
        reads.find(&query, &early).await
    };
    let (first, second) = tokio::join!(reads.find(&query, &first), joins);
    let (first, second) = (first.expect("an answer"), second.expect("an answer"));
    assert_eq!(first.read_at, second.read_at);
}

/// Asks for a refresh of what is known, which is waited for until `until`: whether it came, and when.
async fn refreshed<F, Answering>(
    reads: &Coalesce<Scripted<F>, Info>,
    query: &Query<Info>,
    wait: Duration,
) -> (bool, Duration)
where
    F: Fn(Attempt) -> Answering + Send + Sync + 'static,
    Answering: Future<Output = Exchange<Conference>> + Send,
{
    let began = Instant::now();
    let refresh = Refresh {
        read_at: began,
        is_final: false,
        until: began + TIME,
    };
    let caller = caller(TIME);
    let landed = reads.refresh(query, &caller, refresh, began + wait).await;
    (landed.is_some(), began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn who_has_something_to_show_waits_for_no_turn() {
    let wait = Duration::from_millis(250);
    let query = query();
    let queued = before(|attempt| {
        attempt.claim.queued(turn(INSTANT, INSTANT));
        never()
    });
    assert_eq!(
        refreshed(&queued, &query, wait).await,
        (false, Duration::ZERO)
    );
    // But for one that comes just now.
    let due = before(|attempt| async move {
        attempt.claim.queued(turn(Duration::ZERO, INSTANT));
        sleep(INSTANT).await;
        assert!(attempt.claim.send(Instant::now()));
        sleep(INSTANT).await;
        found()
    });
    assert_eq!(refreshed(&due, &query, wait).await, (true, INSTANT * 2));
}

/// The read has had its time when it has been out for as long as each would wait.
#[tokio::test(start_paused = true)]
async fn those_who_come_later_wait_less_for_a_refresh() {
    let wait = Duration::from_millis(250);
    let query = query();
    let slow = before(|attempt| async move {
        sleep(INSTANT).await;
        assert!(attempt.claim.send(Instant::now()));
        never().await
    });
    let later = async {
        sleep(wait * 2 / 5).await;
        refreshed(&slow, &query, wait).await
    };
    let latest = async {
        sleep(wait * 2).await;
        refreshed(&slow, &query, wait).await
    };
    let (first, later, latest) = tokio::join!(refreshed(&slow, &query, wait), later, latest);
    assert_eq!(first, (false, wait));
    assert_eq!(later, (false, wait * 3 / 5 + INSTANT));
    assert_eq!(latest, (false, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn what_was_not_sent_is_no_answer() {
    let reads = before(|_| async {
        Exchange {
            sent: None,
            ..found()
        }
    });
    let heard = reads.find(&query(), &caller(TIME)).await;
    assert_eq!(heard.err(), Some(Error::Internal));
}

/// All who wait for it hear of it, and those who come later read anew.
#[tokio::test(start_paused = true)]
async fn a_read_that_panics_harms_no_other() {
    let begun = AtomicUsize::new(0);
    let reads = before(move |_| {
        let is_first = begun.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            yield_now().await;
            assert!(!is_first, "a defect");
            found()
        }
    });
    let query = query();
    let (first, second) = (caller(TIME), caller(TIME));
    let heard = tokio::join!(reads.find(&query, &first), reads.find(&query, &second));
    assert_eq!(heard.0.err(), Some(Error::Internal));
    assert_eq!(heard.1.err(), Some(Error::Internal));
    assert_eq!(reads.find(&query, &caller(TIME)).await.err(), None);
}

/// A read that ends takes itself off the list, and not the one that took its place there.
#[tokio::test(start_paused = true)]
async fn the_newest_read_is_the_one_that_is_joined() {
    let reads = before(|attempt| async move {
        assert!(attempt.claim.send(Instant::now()));
        sleep(PATIENCE + INSTANT * 10).await;
        found()
    });
    let query = query();
    let ask_at = |at| {
        let (reads, query) = (&reads, &query);
        async move {
            sleep(at).await;
            let answer = reads.find(query, &caller(TIME * 2)).await;
            answer.expect("an answer").read_at
        }
    };
    // The first read ends between the second caller and the third.
    let (first, second, third): (Moment, Moment, Moment) = tokio::join!(
        ask_at(Duration::ZERO),
        ask_at(PATIENCE + INSTANT),
        ask_at(PATIENCE + INSTANT * 20)
    );
    assert!(first.at < second.at);
    assert_eq!(second, third);
    assert!(reads.0.lock().is_empty());
}

/// Who waits is asked for before who has something to show.
#[tokio::test(start_paused = true)]
async fn who_joins_a_refresh_makes_it_urgent() {
    let reads = before(|attempt| async move {
        let rank = || attempt.claim.rank(Instant::now());
        assert!(matches!(rank(), Some(Rank::Refresh(_))), "{:?}", rank());
        sleep(INSTANT * 2).await;
        assert!(matches!(rank(), Some(Rank::Callers(_))), "{:?}", rank());
        found()
    });
    let query = query();
    let joins = async {
        sleep(INSTANT).await;
        reads.find(&query, &caller(TIME)).await
    };
    let (refreshed, joined) = tokio::join!(refreshed(&reads, &query, TIME), joins);
    assert!(refreshed.0);
    joined.expect("an answer");
}
