//! What entries of the ledger mean for the window, and for those who wait.

use std::time::Duration;

use super::*;
use crate::{
    claim::{Claim, Stage, Watching},
    credentials::Fingerprint,
    exchange::{Head, RateLimit},
    lookup::allowance::{
        Limit,
        others::Others,
        state::{Next, Step},
    },
    replicas::{Begun, KeyId, Over, ReadId, Tag},
    sync::oneshot,
};

const LIMIT: Limit = Limit {
    requests: 15,
    span: Duration::from_secs(3),
};

const ME: Replica = Replica(1);
const OTHER: Replica = Replica(2);
const KEY: KeyId = KeyId(1);
const LONGEST: Duration = Duration::from_secs(11);
const SECOND: Duration = Duration::from_secs(1);

/// An allowance that is shared with others, in whose ledger this many entries stand.
struct Shared {
    state: State,
    entries: u64,
}

impl Shared {
    fn new() -> Self {
        let mut state = State::new(Some(LIMIT), Some(Others::new(ME, KEY, LONGEST)));
        state.join(Instant::now());
        Self { state, entries: 0 }
    }

    /// An entry that is written and read now: how many reads are let go.
    fn learn(&mut self, by: Replica, event: Event) -> usize {
        self.entries += 1;
        let now = Instant::now();
        let entry = Entry {
            position: Position(0, self.entries),
            by,
            at: now,
            event,
        };
        self.state.learn(&entry, now).len()
    }

    fn used(&self) -> Option<usize> {
        self.state.standing(Instant::now()).used
    }

    /// The events that others are told, but for signs of life.
    fn told(&mut self) -> Vec<Event> {
        let mut told = self.state.news(Instant::now());
        told.retain(|event| !matches!(event, Event::Alive(..)));
        told
    }

    /// The next turn, once those who come before us have had the time for theirs.
    async fn next(&mut self) -> Option<Next> {
        match self.state.next(Instant::now()) {
            Err(Step::Wait(Some(until))) => {
                tokio::time::advance(until - Instant::now()).await;
                self.state.next(Instant::now()).ok()
            }
            next => next.ok(),
        }
    }

    /// A read waits: its claim, and what keeps it in the queue.
    fn wait(&mut self, user: u8) -> (Claim, (Option<Watching>, oneshot::Receiver<Grant>)) {
        let claim = Claim::new();
        let watching = claim.wait(Instant::now() + SECOND * 60, None);
        let (grant, granted) = oneshot::channel();
        let waiting = Waiting {
            credential: user_of(user),
            tag: None,
            claim: claim.clone(),
            grant,
            is_hopeless: false,
        };
        let place = self.state.queue.add(waiting).expect("room");
        self.state.tell(place, &claim);
        (claim, (watching, granted))
    }
}

fn user_of(number: u8) -> Fingerprint {
    Fingerprint::from_bytes([number; 16])
}

fn begun(read: u64, takes: Takes) -> Event {
    Event::Begun(Begun {
        read: ReadId(read),
        tag: Tag([7; 16]),
        credential: user_of(1),
        takes,
    })
}

fn over(read: u64, was_sent: bool, head: Option<Head>) -> Event {
    Event::Over(Over {
        read: ReadId(read),
        credential: user_of(1),
        was_sent,
        head,
    })
}

fn head(status: u16, is_limited: bool) -> Head {
    Head {
        status,
        rate_limit: is_limited.then(RateLimit::default),
        retry_after: None,
    }
}

