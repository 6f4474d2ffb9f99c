//! How old answers are, who shares reads, and what ends them. On a paused clock.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout};
use videoconf_facade::error::{Error, UpstreamText};

use crate::support::fake::{Fake, Lookups, counts, failed, found};

const SECOND: Duration = Duration::from_secs(1);
const TIME: Duration = Duration::from_secs(2);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn rejected() -> Error {
    Error::UpstreamRejected(UpstreamText::default())
}

#[tokio::test(start_paused = true)]
async fn two_hundred_callers_make_one_read() {
    let fake = Fake::limited();
    let lookups = Lookups::before(&fake, &[]);
    let calls = (0..200).map(|_| lookups.ask("mia", "x"));
    for heard in join_all(calls).await {
        heard.answer.expect("an answer");
    }
    assert_eq!(fake.reads().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn answers_never_cross_credentials() {
    let fake = Fake::limited();
    fake.behave(|read| match &*read.user {
        "mia" => found(),
        _ => failed(400, rejected()),
    });
    let lookups = Lookups::before(&fake, &[]);
    for _ in 0..3 {
        let (mia, jane) = tokio::join!(lookups.ask("mia", "x"), lookups.ask("jane", "x"));
        mia.answer.expect("hers");
        assert_eq!(jane.answer, Err(rejected()));
    }
    let users = counts(fake.reads().into_iter().map(|read| read.user));
    assert_eq!(
        users,
        [("mia".to_owned(), 1), ("jane".to_owned(), 1)].into()
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_fresh_for_a_second() {
    let fake = Fake::limited();
    let lookups = Lookups::before(&fake, &[]);
    for (pause, reads) in [(0, 1), (900, 1), (200, 2), (900, 2), (5000, 3)] {
        sleep(millis(pause)).await;
        let heard = lookups.ask("mia", "x").await;
        assert_eq!(fake.reads().len(), reads, "{pause}");
        assert!(heard.age <= SECOND, "{heard:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn max_age_takes_the_place_of_fresh_for() {
    let fake = Fake::limited();
    let lookups = Lookups::before(&fake, &[]);
    let ask = |max_age| lookups.ask_for("mia", "x", Some(millis(max_age)), TIME);
    for (pause, max_age, reads) in [
        (0, 500, 1),
        (400, 500, 1),
        (200, 500, 2),
        // Longer than the answer is fresh for, too.
        (5000, 10_000, 2),
        // But not than it is given at all.
        (26_000, 100_000, 3),
        (0, 0, 4),
        (0, 0, 5),
    ] {
        sleep(millis(pause)).await;
        let heard = ask(max_age).await;
        heard.answer.as_ref().expect("an answer");
        assert_eq!(fake.reads().len(), reads, "{pause} {max_age}");
        assert!(heard.age <= millis(max_age), "{heard:?}");
    }
}

/// Zero is a read that starts after the call's arrival; those who wait for one share it.
#[tokio::test(start_paused = true)]
async fn no_age_joins_no_older_read() {
    let fake = Fake::limited();
    fake.behave(|_| found().after(millis(500)));
    let lookups = Arc::new(Lookups::before(&fake, &[]));
    let ask = || {
        let lookups = Arc::clone(&lookups);
        async move {
            let arrived = Instant::now();
            let heard = lookups
                .ask_for("mia", "x", Some(Duration::ZERO), 2 * TIME)
                .await;
            assert!(heard.answer.expect("an answer") >= arrived);
        }
    };
    let first = tokio::spawn(ask());
    sleep(millis(100)).await;
    let rest: Vec<_> = (0..50).map(|_| tokio::spawn(ask())).collect();
    for call in [first].into_iter().chain(rest) {
        call.await.expect("no panic");
    }
    assert_eq!(fake.reads().len(), 2);
}

/// There is room for a read, but it takes its time: who has something to show doesn't wait for long.
#[tokio::test(start_paused = true)]
async fn a_slow_refresh_goes_on_behind() {
    let fake = Fake::limited();
    let lookups = Lookups::before(&fake, &[]);
    let first = lookups.ask("mia", "x").await.answer.expect("an answer");
    fake.behave(|_| found().after(SECOND));
    sleep(2 * SECOND).await;
    let heard = lookups.ask("mia", "x").await;
    assert_eq!(heard.answer, Ok(first));
    assert!(
        millis(240) < heard.took && heard.took < millis(260),
        "{heard:?}"
    );
    // Half of the time that is left, if that is less.
    let heard = lookups.ask_for("mia", "x", None, millis(100)).await;
    assert_eq!(heard.answer, Ok(first));
    assert!(heard.took <= millis(52), "{heard:?}");
    sleep(SECOND).await;
    let heard = lookups.ask_for("mia", "x", Some(2 * SECOND), TIME).await;
    assert!(heard.answer.unwrap() > first, "the read was kept");
    assert_eq!(fake.reads().len(), 2);
}

/// Who is in a hurry hears what is known when half of the time has gone.
#[tokio::test(start_paused = true)]
async fn a_deadline_halves_the_wait_for_a_refresh() {
    let fake = Fake::limited();
    let lookups = Lookups::before(&fake, &["--refresh-wait", "250ms"]);
    lookups.ask("mia", "x").await.answer.expect("an answer");
    fake.behave(|_| found().after(SECOND * 5));
    sleep(SECOND * 2).await;
    for (time, wait) in [(millis(300), millis(150)), (TIME, millis(250))] {
        let heard = lookups.ask_for("mia", "x", None, time).await;
        heard.answer.expect("what is known");
        assert_eq!(heard.took, wait);
        // That read isn't joined any more.
        sleep(TIME).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_wins_over_what_was_known() {
    for error in [
        rejected(),
        Error::CallNotFound,
        Error::Forbidden(UpstreamText::default()),
    ] {
        let fake = Fake::limited();
        let lookups = Lookups::before(&fake, &[]);
        lookups.ask("mia", "x").await.answer.expect("an answer");
        let refusal = error.clone();
        fake.behave(move |_| failed(400, refusal.clone()));
        sleep(2 * SECOND).await;
        assert_eq!(lookups.ask("mia", "x").await.answer, Err(error.clone()));
        fake.behave(|_| failed(500, Error::UpstreamFailed { http_status: 500 }));
        sleep(2 * SECOND).await;
        let heard = lookups.ask("mia", "x").await;
        assert_eq!(
            heard.answer,
            Err(Error::UpstreamFailed { http_status: 500 })
        );
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_are_remembered_for_a_second() {
    for error in [rejected(), Error::CallNotFound, Error::CredentialsRejected] {
        let fake = Fake::limited();
        let refusal = error.clone();
        fake.behave(move |_| failed(400, refusal.clone()));
        let lookups = Lookups::before(&fake, &[]);
        for (pause, reads) in [(0, 1), (900, 1), (200, 2)] {
            sleep(millis(pause)).await;
            assert_eq!(lookups.ask("mia", "x").await.answer, Err(error.clone()));
            assert_eq!(fake.reads().len(), reads, "{pause}");
        }
        let heard = lookups
            .ask_for("mia", "x", Some(Duration::ZERO), TIME)
            .await;
        assert_eq!(heard.answer, Err(error));
        assert_eq!(fake.reads().len(), 3, "zero meets no remembered refusal");
    }
}

#[tokio::test(start_paused = true)]
async fn a_401_drops_what_was_told_to_those_credentials() {
    let fake = Fake::limited();
    let lookups = Lookups::before(&fake, &[]);
    for (user, call_id) in [("mia", "x"), ("mia", "y"), ("jane", "x")] {
        lookups.ask(user, call_id).await.answer.expect("an answer");
    }
    fake.behave(|read| match &*read.user {
        "mia" => failed(401, Error::CredentialsRejected),
        _ => found(),
    });
    let heard = lookups
        .ask_for("mia", "x", Some(Duration::ZERO), TIME)
        .await;
    assert_eq!(heard.answer, Err(Error::CredentialsRejected));
    let reads = fake.reads().len();
    lookups.ask("jane", "x").await.answer.expect("hers");
    assert_eq!(fake.reads().len(), reads);
    let heard = lookups.ask("mia", "y").await;
    assert_eq!(heard.answer, Err(Error::CredentialsRejected));
}

/// However long after its start the first caller leaves, those who joined are served by the same read.
#[tokio::test(start_paused = true)]
async fn a_leader_may_leave_at_any_moment() {
    for leaving_after in 0..30 {
        let fake = Fake::limited();
        fake.behave(|_| found().after(millis(20)));
        let lookups = Arc::new(Lookups::before(&fake, &[]));
        let leader = {
            let lookups = Arc::clone(&lookups);
            tokio::spawn(async move { lookups.ask("mia", "x").await })
        };
        tokio::task::yield_now().await;
        let follower = {
            let lookups = Arc::clone(&lookups);
            tokio::spawn(async move { lookups.ask("mia", "x").await })
        };
        tokio::task::yield_now().await;
        sleep(millis(leaving_after)).await;
        leader.abort();
        let heard = follower.await.expect("no panic");
        heard.answer.expect("an answer");
        assert_eq!(fake.reads().len(), 1, "{leaving_after}");
    }
}

/// A read that was sent is kept, though nobody waits for it; one that wasn't is never sent.
#[tokio::test(start_paused = true)]
async fn what_everybody_has_left() {
    let fake = Fake::limited();
    fake.behave(|_| found().after(SECOND));
    let lookups = Lookups::before(&fake, &["--upstream-limit", "1/3s"]);
    let left = timeout(millis(100), lookups.ask("mia", "sent")).await;
    left.expect_err("it takes longer");
    let left = timeout(
        millis(100),
        lookups.ask_for("mia", "unsent", None, 9 * SECOND),
    )
    .await;
    left.expect_err("its turn comes later");
    sleep(9 * SECOND).await;
    let reads: Vec<_> = fake.reads().into_iter().map(|read| read.call_id).collect();
    assert_eq!(reads, ["sent"]);
    let heard = lookups
        .ask_for("mia", "sent", Some(20 * SECOND), TIME)
        .await;
    heard.answer.expect("what was kept");
    assert_eq!(fake.reads().len(), 1);
}

/// No read outlives the ceiling.
#[tokio::test(start_paused = true)]
async fn a_read_ends_at_the_ceiling() {
    let fake = Fake::limited();
    fake.behave(|_| found().after(Duration::from_secs(3600)));
    let lookups = Lookups::before(&fake, &["--request-timeout", "3s"]);
    let heard = lookups.ask_for("mia", "x", None, 60 * SECOND).await;
    assert!(
        matches!(heard.answer, Err(Error::DeadlineExceeded(_))),
        "{heard:?}"
    );
    assert_eq!(heard.took, 3 * SECOND);
}
