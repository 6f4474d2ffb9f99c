//! What follows from headers, one by one: `tests/it/load.rs` has what callers see of it.

#![allow(
    clippy::unchecked_time_subtraction,
    reason = "one that is too large fails the test"
)]

use std::cell::Cell;

use super::*;

const SPAN: Duration = Duration::from_secs(3);
const LIMIT: u32 = 15;
const INSTANT: Duration = Duration::from_millis(1);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Neighbours at the beginning of time, which each moment is told from.
struct Told {
    neighbours: Neighbours,
    began: Instant,
}

impl Told {
    fn new() -> Self {
        Self {
            neighbours: Neighbours::default(),
            began: Instant::now(),
        }
    }

    /// At `at` an answer tells of window `reset`: of a request sent just then.
    fn note(&mut self, at: Duration, reset: u64, counted: u32, ours: u32) {
        self.note_late(at, at, reset, counted, ours);
    }

    /// Of one sent at `sent`.
    fn note_late(&mut self, sent: Duration, at: Duration, reset: u64, counted: u32, ours: u32) {
        let news = News {
            sent: self.began + sent,
            reset,
            counted,
            ours,
        };
        self.neighbours.note(news, self.began + at, SPAN);
    }

    fn expected(&self, at: Duration) -> f64 {
        self.neighbours.expected(self.began + at, SPAN, LIMIT)
    }

    fn begun(&self) -> Option<Duration> {
        let ends_at = self.neighbours.ends_at(SPAN);
        ends_at.map(|at| at.saturating_duration_since(self.began + SPAN))
    }

    /// The room at `at`, after so many requests of ours that no answer has told of: units, and when there is one
    /// and when it ends.
    fn room(&self, at: Duration, sent: usize) -> Option<(f64, Duration, Duration)> {
        let room = self
            .neighbours
            .room(self.began + at, (LIMIT, SPAN), |_| sent)?;
        let since = |moment: Instant| moment.saturating_duration_since(self.began);
        Some((room.units, since(room.opens_at), since(room.ends_at)))
    }

    /// Since when requests are counted that no answer has told of.
    fn counted_since(&self, at: Duration) -> Duration {
        let asked = Cell::new(self.began);
        let window = (LIMIT, SPAN);
        let room = self.neighbours.room(self.began + at, window, |since| {
            asked.set(since);
            0
        });
        room.expect("a window");
        asked.get() - self.began
    }
}

#[track_caller]
fn assert_near(seen: f64, expected: f64) {
    assert!((seen - expected).abs() < 1e-6, "{seen} and not {expected}");
}

#[test]
fn the_limit_is_what_was_told_last() {
    let mut neighbours = Neighbours::default();
    assert_eq!(neighbours.limit(), None);
    neighbours.set_limit(15);
    neighbours.set_limit(10);
    assert_eq!(neighbours.limit(), Some(10));
}

#[test]
fn a_window_is_known_by_its_reset() {
    let mut told = Told::new();
    told.note(ms(0), 7, 1, 1);
    told.note(ms(100), 7, 2, 2);
    told.note(ms(3200), 8, 1, 1);
    let first_sent = |reset| told.neighbours.first_sent(reset);
    assert_eq!(first_sent(7), Some(told.began));
    assert_eq!(first_sent(8), Some(told.began + ms(3200)));
    assert_eq!(first_sent(9), None);
}

#[test]
fn a_window_is_forgotten_when_it_is_expected_no_more() {
    let mut told = Told::new();
    told.note(ms(0), 7, 1, 1);
    told.note(SPAN + MEMORY - INSTANT, 8, 1, 1);
    assert!(told.neighbours.first_sent(7).is_some());
    told.note(SPAN + MEMORY, 8, 2, 2);
    assert!(told.neighbours.first_sent(7).is_none());
    assert!(told.neighbours.first_sent(8).is_some());
}

#[test]
fn a_window_begins_with_its_first_request() {
    for (counted, sent, at, begun) in [
        // While it travelled, but not for longer than requests do.
        (1, 0, 50, 50),
        (1, 0, 300, 100),
        // With somebody else's, before ours was answered.
        (2, 0, 50, 50),
        (2, 0, 300, 300),
    ] {
        let mut told = Told::new();
        told.note_late(ms(sent), ms(at), 7, counted, 1);
        assert_eq!(told.begun(), Some(ms(begun)), "{counted} {at}");
    }
    assert_eq!(Told::new().begun(), None);
}

#[test]
fn what_is_not_ours_is_others() {
    let mut told = Told::new();
    // What was counted before the first answer may be of any time.
    told.note(ms(0), 7, 9, 1);
    assert_near(told.expected(SPAN - INSTANT), 8.0);
    assert_near(told.expected(SPAN), 0.0);
    told.note(ms(4000), 8, 5, 2);
    // No more is told by an answer that was overtaken.
    told.note(ms(4010), 8, 4, 0);
    assert_near(told.expected(ms(4010)), 3.0);
    told.note(ms(7500), 9, 3, 1);
    // The largest use is expected again.
    assert_near(told.expected(ms(7500)), 3.0);
    let forgotten = ms(4000) + SPAN + MEMORY;
    assert_near(told.expected(forgotten - INSTANT), 3.0);
    assert_near(told.expected(forgotten), 2.0);
    // Never all of it.
    told.note(ms(20_000), 10, 15, 0);
    assert_near(told.expected(ms(20_000)), 14.0);
}