#[tokio::test(start_paused = true)]
async fn what_replicas_send_counts_as_ours_does() {
    for (takes, was_sent, head, used) in [
        (Takes::One, true, None, 1),
        (Takes::One, true, Some(head(200, true)), 1),
        (Takes::OneForAStranger, true, Some(head(200, true)), 1),
        (Takes::One, false, None, 0),
        (Takes::One, true, Some(head(401, false)), 0),
        // It isn't limited any more, or never was.
        (Takes::One, true, Some(head(200, false)), 0),
        (Takes::Nothing, true, Some(head(200, false)), 0),
        (Takes::Nothing, true, None, 0),
        // It was counted, against what its reader thought.
        (Takes::Nothing, true, Some(head(200, true)), 1),
    ] {
        let case = format!("{takes:?} {was_sent} {head:?}");
        let mut shared = Shared::new();
        shared.learn(OTHER, begun(1, takes));
        let while_it_goes_on = usize::from(takes != Takes::Nothing);
        assert_eq!(shared.used(), Some(while_it_goes_on), "{case}");
        shared.learn(OTHER, over(1, was_sent, head));
        assert_eq!(shared.used(), Some(used), "{case}");
        // Once is enough.
        shared.learn(OTHER, over(1, false, None));
        assert_eq!(shared.used(), Some(used), "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn our_own_entries_are_seen_and_no_more() {
    let mut shared = Shared::new();
    shared.learn(ME, begun(1, Takes::One));
    assert_eq!(shared.used(), Some(0));
    assert_eq!(shared.state.seen(), Position(0, 1));
    shared.learn(OTHER, begun(2, Takes::One));
    assert_eq!(shared.state.seen(), Position(0, 2));
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_while_nobody_could_be_told_counts() {
    let mut shared = Shared::new();
    tokio::time::advance(SECOND * 10).await;
    shared.learn(OTHER, Event::Sent(SECOND));
    assert_eq!(shared.used(), Some(1));
    shared.learn(OTHER, Event::Sent(SECOND * 5));
    assert_eq!(shared.used(), Some(1), "that is long ago");
    tokio::time::advance(SECOND * 5 / 2).await;
    assert_eq!(shared.used(), Some(0));
}

/// It may have been sent, and nobody will tell any more.
#[tokio::test(start_paused = true)]
async fn reads_of_who_is_gone_count_and_are_over() {
    for dies in [false, true] {
        let mut shared = Shared::new();
        shared.learn(OTHER, begun(1, Takes::OneForAStranger));
        if dies {
            tokio::time::advance(SECOND).await;
            shared.state.bury(Instant::now());
        } else {
            shared.learn(OTHER, Event::Left);
        }
        assert_eq!(shared.used(), Some(1), "{dies}");
        assert_eq!(shared.state.strangers, 0, "{dies}");
        let standing = shared.state.standing_in_common();
        let alone = CommonStanding::Together {
            others: 0,
            strangers: 0,
        };
        assert_eq!(standing, Some(alone), "{dies}");
    }
}

/// However that comes about: nobody waits for it for ever.
#[tokio::test(start_paused = true)]
async fn what_should_be_over_for_long_is() {
    let mut shared = Shared::new();
    shared.learn(OTHER, begun(1, Takes::OneForAStranger));
    for (wait, goes_on) in [(LONGEST, true), (Duration::from_millis(1), false)] {
        tokio::time::advance(wait).await;
        shared.learn(OTHER, Event::Alive(Waits::default(), KEY));
        shared.state.bury(Instant::now());
        let others = shared.state.others.as_ref().expect("some");
        assert_eq!(others.read_since(Tag([7; 16])).is_some(), goes_on);
        assert_eq!(shared.state.strangers, usize::from(goes_on));
    }
}

/// A name is one read's.
#[tokio::test(start_paused = true)]
async fn a_read_begins_once() {
    let mut shared = Shared::new();
    for _ in 0..3 {
        shared.learn(OTHER, begun(1, Takes::OneForAStranger));
    }
    assert_eq!((shared.used(), shared.state.strangers), (Some(1), 1));
    shared.learn(OTHER, over(1, true, None));
    assert_eq!((shared.used(), shared.state.strangers), (Some(1), 0));
}

/// The store's clock may have been set back since it was asked.
#[tokio::test(start_paused = true)]
async fn what_is_read_as_it_is_written_is_not_old() {
    for (is_live, used, others) in [(true, 1, 1), (false, 0, 0)] {
        let mut shared = Shared::new();
        if !is_live {
            shared.state.part(Instant::now());
        }
        tokio::time::advance(SECOND * 60).await;
        let now = Instant::now();
        let entry = Entry {
            position: Position(0, 1),
            by: OTHER,
            at: now.checked_sub(SECOND * 10).expect("a moment"),
            event: begun(1, Takes::One),
        };
        shared.state.learn(&entry, now);
        shared.state.bury(now);
        assert_eq!(shared.used(), Some(used), "{is_live}");
        let alive = shared.state.others.as_ref().expect("some").alive();
        assert_eq!(alive, 1 + others, "{is_live}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_begins_anew_is_seen_from_there() {
    let mut shared = Shared::new();
    shared.entries = 100;
    shared.learn(OTHER, Event::Left);
    assert_eq!(shared.state.seen(), Position(0, 101));
    shared.entries = 0;
    shared.learn(OTHER, Event::Left);
    assert_eq!(shared.state.seen(), Position(0, 1));
}

/// It isn't known yet who else has come back.
#[tokio::test(start_paused = true)]
async fn who_is_cut_off_again_at_once_has_no_larger_part() {
    for (wait, limit) in [(SECOND / 2, 5), (SECOND * 2, 15)] {
        let mut shared = Shared::new();
        for other in [2, 3] {
            shared.learn(Replica(other), Event::Left);
            shared.learn(Replica(other), Event::Alive(Waits::default(), KEY));
        }
        shared.state.part(Instant::now());
        tokio::time::advance(SECOND * 10).await;
        shared.state.join(Instant::now());
        tokio::time::advance(wait).await;
        shared.state.part(Instant::now());
        let standing = shared.state.standing(Instant::now());
        assert_eq!(standing.limit, Some(limit), "{wait:?}");
    }
}

/// That a read is over is told when somebody can be told, again if that failed; and of requests that may
/// have been told in vain they hear once more.
#[tokio::test(start_paused = true)]
async fn what_could_not_be_told_is_told_later() {
    let mut shared = Shared::new();
    let (_, _waits) = shared.wait(1);
    let Ok(next) = shared.state.next(Instant::now()) else {
        panic!("no turn");
    };
    shared.state.begin(&next, true, Instant::now());
    shared.state.part(Instant::now());
    let Event::Begun(begun) = begun(1, Takes::One) else {
        panic!("another event");
    };
    shared.state.never_sent(&begun);
    assert_eq!(shared.told(), []);
    shared.state.join(Instant::now());
    let ended = over(1, false, None);
    let told = shared.told();
    assert_eq!(told, [ended]);
    shared.state.tell_again(vec![ended, Event::Left]);
    assert_eq!(shared.told(), [ended]);
    shared.state.tell_again(vec![Event::Sent(SECOND)]);
    shared.state.part(Instant::now());
    shared.state.join(Instant::now());
    assert_eq!(shared.told(), [Event::Sent(Duration::ZERO)]);
}

/// A user who isn't limited, or is accepted, is that everywhere.
#[tokio::test(start_paused = true)]
async fn what_replicas_learn_of_users_is_known_here() {
    let mut shared = Shared::new();
    let (_, _waits) = shared.wait(1);
    let (_, _another_user_waits) = shared.wait(2);
    shared.learn(OTHER, begun(1, Takes::OneForAStranger));
    let released = shared.learn(OTHER, over(1, true, Some(head(200, false))));
    assert_eq!(released, 1);
    assert!(shared.state.is_unlimited(user_of(1)));
    assert!(!shared.state.is_unlimited(user_of(2)));
}

/// Others' turns come between ours, so that ours come later.
#[tokio::test(start_paused = true)]
async fn who_waits_is_told_of_those_who_wait_elsewhere() {
    let told = async |others: u32| {
        let mut shared = Shared::new();
        for read in 0..15 {
            tokio::time::advance(SECOND / 5).await;
            shared.learn(OTHER, begun(read, Takes::One));
            shared.learn(OTHER, over(read, true, Some(head(200, true))));
        }
        let waits = Waits {
            reads: others,
            next: Some(user_of(1)),
        };
        shared.learn(OTHER, Event::Alive(waits, KEY));
        let waiting: Vec<_> = (0..3).map(|_| shared.wait(1)).collect();
        match waiting[2].0.stage() {
            Stage::Queued(turn) => turn.at - Instant::now(),
            stage => panic!("{stage:?}"),
        }
    };
    // The third of ours is the third, fourth, or sixth of all.
    let (alone, beside_one, beside_many) = (told(0).await, told(1).await, told(100).await);
    assert_eq!(beside_one, alone + SECOND / 5);
    assert_eq!(beside_many, alone + SECOND * 3 / 5);
}

/// Strangers' reads go one by one, here or there, while anybody accepted wants a turn.
#[tokio::test(start_paused = true)]
async fn strangers_wait_for_those_who_are_accepted_elsewhere() {
    for (next, has_turn) in [
        (None, true),
        (Some(user_of(9)), true),
        (Some(user_of(1)), false),
    ] {
        let mut shared = Shared::new();
        shared.learn(OTHER, begun(1, Takes::One));
        shared.learn(OTHER, over(1, true, Some(head(200, true))));
        shared.learn(OTHER, Event::Alive(Waits { reads: 1, next }, KEY));
        let _waiting = [shared.wait(7), shared.wait(8)];
        let first = shared.next().await.expect("a turn");
        shared.state.begin(&first, true, Instant::now());
        assert_eq!(shared.next().await.is_some(), has_turn, "{next:?}");
    }
}

/// While others want turns as well, they are spread over the window.
#[tokio::test(start_paused = true)]
async fn those_who_wait_elsewhere_want_turns_too() {
    let next_after = |others: u32| {
        let mut shared = Shared::new();
        // The first one has told where the window stands.
        shared.learn(OTHER, begun(1, Takes::One));
        shared.learn(OTHER, over(1, true, Some(head(200, true))));
        for read in 2..7 {
            shared.learn(OTHER, begun(read, Takes::One));
            shared.learn(OTHER, over(read, true, Some(head(200, true))));
        }
        let waits = Waits {
            reads: others,
            next: None,
        };
        shared.learn(OTHER, Event::Alive(waits, KEY));
        let (_, _waits) = shared.wait(1);
        match shared.state.next(Instant::now()) {
            Err(Step::Wait(Some(until))) => until - Instant::now(),
            _ => panic!("a turn"),
        }
    };
    let (few, many) = (next_after(0), next_after(100));
    assert!(few * 2 < many, "{few:?} {many:?}");
}

#[tokio::test(start_paused = true)]
async fn without_the_ledger_there_is_a_part_of_the_limit() {
    let mut shared = Shared::new();
    let limit = |shared: &Shared| shared.state.standing(Instant::now()).limit;
    for other in [2, 3] {
        shared.learn(Replica(other), Event::Alive(Waits::default(), KeyId(other)));
    }
    shared.learn(OTHER, begun(1, Takes::One));
    let together = CommonStanding::Together {
        others: 2,
        strangers: 2,
    };
    assert_eq!(shared.state.standing_in_common(), Some(together));
    assert_eq!((limit(&shared), shared.used()), (Some(15), Some(1)));
    shared.state.part(Instant::now());
    assert_eq!((limit(&shared), shared.used()), (Some(5), Some(0)));
    assert!(!shared.state.is_common());
    assert_eq!(
        shared.state.standing_in_common(),
        None,
        "nobody knows why yet"
    );
    if let Some(others) = &mut shared.state.others {
        others.trouble = Some("why".to_owned());
    }
    let apart = CommonStanding::Apart {
        parts: 3,
        why: "why".to_owned(),
    };
    assert_eq!(shared.state.standing_in_common(), Some(apart.clone()));
    // It is as it was, however often that is found out.
    shared.state.part(Instant::now());
    assert_eq!(shared.state.standing_in_common(), Some(apart));
    assert_eq!(limit(&shared), Some(5));
    let replicas = shared
        .state
        .standing(Instant::now())
        .replicas
        .expect("some");
    assert_eq!((replicas.are_reachable, replicas.count), (false, 3));
    shared.state.join(Instant::now());
    assert_eq!(limit(&shared), Some(15));
    assert!(shared.state.is_common());
    let replicas = shared
        .state
        .standing(Instant::now())
        .replicas
        .expect("some");
    assert_eq!((replicas.are_reachable, replicas.count), (true, 1));
}

/// Others hear what was sent meanwhile, once.
#[tokio::test(start_paused = true)]
async fn who_comes_back_tells_what_it_has_sent() {
    let mut shared = Shared::new();
    shared.state.part(Instant::now());
    let (_, _waits) = shared.wait(1);
    let Ok(next) = shared.state.next(Instant::now()) else {
        panic!("no turn");
    };
    shared.state.begin(&next, false, Instant::now());
    assert_eq!(shared.told(), []);
    tokio::time::advance(SECOND).await;
    shared.state.join(Instant::now());
    assert_eq!(shared.told(), [Event::Sent(SECOND)]);
    shared.state.part(Instant::now());
    shared.state.join(Instant::now());
    assert_eq!(shared.told(), []);
}

/// They hear how many reads wait, and with which credential the next one is.
#[tokio::test(start_paused = true)]
async fn others_are_told_what_waits() {
    let mut shared = Shared::new();
    let waiting = [shared.wait(1), shared.wait(1)];
    let alive = |reads, next: Option<u8>| {
        let next = next.map(user_of);
        Event::Alive(Waits { reads, next }, KEY)
    };
    let now = Instant::now();
    assert_eq!(shared.state.news(now), [alive(2, Some(1))]);
    assert_eq!(shared.state.news(now), []);
    drop(waiting);
}
