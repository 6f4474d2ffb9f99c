//! The rules one by one, moment by moment: `tests/it/outages.rs` has what callers see of them.

#![allow(
    clippy::unchecked_time_subtraction,
    reason = "one that is too large fails the test"
)]

use futures_util::FutureExt;

use super::*;
use crate::{deadline::Limit, exchange::Head};

const HEAD: Head = Head {
    status: 200,
    rate_limit: None,
    retry_after: None,
};

const REFUSED: Error = Error::UpstreamUnavailable {
    cause: Unavailable::ConnectionRefused,
    retry_after: PROBE_EVERY,
};

const INSTANT: Duration = Duration::from_millis(1);

/// A breaker at the beginning of time, which each moment is told from.
struct Tried {
    breaker: Breaker<()>,
    began: Instant,
}

impl Tried {
    fn new() -> Self {
        let breaker = Breaker::new(());
        let began = breaker.lock().heard_at;
        Self { breaker, began }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.breaker.lock()
    }

    /// A read under way, sent at `sent` if it was.
    fn read(&self, sent: Option<Duration>) -> Read {
        let claim = Claim::new();
        let _waiting = claim.wait(self.began + FOR_EVER, None);
        if let Some(sent) = sent {
            assert!(claim.send(self.began + sent));
        }
        let read = Read {
            id: 0,
            claim,
            lost: Arc::default(),
        };
        self.state().reads.push(read.clone());
        read
    }

    fn ends(&self, at: Duration, head: Option<Head>, result: Result<(), Error>) {
        let exchange = Exchange {
            sent: None,
            head,
            result,
        };
        let read = Read {
            id: 0,
            claim: Claim::new(),
            lost: Arc::default(),
        };
        self.state().note(&exchange, &read, self.began + at);
    }

    fn fails(&self, at: Duration) {
        self.ends(at, None, Err(REFUSED));
    }

    /// Fails often enough, and for long enough, from the beginning on.
    fn is_down(&self) {
        for number in 0..FAILURES {
            self.fails(FAILING * number / (FAILURES - 1));
        }
    }

    fn trouble(&self, at: Duration) -> Option<Unavailable> {
        self.state().trouble(self.began + at)
    }

    fn admit(&self, at: Duration) -> Result<Duration, Error> {
        self.state().admit(self.began + at)
    }
}

fn is_lost(read: &Read) -> bool {
    read.lost.notified().now_or_never().is_some()
}

#[test]
fn failures_in_a_row_that_last_are_trouble() {
    let tried = Tried::new();
    for _ in 1..FAILURES {
        tried.fails(Duration::ZERO);
    }
    assert_eq!(tried.trouble(FAILING), None);
    tried.fails(FAILING / 2);
    assert_eq!(tried.trouble(FAILING - INSTANT), None);
    assert_eq!(tried.trouble(FAILING), Some(Unavailable::ConnectionRefused));
}

#[test]
fn they_last_since_the_first_of_them() {
    let tried = Tried::new();
    tried.fails(Duration::ZERO);
    tried.ends(FAILING, Some(HEAD), Ok(()));
    for _ in 0..FAILURES {
        tried.fails(FAILING);
    }
    assert_eq!(tried.trouble(FAILING * 2 - INSTANT), None);
    assert!(tried.trouble(FAILING * 2).is_some());
}

#[test]
fn only_an_answer_ends_them() {
    let tried = Tried::new();
    tried.is_down();
    // Nobody wanted it any more.
    tried.ends(FAILING, None, Err(Error::Overloaded));
    assert!(tried.trouble(FAILING).is_some());
    // A proxy that speaks for it.
    let status = Unavailable::Status(502);
    let bad_gateway = Error::UpstreamUnavailable {
        cause: status,
        retry_after: PROBE_EVERY,
    };
    tried.ends(FAILING, Some(HEAD), Err(bad_gateway));
    assert_eq!(tried.trouble(FAILING), Some(status));
    let late = Error::DeadlineExceeded(Limit::Server);
    tried.ends(FAILING, None, Err(late));
    assert_eq!(tried.trouble(FAILING), Some(Unavailable::Silent));
    // A refusal is an answer.
    tried.ends(FAILING, Some(HEAD), Err(Error::CallNotFound));
    assert_eq!(tried.trouble(FAILING), None);
}

#[test]
fn one_at_a_time_finds_out() {
    let tried = Tried::new();
    tried.is_down();
    assert_eq!(tried.admit(FAILING), Ok(FOR_EVER));
    for wait in [Duration::ZERO, INSTANT, PROBE_EVERY - INSTANT] {
        match tried.admit(FAILING + wait) {
            Err(Error::UpstreamUnavailable { cause, .. }) => {
                assert_eq!(cause, Unavailable::ConnectionRefused);
            }
            admitted => panic!("{wait:?}: {admitted:?}"),
        }
    }
    assert_eq!(tried.admit(FAILING + PROBE_EVERY), Ok(FOR_EVER));
    assert!(tried.admit(FAILING + PROBE_EVERY).is_err());
    tried.ends(FAILING + PROBE_EVERY, Some(HEAD), Ok(()));
    assert_eq!(tried.admit(FAILING + PROBE_EVERY), Ok(FOR_EVER));
}

#[test]
fn trouble_is_forgotten_while_nobody_asks() {
    let tried = Tried::new();
    tried.is_down();
    assert!(tried.trouble(FAILING + MEMORY).is_some());
    let later = FAILING + MEMORY + INSTANT;
    assert_eq!(tried.trouble(later), None);
    // Somebody asks.
    tried.read(None);
    assert!(tried.trouble(later).is_some());
    tried.state().reads.clear();
    assert_eq!(tried.admit(later), Ok(FOR_EVER));
    tried.read(None);
    assert_eq!(tried.trouble(later), None);
}

