use std::collections::VecDeque;

use proptest::{collection::vec, prelude::*};

use super::*;

const LIMIT: Limit = Limit {
    requests: 15,
    span: Duration::from_secs(3),
};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Meteor's limiter: a window begins with the first request that comes more than its length after the
/// beginning of the last one.
#[derive(Default)]
struct Meteor {
    began: Option<Duration>,
    counted: u32,
}

impl Meteor {
    /// The head of the answer to a request at `now`.
    fn answer(&mut self, now: Duration) -> Head {
        let began = self.began.filter(|began| now <= *began + LIMIT.span);
        if began.is_none() {
            self.counted = 0;
        }
        let began = *self.began.insert(began.unwrap_or(now));
        self.counted += 1;
        let reset = u64::try_from((began + LIMIT.span).as_millis()).unwrap();
        Head {
            status: if self.counted > 15 { 429 } else { 200 },
            rate_limit: Some(RateLimit {
                limit: Some(15),
                remaining: Some(15_u32.saturating_sub(self.counted)),
                reset: Some(reset),
                resets_after: Some((began + LIMIT.span).saturating_sub(now)),
            }),
            retry_after: None,
        }
    }
}

/// A request, or what is left of it.
#[derive(Clone, Copy)]
struct Travelling {
    unit: Unit,
    arrives: Duration,
    answered: Duration,
}

/// How a simulation went.
#[derive(Default)]
struct Outcome {
    sent: Vec<Duration>,
    refused: usize,
}

/// Sends whatever the window lets out while requests are wanted, millisecond by millisecond. Requests
/// travel for as long as `travels` says, one after another.
fn simulate(
    wanted: impl Fn(u64) -> usize,
    neighbours: &[u64],
    travels: &[u64],
    length: u64,
) -> Outcome {
    let start = Instant::now();
    let mut window = Window::new(LIMIT);
    let mut meteor = Meteor::default();
    let mut travelling = VecDeque::<Travelling>::new();
    let mut outcome = Outcome::default();
    let mut waiting = 0;
    for millis in 0..length {
        let now = ms(millis);
        for _ in neighbours.iter().filter(|at| **at == millis) {
            meteor.answer(now);
        }
        let mut heads = Vec::new();
        for request in &travelling {
            if request.arrives == now {
                let head = meteor.answer(now);
                outcome.refused += usize::from(head.status == 429);
                heads.push((*request, head));
            }
        }
        travelling.retain(|request| request.arrives > now);
        for (request, head) in heads {
            // As long on its way back, but noted now: that only makes it known earlier.
            window.over(request.unit, Some(&head), start + request.answered);
        }
        waiting += wanted(millis);
        while waiting > 0 && window.ready_at(start + now, waiting) <= start + now {
            let travel = travels[outcome.sent.len() % travels.len()];
            travelling.push_back(Travelling {
                unit: window.take(start + now, Sender::Us, true),
                arrives: now + ms(travel),
                answered: now + ms(travel),
            });
            outcome.sent.push(now);
            waiting -= 1;
        }
    }
    outcome
}

/// The most that any span holds.
fn most_in_a_span(sent: &[Duration]) -> usize {
    let counts = sent.iter().enumerate().map(|(first, at)| {
        let later = sent[first..].iter();
        later.take_while(|it| **it <= *at + LIMIT.span).count()
    });
    counts.max().unwrap_or(0)
}