#[test]
fn a_refusal_leaves_more_to_others_for_a_while() {
    let mut told = Told::new();
    for expected in [1.0, 2.0, 3.0, 4.0, 4.0] {
        told.neighbours.refused(told.began);
        assert_near(told.expected(ms(0)), expected);
    }
    assert_near(told.expected(ms(25_000)), 3.5);
    told.neighbours.refused(told.began + ms(100_000));
    assert_near(told.expected(ms(100_000)), 3.0);
    assert_near(told.expected(ms(250_000)), 0.0);
    assert_near(told.expected(ms(300_000)), 0.0);
}

#[test]
fn what_was_counted_binds_us() {
    let mut told = Told::new();
    assert_eq!(told.room(ms(0), 0), None);
    told.note(ms(1000), 7, 5, 5);
    let end = ms(1000) + SPAN;
    assert_eq!(told.room(ms(1000), 0), Some((10.0, ms(1000), end)));
    assert_eq!(told.room(ms(1500), 4), Some((6.0, ms(1500), end)));
    assert_eq!(told.room(ms(1500), 9), Some((1.0, ms(1500), end)));
    assert_eq!(told.room(ms(1500), 10), Some((0.0, end, end)));
    // Where nobody else is expected, nothing is known of the next one.
    assert!(told.room(end - INSTANT, 0).is_some());
    assert_eq!(told.room(end, 0), None);
}

#[test]
fn requests_count_that_were_sent_after_the_last_one_told_of() {
    let mut told = Told::new();
    told.note_late(ms(0), ms(20), 7, 1, 1);
    told.note_late(ms(10), ms(30), 7, 2, 2);
    // Neither one that was overtaken, nor another one with the same count.
    told.note_late(ms(5), ms(40), 7, 1, 1);
    told.note_late(ms(15), ms(50), 7, 2, 2);
    let moment = Duration::from_nanos(1);
    assert_eq!(told.counted_since(ms(60)), ms(10) + moment);
    // Of a window that hasn't begun, all that were sent since the end of this one.
    told.neighbours.refused(told.began);
    assert_eq!(told.counted_since(ms(20) + SPAN), ms(20) + SPAN);
}

/// Others had six requests in a window; another one begins at `ms(4000)`.
fn with_six_expected() -> Told {
    let mut told = Told::new();
    told.note(ms(0), 7, 1, 1);
    told.note(ms(500), 7, 9, 3);
    told.note(ms(3900), 8, 7, 1);
    told.note(ms(4000), 8, 7, 1);
    told
}

#[test]
fn what_others_have_used_is_expected_no_more() {
    let told = with_six_expected();
    let end = ms(3900) + SPAN;
    // Six are there already.
    assert_eq!(told.room(ms(4000), 2), Some((6.0, ms(4000), end)));
}

#[test]
fn what_is_expected_gets_less_as_the_window_goes_by() {
    let mut told = with_six_expected();
    let begin = ms(7000);
    told.note(begin, 9, 1, 1);
    let end = begin + SPAN;
    for (at, units) in [
        (0, 8.0),
        (1000, 8.0),
        (1500, 9.5),
        (2000, 11.0),
        (2999, 13.997),
    ] {
        let room = told.room(begin + ms(at), 0).expect("a window");
        assert_near(room.0, units);
        assert_eq!((room.1, room.2), (begin + ms(at), end), "{at}");
    }
    // Three are left and six expected: one is ours when at most two of them are still to come.
    let (units, opens_at, ends_at) = told.room(begin, 11).expect("a window");
    assert_near(units, -3.0);
    assert_eq!(ends_at, end);
    assert_near((ends_at - opens_at).as_secs_f64(), 3.0 * 2.0 / 6.0 / 1.5);
    // One is left, so it is for whoever comes.
    let (_, opens_at, _) = told.room(begin, 13).expect("a window");
    assert_eq!(opens_at, end);
    let (_, opens_at, _) = told.room(begin, 14).expect("a window");
    assert_eq!(opens_at, end);
    // What is to come is never now.
    let late = end - Duration::from_micros(600_001);
    let (units, opens_at, _) = told.room(late, 11).expect("a window");
    assert!(units >= 1.0 && opens_at == late);
}

#[test]
fn others_are_expected_in_the_next_window_too() {
    let told = with_six_expected();
    let end = ms(3900) + SPAN;
    let (units, opens_at, ends_at) = told.room(end, 2).expect("a window");
    assert_near(units, 7.0);
    assert_eq!((opens_at, ends_at), (end, end + SPAN));
    // It begins with the next request, whoever sends it, so it ends no sooner than that.
    let (units, _, _) = told.room(end + ms(1500), 2).expect("a window");
    assert_near(units, 13.0 - 6.0 * 0.75);
}
