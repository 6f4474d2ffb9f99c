//! What requests cost, as they end: `tests/it/load.rs` has what callers see of it.

use super::*;
use crate::{
    claim::Stage,
    exchange::RateLimit,
    lookup::allowance::{Allowance, Options},
};

const LIMIT: Limit = Limit {
    requests: 15,
    span: Duration::from_secs(3),
};

fn allowance() -> Allowance {
    let options = Options {
        limit: Some(LIMIT),
        max_reads_in_flight: 4,
    };
    Allowance::new(options, None)
}

fn credential() -> Fingerprint {
    Fingerprint::from_bytes([7; 16])
}

/// The head of an answer, with or without what Rocket.Chat says of its limit.
fn head(status: u16, is_limited: bool) -> Head {
    Head {
        status,
        rate_limit: is_limited.then(RateLimit::default),
        retry_after: None,
    }
}

/// A ticket for a read that somebody waits for.
async fn ticket(allowance: &Allowance) -> Ticket {
    let claim = Claim::new();
    let _waiting = claim.wait(Instant::now() + LIMIT.span, None);
    let ticket = allowance.turn(credential(), None, &claim).await;
    ticket.expect("room")
}

fn used(allowance: &Allowance) -> Option<usize> {
    let now = Instant::now();
    allowance.lock().standing(now).used
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_counts_and_what_was_not_does_not() {
    let allowance = allowance();
    drop(ticket(&allowance).await);
    assert_eq!(used(&allowance), Some(0));
    let mut given_up = ticket(&allowance).await;
    given_up.begin();
    drop(given_up);
    assert_eq!(used(&allowance), Some(1));
    let others = allowance.lock().standing(Instant::now()).others;
    assert_eq!(others, Some(0), "all of it is ours");
    for (was_sent, head, expected) in [
        (false, None, 1),
        (true, None, 2),
        (true, Some(head(401, false)), 2),
        (true, Some(head(200, true)), 3),
        (true, Some(head(429, true)), 4),
    ] {
        let ticket = ticket(&allowance).await;
        ticket.over(was_sent, head.as_ref());
        assert_eq!(used(&allowance), Some(expected), "{head:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_not_limited_costs_nothing_until_that_changes() {
    let allowance = allowance();
    ticket(&allowance).await.over(true, Some(&head(200, false)));
    assert_eq!(used(&allowance), Some(0));
    let [first, second] = [ticket(&allowance).await, ticket(&allowance).await];
    first.over(true, Some(&head(200, false)));
    assert_eq!(used(&allowance), Some(0));
    second.over(true, Some(&head(200, true)));
    assert_eq!(used(&allowance), Some(1));
    ticket(&allowance).await.over(true, Some(&head(200, true)));
    assert_eq!(used(&allowance), Some(2));
}

/// Strangers' reads are told the turn of their first one, until it is known what becomes of that.
#[tokio::test(start_paused = true)]
async fn who_is_accepted_is_told_turns_of_their_own() {
    let allowance = allowance();
    let first = ticket(&allowance).await;
    let until = Instant::now() + LIMIT.span;
    let claims: Vec<_> = (0..60).map(|_| Claim::new()).collect();
    let _waiting: Vec<_> = claims.iter().map(|it| it.wait(until, None)).collect();
    let turns = claims.iter().map(|claim| {
        let turn = allowance.turn(credential(), None, claim);
        Box::pin(turn)
    });
    let mut turns: Vec<_> = turns.collect();
    let waker = &mut std::task::Context::from_waker(std::task::Waker::noop());
    for turn in &mut turns {
        assert!(turn.as_mut().poll(waker).is_pending());
    }
    let told = |claim: &Claim| match claim.stage() {
        Stage::Queued(turn) => turn,
        stage => panic!("{stage:?}"),
    };
    let last = claims.last().expect("one");
    let before = told(last).at;
    assert_eq!(before, told(&claims[0]).at);
    first.over(true, Some(&head(200, true)));
    let turn = told(last);
    assert!(turn.at > before, "{:?}", turn.at - before);
    assert!(turn.come_again_at >= turn.at, "{turn:?}");
    // Those before it whose callers won't wait for so long leave it their turns.
    assert!(turn.at <= until + LIMIT.span / 4, "{:?}", turn.at - until);
}
