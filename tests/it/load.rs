//! Many callers before Rocket.Chat's limit, on a paused clock: what they hear, and what it costs.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use videoconf_facade::error::Error;

use crate::support::fake::{Fake, Heard, Lookups, counts, failed, found};

/// What the callers of a load heard.
pub struct Load {
    /// When each call arrived, since the beginning, and what came of it.
    pub heard: Vec<(Duration, Heard)>,
}

/// Who calls: each of `clients` asks `rate / clients` times a second for one of `calls`.
#[derive(Clone, Copy)]
pub struct Callers {
    pub user: &'static str,
    pub calls: u64,
    pub clients: u64,
    pub rate: u32,
}

impl Callers {
    /// Fifty clients of `user`, who ask 500 times a second for one of `calls`.
    pub fn of(user: &'static str, calls: u64) -> Self {
        Self {
            user,
            calls,
            clients: 50,
            rate: 500,
        }
    }
}

/// Lets `callers` call for `time`.
pub async fn load(lookups: &Arc<Lookups>, callers: Callers, time: Duration) -> Load {
    let began = Instant::now();
    let pause = Duration::from_secs(callers.clients) / callers.rate;
    let mut clients = JoinSet::new();
    for client in 0..callers.clients {
        let lookups = Arc::clone(lookups);
        clients.spawn(async move {
            let mut rng = fastrand::Rng::with_seed(client);
            let mut next = began + pause.mul_f64(rng.f64());
            let mut pending = JoinSet::new();
            while next < began + time {
                sleep_until(next).await;
                let call_id = format!("{}-{}", callers.user, rng.u64(0..callers.calls));
                let lookups = Arc::clone(&lookups);
                pending.spawn(async move {
                    let arrived = began.elapsed();
                    (arrived, lookups.ask(callers.user, &call_id).await)
                });
                next += pause;
            }
            pending.join_all().await
        });
    }
    let mut heard = clients.join_all().await.concat();
    heard.sort_by_key(|(arrived, _)| *arrived);
    Load { heard }
}

impl Load {
    pub fn after(&self, time: Duration) -> impl Iterator<Item = &Heard> {
        let late = self
            .heard
            .iter()
            .filter(move |(arrived, _)| *arrived >= time);
        late.map(|(_, heard)| heard)
    }

    pub fn oldest_after(&self, time: Duration) -> Duration {
        self.after(time).map(|heard| heard.age).max().unwrap()
    }

