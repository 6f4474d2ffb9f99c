//! What follows from what replicas say, and what they are told: `tests/it/replicas.rs` has what comes of it.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    super::{Allowance, Common, Options},
    *,
};
use crate::replicas::{Ledger, TagKey, Takes, Unreachable};

const ME: Replica = Replica(5);
const KEY: KeyId = KeyId(1);
const LONGEST: Duration = Duration::from_secs(11);

fn others() -> Others {
    let mut others = Others::new(ME, KEY, LONGEST);
    others.is_reachable = true;
    others
}

fn user(number: u8) -> Fingerprint {
    Fingerprint::from_bytes([number; 16])
}

fn waits(reads: u32, next: Option<u8>) -> Waits {
    Waits {
        reads,
        next: next.map(user),
    }
}

fn reading(by: u64, read: u64, tag: u8, at: Instant) -> Reading {
    Reading {
        by: Replica(by),
        begun: Begun {
            read: ReadId(read),
            tag: Tag([tag; 16]),
            credential: user(1),
            takes: Takes::One,
        },
        unit: None,
        at,
    }
}

const MILLI: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn who_is_silent_for_too_long_is_dead() {
    let (mut others, now) = (others(), Instant::now());
    assert_eq!((others.alive(), others.all()), (1, vec![]));
    others.hear(Replica(1), now);
    others.hear(Replica(2), now + MILLI);
    // Entries of those who were away may come late.
    others.hear(Replica(2), now);
    assert_eq!(others.alive(), 3);
    for (after, dead) in [
        (Duration::ZERO, vec![]),
        (DEAD, vec![]),
        (DEAD + MILLI, vec![Replica(1)]),
        (DEAD + MILLI * 2, vec![Replica(1), Replica(2)]),
    ] {
        let mut found = others.dead(now + after);
        found.sort_unstable();
        assert_eq!(found, dead, "{after:?}");
    }
    others.forget(Replica(1));
    assert_eq!((others.alive(), others.all()), (2, vec![Replica(2)]));
}

#[tokio::test(start_paused = true)]
async fn replicas_with_another_secret_are_counted() {
    let (mut others, now) = (others(), Instant::now());
    for (replica, key) in [(1, None), (2, Some(KEY)), (3, Some(KeyId(2)))] {
        others.hear(Replica(replica), now);
        if let Some(key) = key {
            others.note_waits(Replica(replica), Waits::default(), key, now);
        }
    }
    assert_eq!(others.strangers(), 1);
    others.note_waits(Replica(3), Waits::default(), KEY, now);
    assert_eq!(others.strangers(), 0);
}

/// Of theirs, as many come before the nth of ours as there are, but no more than n of each.
#[tokio::test(start_paused = true)]
async fn replicas_take_turns() {
    let (mut others, now) = (others(), Instant::now());
    assert_eq!((others.waiting(), others.ahead_of(3)), (0, 0));
    for (replica, reads) in [(1, 2), (2, 0), (3, 7)] {
        others.hear(Replica(replica), now);
        others.note_waits(Replica(replica), waits(reads, Some(1)), KEY, now);
    }
    // Nobody knows of this one.
    others.note_waits(Replica(9), waits(100, Some(1)), KEY, now);
    assert_eq!(others.waiting(), 9);
    for (n, ahead) in [(0, 0), (1, 2), (2, 4), (3, 5), (10, 9)] {
        assert_eq!(others.ahead_of(n), ahead, "{n}");
    }
}

/// Whose credential had its last turn longest ago comes first, then who has waited for longest, then whose name is
/// the smaller one; each of them has a moment.
#[tokio::test(start_paused = true)]
async fn a_turn_is_left_to_those_who_come_before_us() {
    let now = Instant::now();
    // When users had their last turns.
    let last_turn = |user: Fingerprint| user.as_bytes()[0];
    // Ours is of user 5, and begins to wait at 10 ms.
    for (replicas, before_us) in [
        (vec![], 0),
        (vec![(1, Some(4), 20)], 1),
        (vec![(1, Some(6), 0)], 0),
        (vec![(1, Some(5), 9)], 1),
        (vec![(1, Some(5), 11)], 0),
        (vec![(4, Some(5), 10)], 1),
        (vec![(6, Some(5), 10)], 0),
        (vec![(1, None, 0)], 0),
        (vec![(1, Some(1), 20), (2, Some(2), 20), (3, Some(9), 0)], 2),
    ] {
        let mut others = others();
        for (replica, next, since) in &replicas {
            others.hear(Replica(*replica), now);
            let waits = waits(1, *next);
            others.note_waits(Replica(*replica), waits, KEY, now + MILLI * *since);
        }
        let begins = now + MILLI * 10;
        let due = others.due(user(5), last_turn, begins);
        assert_eq!(due, begins + GRACE * before_us, "{replicas:?}");
        // It has been there since then, so it is no later when it is asked for again.
        let again = others.due(user(5), last_turn, begins + MILLI * 5);
        assert_eq!(again, due, "{replicas:?}");
    }
}

