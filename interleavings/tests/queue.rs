//! The queue: nobody waits for a turn that nobody hands out, whoever comes and goes.

mod scenario;

use std::time::Duration;

use shuttle::future::{block_on, yield_now};
use shuttle_tokio::{select, spawn, sync::oneshot, task::JoinHandle};
use tokio::time::Instant;
use videoconf_facade_interleavings::{
    claim::Claim,
    exchange::{Head, RateLimit},
    lookup::allowance::{Allowance, Limit, Options},
};

use scenario::{fingerprint, orders};

/// A third of it may go out at once; the rest would come after hours, and time stands still here.
fn allowance(requests: u32, max_reads_in_flight: usize) -> Allowance {
    let options = Options {
        limit: Some(Limit {
            requests,
            span: Duration::from_hours(1),
        }),
        max_reads_in_flight,
    };
    Allowance::new(options, None)
}

fn head(rate_limit: Option<RateLimit>) -> Head {
    Head {
        status: 200,
        rate_limit,
        retry_after: None,
    }
}

/// Of somebody whom Rocket.Chat limits.
fn limited() -> Head {
    head(Some(RateLimit::default()))
}

/// Of somebody whom it doesn't.
fn unlimited() -> Head {
    head(None)
}

/// A read: it waits for its turn, is sent, and answered.
async fn read(allowance: Allowance, user: &'static str, answer: Head) {
    let claim = Claim::new();
    let deadline = Instant::now() + Duration::from_hours(2);
    let _waiting = claim
        .wait(deadline, None)
        .expect("a claim that has just begun");
    let mut ticket = allowance
        .turn(fingerprint(user), None, &claim)
        .await
        .expect("room");
    assert!(claim.send(Instant::now()));
    ticket.begin();
    yield_now().await;
    ticket.over(true, Some(&answer));
}

fn begin(allowance: &Allowance, user: &'static str, answer: Head) -> JoinHandle<()> {
    spawn(read(allowance.clone(), user, answer))
}

#[test]
fn every_read_has_its_turn() {
    orders(|| {
        let allowance = allowance(9, 1);
        block_on(async {
            let reads = ["a", "b"].map(|user| begin(&allowance, user, limited()));
            for read in reads {
                read.await.unwrap();
            }
            // The queue was empty in between, and nobody drove it.
            read(allowance, "a", limited()).await;
        });
    });
}

/// With the first answer it turns out that this user isn't limited: those behind it leave the queue for the lane.
#[test]
fn reads_that_need_no_turn_any_more_go_on() {
    orders(|| {
        let allowance = allowance(3, 1);
        block_on(async {
            let reads = [(); 3].map(|()| begin(&allowance, "a", unlimited()));
            for read in reads {
                read.await.unwrap();
            }
        });
    });
}

/// There is one turn. Whoever leaves, at any moment, leaves it to who stays.
#[test]
fn a_turn_that_nobody_takes_goes_to_the_next() {
    orders(|| {
        let allowance = allowance(3, 1);
        block_on(async {
            let (leave, left) = oneshot::channel::<()>();
            let leaving = spawn({
                let allowance = allowance.clone();
                async move {
                    let claim = Claim::new();
                    let deadline = Instant::now() + Duration::from_hours(2);
                    let _waiting = claim
                        .wait(deadline, None)
                        .expect("a claim that has just begun");
                    select! {
                        biased;
                        _ = left => {}
                        // It is given back unused.
                        ticket = allowance.turn(fingerprint("a"), None, &claim) => drop(ticket),
                    }
                }
            });
            let staying = begin(&allowance, "b", limited());
            yield_now().await;
            let _ = leave.send(());
            leaving.await.unwrap();
            staying.await.unwrap();
        });
    });
}
