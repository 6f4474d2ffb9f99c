//! Rocket.Chat is down, or hangs: what is known is given, what isn't is refused without a wait, and its
//! return is noticed soon. On a paused clock.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use videoconf_facade::error::Error;

use crate::support::fake::{Fake, Lookups, Said, down, failed, found};

const DOWN_AT: Duration = Duration::from_secs(4);
const BACK_AT: Duration = Duration::from_secs(9);

/// Does `trouble` from [`DOWN_AT`] to [`BACK_AT`].
fn troubled(fake: &Fake, trouble: impl Fn() -> Said + Send + 'static) {
    fake.behave(move |read| {
        if DOWN_AT <= read.at && read.at < BACK_AT {
            trouble()
        } else {
            found()
        }
    });
}

/// Asks for the known calls, and for some that are not, until well after the trouble.
async fn ask_through(fake: &Fake, user: &'static str) {
    let lookups = Arc::new(Lookups::before(fake, &[]));
    let mut tasks = tokio::task::JoinSet::new();
    let began = Instant::now();
    for number in 0..10_u32 {
        let lookups = Arc::clone(&lookups);
        tasks.spawn(async move {
            while began.elapsed() < Duration::from_secs(15) {
                sleep(Duration::from_millis(100)).await;
                let at = began.elapsed();
                let heard = lookups.ask(user, &format!("known-{number}")).await;
                if at < Duration::from_secs(3) {
                    continue;
                }
                let read = heard
                    .answer
                    .unwrap_or_else(|error| panic!("{at:?}: {error:?}"));
                assert!(
                    heard.took <= Duration::from_millis(300),
                    "{at:?}: {:?}",
                    heard.took
                );
                // Ten calls take two seconds.
                if at > BACK_AT + Duration::from_secs(4) {
                    assert!(read > began + BACK_AT, "{at:?}");
                }
            }
        });
    }
    let first_after = async {
        sleep(BACK_AT + Duration::from_millis(950)).await;
        lookups
            .ask_for(
                user,
                "known-0",
                Some(Duration::from_secs(1)),
                Duration::from_secs(5),
            )
            .await
    };
    let unknown = async {
        sleep(DOWN_AT + Duration::from_millis(4200)).await;
        lookups.ask(user, "unknown").await
    };
    let (first_after, unknown) = tokio::join!(first_after, unknown);
    first_after.answer.as_ref().expect("it is back");
    assert!(
        first_after.took < Duration::from_millis(600),
        "{first_after:?}"
    );
    match &unknown.answer {
        Err(Error::UpstreamUnavailable { .. }) => {}
        // It was the read that found out.
        Ok(_) => assert!(unknown.took >= Duration::from_millis(800), "{unknown:?}"),
        Err(error) => panic!("{error:?}"),
    }
    // At most as long as one read that finds out.
    assert!(unknown.took < Duration::from_millis(1100), "{unknown:?}");
    for task in tasks.join_all().await {
        let () = task;
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_listens() {
    let fake = Fake::limited();
    troubled(&fake, || failed(0, down()));
    ask_through(&fake, "mia").await;
    assert_eq!(fake.refusals(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_says_that_it_is_not_there() {
    let fake = Fake::limited();
    troubled(&fake, || failed(502, status(502)).unlimited());
    ask_through(&fake, "mia").await;
    assert_eq!(fake.refusals(), 0);
}

#[tokio::test(start_paused = true)]
async fn it_hangs() {
    let fake = Fake::limited();
    troubled(&fake, || found().after(Duration::from_secs(3600)));
    ask_through(&fake, "mia").await;
    assert_eq!(fake.refusals(), 0);
}

/// What hung is counted when it is back, all at once; there is room left for new reads.
#[tokio::test(start_paused = true)]
async fn it_hangs_before_it_counts() {
    let fake = Fake::limited();
    fake.hang(DOWN_AT, BACK_AT);
    ask_through(&fake, "mia").await;
    // One may be on its way when the first answers tell how much was counted.
    assert!(fake.refusals() <= 1, "{}", fake.refusals());
}

/// With as many reads hanging as may be under way.
#[tokio::test(start_paused = true)]
async fn it_hangs_for_who_is_not_limited() {
    let fake = Fake::unlimited();
    troubled(&fake, || found().after(Duration::from_secs(3600)));
    ask_through(&fake, "bot").await;
    assert!(fake.most_in_flight() <= 32);
}

fn status(status: u16) -> Error {
    Error::UpstreamUnavailable {
        cause: videoconf_facade::error::Unavailable::Status(status),
        retry_after: Duration::from_secs(1),
    }
}

/// What is known is given, but not for ever.
#[tokio::test(start_paused = true)]
async fn nothing_older_than_stale_for_is_given() {
    let fake = Fake::limited();
    let lookups = Lookups::before(&fake, &["--stale-for", "5s"]);
    lookups.ask("mia", "x").await.answer.expect("an answer");
    fake.behave(|_| failed(0, down()));
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(4900) {
        let heard = lookups.ask("mia", "x").await;
        heard.answer.expect("what is known");
        sleep(Duration::from_millis(50)).await;
    }
    sleep(Duration::from_millis(200)).await;
    let heard = lookups.ask("mia", "x").await;
    assert!(
        matches!(heard.answer, Err(Error::UpstreamUnavailable { .. })),
        "{heard:?}"
    );
}

/// Without a limit of Rocket.Chat's, none is blamed.
#[tokio::test(start_paused = true)]
async fn who_waits_for_a_read_to_end_hears_that_it_is_ours_to_do_so() {
    let fake = Fake::unlimited();
    fake.behave(|_| found().after(Duration::from_millis(500)));
    let flags = ["--upstream-limit", "none", "--max-reads-in-flight", "4"];
    let lookups = Arc::new(Lookups::before(&fake, &flags));
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..300 {
        let lookups = Arc::clone(&lookups);
        calls.spawn(async move { lookups.ask("mia", &format!("call-{number}")).await.answer });
        sleep(Duration::from_millis(10)).await;
    }
    let answers = calls.join_all().await;
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
    let refused: Vec<_> = refused.collect();
    assert!((200..300).contains(&refused.len()), "{}", refused.len());
    // The last ones that were sent may have been sent too late.
    let is_ours = |error: &&Error| matches!(error, Error::Overloaded | Error::DeadlineExceeded(_));
    let other = refused.into_iter().find(|error| !is_ours(error));
    assert_eq!(other, None);
}