/// Who had a turn begins to wait anew, and so does the moment for others.
#[tokio::test(start_paused = true)]
async fn who_had_a_turn_is_last() {
    let now = Instant::now();
    let at = |millis| now + MILLI * millis;
    let all_alike = |_| 0;
    let mut others = others();
    others.hear(Replica(1), now);
    others.note_waits(Replica(1), waits(2, Some(1)), KEY, at(1));
    assert_eq!(others.due(user(1), all_alike, at(2)), at(2) + GRACE);
    // It takes its turn, and has waited since then.
    let unit = crate::lookup::allowance::window::Window::new(crate::lookup::Limit {
        requests: 15,
        span: Duration::from_secs(3),
    })
    .take(
        at(3),
        crate::lookup::allowance::window::Sender::Replica,
        true,
    );
    others.begun(Reading {
        unit: Some(unit),
        ..reading(1, 1, 1, at(3))
    });
    assert_eq!(others.due(user(1), all_alike, at(4)), at(4));
    others.had_turn(at(5));
    assert_eq!(others.due(user(1), all_alike, at(6)), at(6) + GRACE);
    // What takes nothing of the limit changes nothing.
    others.begun(reading(1, 2, 1, at(7)));
    assert_eq!(others.due(user(1), all_alike, at(8)), at(6) + GRACE);
    // Another call of theirs waits no shorter; one after none does.
    others.note_waits(Replica(1), waits(1, Some(2)), KEY, at(9));
    assert_eq!(others.due(user(1), all_alike, at(9)), at(6) + GRACE);
    others.note_waits(Replica(1), waits(0, None), KEY, at(9));
    others.note_waits(Replica(1), waits(1, Some(1)), KEY, at(10));
    assert_eq!(others.due(user(1), all_alike, at(10)), at(6));
}

#[tokio::test(start_paused = true)]
async fn who_watches_a_call_sees_whether_it_is_read() {
    let now = Instant::now();
    let later = now + MILLI;
    let mut others = others();
    others.begun(reading(1, 1, 7, now));
    let (read, other) = (others.watch(Tag([7; 16])), others.watch(Tag([8; 16])));
    assert_eq!((*read.borrow(), *other.borrow()), (Some(now), None));
    others.begun(reading(2, 2, 8, now));
    others.begun(reading(2, 3, 8, later));
    assert_eq!(*other.borrow(), Some(later), "the newest one");
    assert_eq!(others.read_since(Tag([8; 16])), Some(later));
    assert_eq!(others.over(ReadId(3)).map(|it| it.at), Some(later));
    assert_eq!(*other.borrow(), Some(now));
    assert!(others.over(ReadId(3)).is_none());
    let given_up = others.forget(Replica(2));
    assert_eq!(given_up.len(), 1);
    assert_eq!((*read.borrow(), *other.borrow()), (Some(now), None));
    drop(read);
    others.unwatch(Tag([7; 16]));
    others.unwatch(Tag([8; 16]));
    let left: Vec<_> = others.watched.keys().collect();
    assert_eq!(left, [&Tag([8; 16])], "this one is still watched");
}

#[tokio::test(start_paused = true)]
async fn of_too_many_those_are_heard_that_are_known() {
    let (mut others, now) = (others(), Instant::now());
    let last = u64::try_from(MAX_REPLICAS).unwrap();
    for number in 1..=last + 1 {
        others.hear(Replica(number), now);
    }
    let later = now + DEAD;
    others.hear(Replica(last), later);
    let dead = others.dead(later + MILLI);
    assert_eq!(dead.len(), MAX_REPLICAS - 1);
    assert!(!dead.contains(&Replica(last)), "it was heard");
}

#[derive(Debug)]
struct Nowhere;

#[async_trait]
impl Ledger for Nowhere {
    async fn note(&self, _: &[Event]) -> Result<(), Unreachable> {
        Err(Unreachable)
    }

    async fn begin(&self, _: &Begun, _: Position) -> Result<Option<Position>, Unreachable> {
        Err(Unreachable)
    }
}

#[test]
fn who_stops_watching_leaves_nothing_behind() {
    let options = Options {
        limit: None,
        max_reads_in_flight: 1,
    };
    let common = Common {
        me: ME,
        ledger: Arc::new(Nowhere),
        tags: TagKey::new(&[0; 32]),
        key: KEY,
        longest_read: LONGEST,
    };
    let allowance = Allowance::new(options, Some(common));
    let watched = || {
        let state = allowance.lock();
        state.others.as_ref().map(|others| others.watched.len())
    };
    let watching = [7, 7, 8].map(|tag| allowance.watch_tag(Tag([tag; 16])));
    assert_eq!(watched(), Some(2));
    drop(watching);
    assert_eq!(watched(), Some(0));
}

#[tokio::test(start_paused = true)]
async fn others_are_told_what_changes_and_now_and_then_the_rest() {
    let (mut others, now) = (others(), Instant::now());
    let mut after = |millis: u64, waits: Waits| {
        let told = others.news(waits, now + Duration::from_millis(millis));
        told.len()
    };
    for (millis, waits, told) in [
        (0, waits(0, None), 0),
        (1, waits(1, Some(1)), 1),
        (2, waits(1, Some(1)), 0),
        // How many there are isn't worth it.
        (3, waits(2, Some(1)), 0),
        (4, waits(2, Some(2)), 1),
        (203, waits(3, Some(2)), 0),
        (204, waits(3, Some(2)), 1),
        (205, waits(0, None), 1),
        (405, waits(0, None), 1),
    ] {
        assert_eq!(after(millis, waits), told, "{millis}");
    }
    others.tell(Event::Left);
    let events = others.news(waits(1, Some(1)), now);
    assert_eq!(events, [Event::Left, Event::Alive(waits(1, Some(1)), KEY)]);
    others.is_reachable = false;
    others.tell(Event::Left);
    assert_eq!(others.news(waits(0, None), now), []);
}