fn gaps(sent: &[Duration]) -> impl Iterator<Item = Duration> {
    sent.windows(2).map(|pair| pair[1].saturating_sub(pair[0]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// For any arrivals, and any travelling times up to the jitter that is allowed for.
    #[test]
    fn no_span_holds_more_than_the_limit_and_nothing_is_refused(
        arrivals in vec(0_u64..12_000, 0..120),
        travels in vec(1_u64..100, 1..20),
    ) {
        let wanted = |now| arrivals.iter().filter(|at| **at == now).count();
        let outcome = simulate(wanted, &[], &travels, 14_000);
        prop_assert!(most_in_a_span(&outcome.sent) <= 15);
        prop_assert_eq!(outcome.refused, 0);
    }

    /// With others at the same address the limit holds all the same, and whatever we are refused for,
    /// we go on.
    #[test]
    fn with_neighbours_no_span_holds_more_and_nobody_waits_for_ever(
        neighbours in vec(0_u64..30_000, 0..200),
        travels in vec(1_u64..50, 1..20),
    ) {
        let outcome = simulate(|now| usize::from(now % 100 == 0), &neighbours, &travels, 30_000);
        prop_assert!(most_in_a_span(&outcome.sent) <= 15);
        let gaps = gaps(&outcome.sent);
        prop_assert!(gaps.max() <= Some(LIMIT.span + 2 * JITTER));
    }

    /// Whatever the headers say, there is a turn within a window.
    #[test]
    fn no_header_stops_the_reads_for_longer_than_a_window(
        heads in vec((head(), 0_u64..500), 1..60),
    ) {
        let mut now = Instant::now();
        let mut window = Window::new(LIMIT);
        for (head, pause) in heads {
            now += ms(pause);
            if window.ready_at(now, 100) <= now {
                let unit = window.take(now, Sender::Us, true);
                now += ms(5);
                window.over(unit, Some(&head), now);
            }
            prop_assert!(window.ready_at(now, 100) <= now + LIMIT.span + 2 * JITTER);
        }
    }
}

/// Any head, sensible or not.
fn head() -> impl Strategy<Value = Head> {
    let number = || prop_oneof![Just(None), (0_u32..20).prop_map(Some), any::<Option<u32>>()];
    let reset = prop_oneof![
        Just(None),
        any::<Option<u64>>(),
        (1_795_428_000_000_u64..1_795_428_000_003).prop_map(Some)
    ];
    let after = prop_oneof![Just(None), any::<Option<u64>>(), Just(Some(0))];
    let status = prop_oneof![Just(200), Just(400), Just(429), Just(503)];
    (status, number(), number(), reset, after).prop_map(
        |(status, limit, remaining, reset, after)| {
            let resets_after = after.map(Duration::from_millis);
            Head {
                status,
                rate_limit: Some(RateLimit {
                    limit,
                    remaining,
                    reset,
                    resets_after,
                }),
                retry_after: None,
            }
        },
    )
}

#[test]
fn all_of_the_limit_is_used() {
    let outcome = simulate(|_| 1, &[], &[3], 31_000);
    assert_eq!(outcome.refused, 0);
    assert!(outcome.sent.len() >= 149, "{}", outcome.sent.len());
}

/// What a silence would make old is sent at an even pace, as soon as there is too much of it.
#[test]
fn requests_are_paced_when_more_is_wanted_than_there_is() {
    let outcome = simulate(|now| usize::from(now < 40), &[], &[2], 12_000);
    let gaps = gaps(&outcome.sent);
    let longest = gaps.max().unwrap();
    assert!(longest < ms(330), "{longest:?}");
}

/// An idle facade may spend a burst.
#[test]
fn a_few_are_sent_at_once() {
    for (wanted, within) in [(5, 0), (10, 250), (15, 500)] {
        let mut window = Window::new(LIMIT);
        let start = Instant::now();
        let first = window.take(start, Sender::Us, true);
        window.over(first, Some(&Meteor::default().answer(ms(0))), start);
        let mut now = start;
        for left in (1..wanted).rev() {
            now = now.max(window.ready_at(now, left));
            window.take(now, Sender::Us, true);
        }
        assert!(now <= start + ms(within), "{wanted}: {:?}", now - start);
    }
}

/// One read goes first after a start, and after a silence; it is waited for, but not for ever.
#[test]
fn one_request_goes_first() {
    let start = Instant::now();
    let mut window = Window::new(LIMIT);
    assert_eq!(window.ready_at(start, 9), start);
    let first = window.take(start, Sender::Us, true);
    assert_eq!(window.ready_at(start, 9), start + PROBE);
    window.over(
        first,
        Some(&Meteor::default().answer(ms(0))),
        start + ms(50),
    );
    assert_eq!(window.ready_at(start + ms(50), 9), start + ms(50));

    let later = start + SILENCE + ms(100);
    assert_eq!(window.ready_at(later, 9), later);
    window.take(later, Sender::Us, true);
    assert_eq!(window.ready_at(later, 9), later + PROBE);
}

/// What the process before us has used is known after the first answer.
#[test]
fn the_first_answer_tells_what_is_left() {
    let start = Instant::now();
    let mut window = Window::new(LIMIT);
    let mut meteor = Meteor::default();
    for _ in 0..12 {
        meteor.answer(ms(0));
    }
    let first = window.take(start + ms(500), Sender::Us, true);
    window.over(first, Some(&meteor.answer(ms(502))), start + ms(505));
    let mut now = start + ms(505);
    for _ in 0..2 {
        now = now.max(window.ready_at(now, 9));
        window.take(now, Sender::Us, true);
    }
    assert!(now < start + ms(3500));
    let next = window.ready_at(now, 9);
    assert!(next >= start + ms(3000), "{:?}", next - start);
}

/// A 401 isn't counted by Rocket.Chat.
#[test]
fn what_is_given_back_is_free_again() {
    let start = Instant::now();
    let mut window = Window::new(LIMIT);
    for _ in 0..100 {
        let unit = window.take(start, Sender::Us, false);
        window.give_back(unit);
    }
    assert_eq!(window.ready_at(start, 1), start);
    assert_eq!(window.used(start), 0);
}

/// A guess is never much too early, and never more than a window too late.
#[test]
fn turns_are_guessed() {
    let start = Instant::now();
    let mut window = Window::new(LIMIT);
    let mut meteor = Meteor::default();
    let first = window.take(start, Sender::Us, true);
    window.over(first, Some(&meteor.answer(ms(0))), start);
    let guesses: Vec<_> = (1..=60).map(|n| window.turn_at(start, n, 60)).collect();
    let mut now = start;
    for (n, guess) in guesses.iter().enumerate() {
        now = now.max(window.ready_at(now, 60 - n));
        let unit = window.take(now, Sender::Us, true);
        window.over(unit, Some(&meteor.answer(now - start)), now);
        let (guess, truth) = (*guess - start, now - start);
        assert!(guess + ms(700) >= truth, "{n}: {guess:?} {truth:?}");
        assert!(guess <= truth + LIMIT.span, "{n}: {guess:?} {truth:?}");
    }
}

/// The head of an answer that says only this.
fn saying(status: u16, rate_limit: RateLimit) -> Head {
    Head {
        status,
        rate_limit: Some(rate_limit),
        retry_after: None,
    }
}

#[test]
fn a_turn_is_free_or_follows_one_of_a_window_before() {
    let start = Instant::now();
    let mut window = Window::new(LIMIT);
    let span = LIMIT.span + JITTER;
    for number in 0..15 {
        let sent = start + ms(200 * number);
        let unit = window.take(sent, Sender::Us, true);
        window.over(unit, Some(&saying(200, RateLimit::default())), sent);
        if number == 4 {
            // Ten are free, spread if more are wanted.
            let ready_at = window.ready_at(sent, 20);
            assert_eq!(window.turn_at(sent, 1, 20), ready_at);
            let third = window.turn_at(sent, 3, 20) - ready_at;
            assert!(third.abs_diff(span * 2 / 15) < ms(1), "{third:?}");
            let ready_at = window.ready_at(sent, 10);
            assert_eq!(window.turn_at(sent, 10, 10), ready_at);
            assert_eq!(window.turn_at(sent, 12, 20), start + span + ms(200));
        }
    }
    let now = start + ms(2900);
    let turn_in = |window: &Window, n| window.turn_at(now, n, 40) - start;
    let turn = |n| turn_in(&window, n);
    assert_eq!(turn(1), span);
    assert_eq!(turn(2), span + ms(200));
    assert_eq!(turn(15), span + ms(2800));
    // What follows those that aren't sent yet.
    assert_eq!(turn(16), span * 2);
    assert!(turn(17).abs_diff(span * 2 + span / 15) < ms(1));
    // With a part of the limit, as many as there are too many leave the window before.
    window.divide(3);
    assert_eq!(turn_in(&window, 1), span + ms(2000));
    assert_eq!(turn_in(&window, 5), span + ms(2800));
}

#[test]
fn the_first_answer_is_likely_to_come_soon() {
    let start = Instant::now();
    let mut window = Window::new(LIMIT);
    window.take(start, Sender::Us, true);
    let now = start + PROBE / 2;
    assert_eq!(window.ready_at(now, 1), start + PROBE);
    assert_eq!(window.turn_at(now, 1, 1), now);
}

#[test]
fn a_refusal_closes_the_window_for_its_length_at_most() {
    let start = Instant::now();
    for (resets_after, closed) in [
        (None, 3000),
        (Some(0), 3000),
        (Some(1000), 1000),
        (Some(10_000), 3000),
    ] {
        let mut window = Window::new(LIMIT);
        let unit = window.take(start, Sender::Us, true);
        let rate_limit = RateLimit {
            resets_after: resets_after.map(ms),
            ..RateLimit::default()
        };
        window.over(unit, Some(&saying(429, rate_limit)), start);
        let opens_at = start + ms(closed) + JITTER / 4;
        assert_eq!(window.ready_at(start, 1), opens_at, "{resets_after:?}");
        assert!(window.ready_at(opens_at - ms(1), 1) >= opens_at);
    }
    // When that ends is known better by those who saw it begin.
    let mut window = Window::new(LIMIT);
    let mut meteor = Meteor::default();
    let first = window.take(start, Sender::Us, true);
    window.over(first, Some(&meteor.answer(ms(0))), start);
    let later = window.take(start + ms(2000), Sender::Us, true);
    let rate_limit = RateLimit {
        resets_after: Some(ms(3000)),
        ..RateLimit::default()
    };
    window.over(later, Some(&saying(429, rate_limit)), start + ms(2000));
    let opens_at = start + LIMIT.span + JITTER / 4;
    assert_eq!(window.ready_at(start + ms(2000), 1), opens_at);
}

#[test]
fn requests_under_way_are_ours_and_later_ones_are_not_counted() {
    let start = Instant::now();
    let answer = |remaining| {
        let rate_limit = RateLimit {
            limit: Some(15),
            remaining: Some(remaining),
            reset: Some(7),
            resets_after: None,
        };
        saying(200, rate_limit)
    };
    // Three are counted, so two are others' if that was the first, and none if it was the third.
    for (answered, left) in [(0, 13), (1, 14), (2, 15)] {
        let mut window = Window::new(LIMIT);
        let units = [0, 1, 2].map(|number| window.take(start + ms(number), Sender::Us, true));
        let now = start + ms(5);
        // It is a window that others begin, too.
        window.neighbours.note(
            News {
                sent: start,
                reset: 7,
                counted: 1,
                ours: 1,
            },
            start,
            LIMIT.span,
        );
        window.over(units[answered], Some(&answer(12)), now);
        assert_eq!(window.limit_beside_others(now), left, "{answered}");
    }
}

#[test]
fn a_lower_limit_is_kept_to_and_none_is_nonsense() {
    let start = Instant::now();
    for (limit, expected) in [(0, 15), (10, 10), (100, 15)] {
        let mut window = Window::new(LIMIT);
        let unit = window.take(start, Sender::Us, true);
        let rate_limit = RateLimit {
            limit: Some(limit),
            ..RateLimit::default()
        };
        window.over(unit, Some(&saying(200, rate_limit)), start);
        assert_eq!(window.limit(), expected, "{limit}");
    }
}

#[test]
fn a_part_of_the_limit_is_one_of_so_many() {
    let start = Instant::now();
    let mut window = Window::new(LIMIT);
    for sender in [Sender::Us, Sender::UsAsTold, Sender::Replica] {
        window.take(start, sender, true);
    }
    window.divide(1);
    assert_eq!((window.limit(), window.used(start)), (15, 3));
    window.divide(4);
    // What others sent is of their parts.
    assert_eq!((window.limit(), window.used(start)), (3, 2));
    window.divide(100);
    assert_eq!(window.limit(), 1);
    window.divide(1);
    assert_eq!(window.limit(), 15);
    let later = start + ms(20);
    assert_eq!(window.untold(later), [ms(20)]);
    assert!(window.untold(later).is_empty());
    window.take(start, Sender::Us, true);
    assert!(window.untold(start + LIMIT.span + JITTER).is_empty());
}