    pub fn refused_after(&self, time: Duration) -> Vec<&Error> {
        let answers = self.after(time).map(|heard| heard.answer.as_ref());
        answers.filter_map(Result::err).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn forty_calls() {
    let fake = Fake::limited();
    let lookups = Arc::new(Lookups::before(&fake, &[]));
    let callers = Callers::of("mia", 40);
    let load = load(&lookups, callers, Duration::from_secs(30)).await;
    let filled = Duration::from_secs(9);
    assert_eq!(fake.refusals(), 0);
    assert!(load.refused_after(filled).is_empty());
    let oldest = load.oldest_after(filled);
    assert!(oldest <= Duration::from_secs(10), "{oldest:?}");
}

#[tokio::test(start_paused = true)]
async fn five_calls() {
    let fake = Fake::limited();
    let lookups = Arc::new(Lookups::before(&fake, &[]));
    let callers = Callers::of("mia", 5);
    let load = load(&lookups, callers, Duration::from_secs(20)).await;
    assert_eq!(fake.refusals(), 0);
    assert!(load.refused_after(Duration::ZERO).is_empty());
    let oldest = load.oldest_after(Duration::ZERO);
    assert!(oldest <= Duration::from_millis(1500), "{oldest:?}");
    for (call_id, reads) in counts(fake.reads().into_iter().map(|read| read.call_id)) {
        assert!(reads <= 20, "{call_id}: {reads}");
    }
}

/// More than can be known at a time.
#[tokio::test(start_paused = true)]
async fn four_hundred_calls() {
    let fake = Fake::limited();
    let lookups = Arc::new(Lookups::before(&fake, &[]));
    let callers = Callers::of("mia", 400);
    let time = Duration::from_secs(30);
    let load = load(&lookups, callers, time).await;
    assert_eq!(fake.refusals(), 0);
    let reads = fake.reads().iter().filter(|read| read.at <= time).count();
    assert!(reads * 100 >= 95 * 150, "{reads} of 150");
    let mut refusals: Vec<_> = load
        .after(Duration::ZERO)
        .filter(|heard| heard.answer.is_err())
        .collect();
    refusals.sort_by_key(|heard| heard.took);
    let median = refusals[refusals.len() / 2];
    assert!(median.took < Duration::from_millis(5), "{median:?}");
    assert!(refusals.iter().all(|heard| heard.retry_after().is_some()));

    // Who waits as long as it hears is served.
    let last = load.heard.iter().rev();
    let mut last = last.filter_map(|(_, heard)| heard.retry_after());
    let retry_after = last.next().expect("a refusal");
    sleep(retry_after).await;
    lookups.ask("mia", "lone").await.answer.expect("an answer");
}

/// Credentials take turns.
#[tokio::test(start_paused = true)]
async fn a_thousand_calls_of_somebody_else() {
    let fake = Fake::limited();
    let lookups = Arc::new(Lookups::before(&fake, &[]));
    let many = Callers {
        user: "jane",
        calls: 1000,
        clients: 100,
        rate: 1000,
    };
    let few = Callers {
        user: "mia",
        calls: 3,
        clients: 100,
        rate: 100,
    };
    let time = Duration::from_secs(20);
    let (load, _) = tokio::join!(load(&lookups, few, time), load(&lookups, many, time));
    assert_eq!(fake.refusals(), 0);
    let oldest = load.oldest_after(Duration::from_secs(1));
    assert!(oldest < Duration::from_secs(2), "{oldest:?}");
    assert!(load.refused_after(Duration::ZERO).is_empty());
}

/// Another client of the same address sends `requests` in three seconds: evenly, or all at once.
async fn neighbour(fake: &Fake, requests: u32, evenly: bool, time: Duration) {
    const SPAN: Duration = Duration::from_secs(3);
    let began = Instant::now() + Duration::from_millis(700);
    for number in 0.. {
        let (round, place) = (number / requests, number % requests);
        let within = if evenly {
            SPAN / requests * place
        } else {
            Duration::from_millis(10) * place
        };
        let next = began + SPAN * round + within;
        if next > began + time {
            break;
        }
        sleep_until(next).await;
        fake.count_neighbour();
    }
}

#[tokio::test(start_paused = true)]
async fn a_neighbour_at_the_same_address() {
    for (requests, evenly) in [(5, true), (5, false), (8, true), (8, false)] {
        let case = format!("{requests} {evenly}");
        let fake = Fake::limited();
        let lookups = Arc::new(Lookups::before(&fake, &[]));
        let callers = Callers::of("mia", 60);
        let time = Duration::from_secs(70);
        let other = neighbour(&fake, requests, evenly, time);
        tokio::join!(load(&lookups, callers, time), other);
        let reads = fake.reads();
        let late = reads
            .iter()
            .filter(|read| Duration::from_secs(10) < read.at && read.at < time);
        let (refused, accepted): (Vec<_>, Vec<_>) = late.partition(|read| read.was_refused);
        assert!(refused.len() <= 2, "{case}: {} were refused", refused.len());
        let left = (15 - requests) * 20;
        assert!(
            accepted.len() * 10 >= left as usize * 8,
            "{case}: {} of {left}",
            accepted.len()
        );
    }
}

/// What others make up isn't paid for by those who have a login.
#[tokio::test(start_paused = true)]
async fn wrong_tokens_disturb_nobody() {
    for answering in [0, 700] {
        let fake = Fake::limited();
        fake.behave(move |read| {
            if read.user == "mia" {
                found()
            } else {
                failed(401, Error::CredentialsRejected)
                    .after(Duration::from_millis(answering))
                    .unlimited()
            }
        });
        let lookups = Arc::new(Lookups::before(&fake, &[]));
        let callers = Callers::of("mia", 20);
        let time = Duration::from_secs(20);
        let attack = async {
            let began = Instant::now();
            let mut pending = JoinSet::new();
            for number in 0..2000 {
                sleep_until(began + Duration::from_millis(10) * number).await;
                let lookups = Arc::clone(&lookups);
                pending.spawn(async move { lookups.ask(&format!("x{number}"), "x").await });
            }
        };
        let (load, ()) = tokio::join!(load(&lookups, callers, time), attack);
        let filled = Duration::from_secs(6);
        assert_eq!(fake.refusals(), 0);
        assert!(load.refused_after(filled).is_empty());
        // Alone it would be 4.1 s; one read of a stranger may hold a unit.
        let oldest = load.oldest_after(filled);
        assert!(
            oldest <= Duration::from_millis(5200),
            "{answering}: {oldest:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_not_limited_waits_for_nobody() {
    let fake = Fake::limited();
    fake.behave(|read| {
        let said = found().after(Duration::from_millis(40));
        if read.user == "bot" {
            said.unlimited()
        } else {
            said
        }
    });
    let lookups = Arc::new(Lookups::before(&fake, &[]));
    let callers = Callers::of("bot", 1_000_000);
    let load = load(&lookups, callers, Duration::from_secs(10)).await;
    assert!(load.refused_after(Duration::ZERO).is_empty());
    assert!(fake.reads().len() > 4900, "{}", fake.reads().len());
    assert!(fake.most_in_flight() <= 32, "{}", fake.most_in_flight());
    let slowest = load
        .after(Duration::from_secs(1))
        .map(|heard| heard.took)
        .max();
    assert!(slowest < Some(Duration::from_millis(100)), "{slowest:?}");
}

#[tokio::test(start_paused = true)]
async fn a_window_that_was_used_up_before_costs_one_refusal() {
    let fake = Fake::limited();
    for _ in 0..15 {
        fake.count_neighbour();
    }
    let lookups = Arc::new(Lookups::before(&fake, &[]));
    let callers = Callers::of("mia", 20);
    let load = load(&lookups, callers, Duration::from_secs(15)).await;
    assert_eq!(fake.refusals(), 1);
    assert!(load.refused_after(Duration::from_secs(8)).is_empty());
}

/// A proxy that strips headers makes everybody look unlimited. One refusal shows that they aren't.
#[tokio::test(start_paused = true)]
async fn a_limit_that_is_not_told_is_kept_all_the_same() {
    let fake = Fake::limited();
    fake.behave(|_| found().untold());
    let lookups = Arc::new(Lookups::before(&fake, &[]));
    let callers = Callers::of("mia", 40);
    let load = load(&lookups, callers, Duration::from_secs(50)).await;
    // Those that were under way together with the first.
    assert!(fake.refusals() <= 32, "{}", fake.refusals());
    let reads = fake.reads();
    let last = reads.iter().rfind(|read| read.was_refused).expect("one");
    assert!(last.at < Duration::from_secs(1), "{last:?}");
    let filled = Duration::from_secs(15);
    assert!(load.refused_after(filled).is_empty());
}

/// Roles change.
#[tokio::test(start_paused = true)]
async fn who_is_limited_from_now_on_is_noticed() {
    let fake = Fake::limited();
    let change = Duration::from_secs(5);
    fake.behave(move |read| {
        if read.at < change {
            found().unlimited()
        } else {
            found()
        }
    });
    let lookups = Arc::new(Lookups::before(&fake, &[]));
    let callers = Callers::of("bot", 40);
    load(&lookups, callers, Duration::from_secs(30)).await;
    assert!(fake.refusals() <= 32, "{}", fake.refusals());
    let reads = fake.reads();
    let late = reads.iter().filter(|read| read.was_refused);
    assert!(late.map(|read| read.at).max() < Some(change + Duration::from_secs(1)));
}

/// `--upstream-limit` is what is kept to, whatever Rocket.Chat would allow.
#[tokio::test(start_paused = true)]
async fn a_share_of_the_limit_is_kept_to() {
    let fake = Fake::limited();
    let lookups = Arc::new(Lookups::before(&fake, &["--upstream-limit", "5/3s"]));
    let callers = Callers::of("mia", 40);
    load(&lookups, callers, Duration::from_secs(31)).await;
    let reads = fake.reads().len();
    assert!((48..=56).contains(&reads), "{reads}");
}

/// A read that waits as a refresh is read at once when somebody comes who can't use what is known.
#[tokio::test(start_paused = true)]
async fn who_has_nothing_to_show_comes_first() {
    let fake = Fake::limited();
    let lookups = Arc::new(Lookups::before(&fake, &[]));
    let callers = Callers::of("mia", 40);
    let particular = async {
        sleep(Duration::from_secs(12)).await;
        for number in 0..10 {
            let (max_age, timeout) = (Duration::from_millis(300), Duration::from_secs(2));
            let call_id = format!("mia-{number}");
            let heard = lookups
                .ask_for("mia", &call_id, Some(max_age), timeout)
                .await;
            heard.answer.as_ref().expect("an answer");
            assert!(heard.took < Duration::from_millis(500), "{heard:?}");
        }
    };
    tokio::join!(load(&lookups, callers, Duration::from_secs(16)), particular);
}

/// Those who were refused are expected again, but not for ever: after a storm an idle facade spends a
/// burst as ever.
#[tokio::test(start_paused = true)]
async fn a_storm_is_forgotten() {
    let fake = Fake::limited();
    let lookups = Arc::new(Lookups::before(&fake, &[]));
    let storm = Callers {
        user: "mia",
        calls: 1000,
        clients: 50,
        rate: 1000,
    };
    load(&lookups, storm, Duration::from_secs(3)).await;
    sleep(Duration::from_secs(30)).await;
    let calls: Vec<_> = (0..10).map(|number| number.to_string()).collect();
    let heard =
        futures_util::future::join_all(calls.iter().map(|call_id| lookups.ask("mia", call_id)));
    for heard in heard.await {
        heard.answer.as_ref().expect("an answer");
        assert!(heard.took < Duration::from_millis(500), "{heard:?}");
    }
}

/// Callers who are refused together are told to come again one by one.
#[tokio::test(start_paused = true)]
async fn who_is_refused_comes_again_one_by_one() {
    let fake = Fake::limited();
    let lookups = Arc::new(Lookups::before(&fake, &[]));
    lookups.ask("mia", "known").await.answer.expect("an answer");
    let calls: Vec<_> = (0..60).map(|number| number.to_string()).collect();
    let heard =
        futures_util::future::join_all(calls.iter().map(|call_id| lookups.ask("mia", call_id)));
    let mut told: Vec<_> = heard.await.iter().filter_map(Heard::retry_after).collect();
    told.sort();
    assert!(told.len() > 30, "{told:?}");
    let together = told.windows(3).filter(|three| three[2] == three[0]).count();
    assert_eq!(together, 0, "{told:?}");
}