#[test]
fn nothing_is_forgotten_before_its_time() {
    let tried = Tried::new();
    tried.is_down();
    assert!(tried.admit(FAILING + MEMORY).is_ok());
    assert!(tried.admit(FAILING + MEMORY).is_err());
}

#[test]
fn reads_that_are_out_without_any_answer_are_silence() {
    let tried = Tried::new();
    for number in 1..SILENT_READS {
        tried.read(Some(Duration::ZERO));
        assert_eq!(tried.trouble(SILENCE), None, "{number}");
    }
    // These wait here, or haven't been out for as long.
    tried.read(None);
    tried.read(Some(INSTANT));
    assert_eq!(tried.trouble(SILENCE), None);
    assert_eq!(tried.trouble(SILENCE + INSTANT), Some(Unavailable::Silent));
    assert_eq!(tried.admit(SILENCE + INSTANT), Ok(PATIENCE));
    assert!(tried.admit(SILENCE + INSTANT).is_err());
}

#[test]
fn an_answer_of_any_kind_is_none() {
    let tried = Tried::new();
    for _ in 0..SILENT_READS {
        tried.read(Some(Duration::ZERO));
    }
    tried.ends(INSTANT, Some(HEAD), Err(Error::CallNotFound));
    assert_eq!(tried.trouble(SILENCE), None);
    // The end of one that wasn't sent isn't one.
    tried.ends(INSTANT * 2, None, Err(Error::Overloaded));
    assert_eq!(tried.trouble(SILENCE + INSTANT), Some(Unavailable::Silent));
}

#[test]
fn who_finds_out_has_longer_each_time() {
    let tried = Tried::new();
    for _ in 0..SILENT_READS {
        tried.read(Some(Duration::ZERO));
    }
    let mut at = SILENCE;
    assert_eq!(tried.admit(at), Ok(PATIENCE));
    for (patience, next) in [(1, 2), (2, 4), (1, 4), (4, 8)] {
        at += PATIENCE * patience;
        tried
            .state()
            .note_silence(PATIENCE * patience, tried.began + at);
        assert_eq!(tried.admit(at), Ok(PATIENCE * next));
    }
    // That was trouble, so it isn't forgotten.
    tried.state().reads.clear();
    assert!(tried.trouble(at + MEMORY).is_some());
    assert!(tried.trouble(at + MEMORY + INSTANT).is_none());
}

#[test]
fn the_oldest_makes_room_in_a_silence() {
    let tried = Tried::new();
    let waiting = tried.read(None);
    let reads: Vec<_> = (0..4)
        .map(|number| tried.read(Some(INSTANT * number)))
        .collect();
    let lost = || reads.iter().map(is_lost).collect::<Vec<_>>();

    let room_at = |at| tried.state().make_room(tried.began + at);
    room_at(SILENCE);
    assert_eq!(lost(), [false; 4]);
    let at = SILENCE + INSTANT * 2;
    room_at(at);
    assert_eq!(lost(), [true, false, false, false]);
    // It has gone by then.
    tried.state().reads.remove(1);
    room_at(at + PROBE_EVERY - INSTANT);
    assert_eq!(lost(), [false; 4]);
    room_at(at + PROBE_EVERY);
    assert_eq!(lost(), [false, true, false, false]);
    assert!(!is_lost(&waiting));
    // That was trouble, so it isn't forgotten.
    tried.state().reads.clear();
    assert!(tried.trouble(at + PROBE_EVERY + MEMORY).is_some());
}

#[test]
fn what_was_overtaken_by_far_is_given_up_at_the_end_of_a_silence() {
    let tried = Tried::new();
    let answered = SILENCE + OVERTAKEN;
    let by_far = tried.read(Some(SILENCE - INSTANT));
    let just = tried.read(Some(SILENCE));
    let later = tried.read(Some(answered + INSTANT));
    let waiting = tried.read(None);
    let read = tried.read(Some(answered));
    let exchange = Exchange {
        sent: None,
        head: Some(HEAD),
        result: Ok(()),
    };

    // Without a silence, answers come in any order.
    let now = tried.began + answered + INSTANT;
    tried.state().note(&exchange, &read, now);
    assert!(!is_lost(&by_far));
    tried.state().silence = Some(PATIENCE);
    tried.state().note(&exchange, &read, now);
    assert!(is_lost(&by_far));
    for other in [&just, &later, &waiting, &read] {
        assert!(!is_lost(other));
    }
    assert_eq!(tried.state().silence, None);
}

#[test]
fn the_end_of_a_read_is_that_of_no_other() {
    let tried = Tried::new();
    let first = tried.breaker.begin(&Claim::new()).ok();
    let second = tried.breaker.begin(&Claim::new()).expect("a read");
    drop(first);
    let left: Vec<_> = tried.state().reads.iter().map(|read| read.id).collect();
    assert_eq!(left, [second.read.id]);
}

#[test]
fn those_who_hear_it_together_do_not_come_again_together() {
    let waits = |after| {
        let waits = (0..200).map(|_| match unavailable(Unavailable::Silent, after) {
            Error::UpstreamUnavailable { retry_after, .. } => retry_after,
            error => panic!("{error:?}"),
        });
        let waits: Vec<_> = waits.collect();
        (
            *waits.iter().min().expect("some"),
            *waits.iter().max().expect("some"),
        )
    };
    let long = PROBE_EVERY * 10;
    for (after, least) in [(Duration::ZERO, PROBE_EVERY), (long, long)] {
        let (first, last) = waits(after);
        assert!(least <= first && first < least * 6 / 5, "{first:?}");
        assert!(least * 13 / 10 < last && last <= least * 3 / 2, "{last:?}");
    }
}
