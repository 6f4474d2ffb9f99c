//! Replicas that share an allowance by a ledger: they spend it together, and take turns. On a paused clock.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout};
use videoconf_facade::{
    error::{Error, UpstreamText},
    lookup::CommonStanding,
    replicas::{Entry, Replica},
};

use crate::{
    load::{Callers, Load, load},
    support::{
        fake::{Fake, Lookups, counts, failed, found},
        ledger::Memory,
    },
};

const SECOND: Duration = Duration::from_secs(1);

/// So long a message to the ledger takes, or one from there.
const WAY: Duration = Duration::from_micros(300);

fn replica(fake: &Fake, ledger: &Memory) -> Arc<Lookups> {
    replica_called(Replica::random(), fake, ledger)
}

fn replica_called(me: Replica, fake: &Fake, ledger: &Memory) -> Arc<Lookups> {
    let opened = ledger.open(me);
    let shelf = ledger.clone();
    Arc::new(Lookups::replica(fake, me, opened, shelf, &ledger.key))
}

fn replicas(fake: &Fake, ledger: &Memory, count: usize) -> Vec<Arc<Lookups>> {
    (0..count).map(|_| replica(fake, ledger)).collect()
}

/// Lets callers of each call at each replica for `time`.
async fn load_all(replicas: &[Arc<Lookups>], callers: Callers, time: Duration) -> Vec<Load> {
    join_all(replicas.iter().map(|it| load(it, callers, time))).await
}

/// More is wanted than there is, by everybody.
#[tokio::test(start_paused = true)]
async fn all_of_the_limit_is_used_and_no_more() {
    let fake = Fake::limited();
    let replicas = replicas(&fake, &Memory::new(WAY), 3);
    let time = SECOND * 30;
    let loads = load_all(&replicas, Callers::of("mia", 400), time).await;
    assert_eq!(fake.refusals(), 0);
    let reads = fake.reads().iter().filter(|read| read.at <= time).count();
    assert!(reads * 100 >= 95 * 150, "{reads} of 150");
    for load in &loads {
        let answered = load.heard.iter().filter(|(_, heard)| heard.answer.is_ok());
        assert!(answered.count() > 0);
    }
}

/// Somebody's thousand calls at one replica are one of two turns, for somebody at another one.
#[tokio::test(start_paused = true)]
async fn a_greedy_user_takes_every_other_turn() {
    let fake = Fake::limited();
    let replicas = replicas(&fake, &Memory::new(WAY), 2);
    let time = SECOND * 30;
    let (_, modest) = tokio::join!(
        load(&replicas[0], Callers::of("greedy", 1000), time),
        load(&replicas[1], Callers::of("mia", 3), time)
    );
    assert_eq!(fake.refusals(), 0);
    let filled = SECOND * 4;
    assert!(modest.refused_after(filled).is_empty());
    let oldest = modest.oldest_after(filled);
    assert!(oldest <= SECOND * 3, "{oldest:?}");
}

/// Whoever was second hears nothing of that, nor who was on the way when the ledger went away.
#[tokio::test(start_paused = true)]
async fn a_turn_that_another_had_first_is_waited_for() {
    let fake = Fake::limited();
    let ledger = Memory::new(Duration::from_millis(20));
    let replicas = replicas(&fake, &ledger, 3);
    sleep(SECOND).await;
    // So that nobody is a stranger.
    replicas[0].ask("mia", "x").await.answer.expect("an answer");
    sleep(SECOND).await;
    let asked = replicas.iter().zip(["a", "b", "c"]);
    for heard in join_all(asked.map(|(replica, call)| replica.ask("mia", call))).await {
        heard.answer.expect("an answer");
        assert!(heard.took < SECOND, "{:?}", heard.took);
    }
    let goes = async {
        sleep(Duration::from_millis(10)).await;
        ledger.reach(false);
    };
    let (heard, ()) = tokio::join!(replicas[0].ask("mia", "d"), goes);
    heard.answer.expect("an answer");
}

/// How many reads arrived between these moments, and how many of them were refused.
fn reads_between(fake: &Fake, from: Duration, to: Duration) -> (usize, usize) {
    let reads = fake.reads();
    let between = reads.iter().filter(|it| from <= it.at && it.at < to);
    let refused = between.clone().filter(|it| it.was_refused);
    (between.count(), refused.count())
}

/// Does `trouble` to the ledger after ten seconds and `end` after fifteen, under load of all replicas.
async fn ledger_in_trouble(trouble: impl Fn(&Memory), end: impl Fn(&Memory)) {
    let fake = Fake::limited();
    let ledger = Memory::new(WAY);
    let replicas = replicas(&fake, &ledger, 3);
    let changes = async {
        sleep(SECOND * 10).await;
        trouble(&ledger);
        sleep(SECOND * 5).await;
        end(&ledger);
    };
    let (loads, ()) = tokio::join!(
        load_all(&replicas, Callers::of("mia", 20), SECOND * 30),
        changes
    );
    // Each has answers of its own, which it reads in twelve seconds at first.
    for load in &loads {
        let slowest = load.after(SECOND * 13).map(|heard| heard.took).max();
        assert!(slowest <= Some(Duration::from_millis(300)), "{slowest:?}");
        assert!(load.refused_after(SECOND * 13).is_empty());
    }
    let between = |from: u32, to: u32| reads_between(&fake, SECOND * from, SECOND * to);
    assert_eq!(between(0, 10).1, 0);
    // One window at each change may have some.
    let (reads, refused) = between(10, 14);
    assert!(reads >= 10 && refused <= 10, "{reads} {refused}");
    let (reads, refused) = between(14, 15);
    assert!(reads >= 2 && refused == 0, "{reads} {refused}");
    assert!(between(15, 18).1 <= 10);
    let (reads, refused) = between(18, 30);
    assert!(reads >= 55 && refused == 0, "{reads} {refused}");
    // Each of them is read once, and not once by each.
    let late = fake.reads().into_iter().filter(|it| it.at > SECOND * 20);
    let calls = counts(late.map(|read| read.call_id));
    assert_eq!(calls.len(), 20, "{calls:?}");
    assert!(calls.values().all(|reads| *reads <= 4), "{calls:?}");
    let late = |entry: &Entry| Instant::now() - entry.at < SECOND;
    let unfinished = ledger.unfinished();
    assert!(unfinished.iter().all(late), "{unfinished:?}");
}

#[tokio::test(start_paused = true)]
async fn without_the_ledger_each_has_its_part() {
    ledger_in_trouble(|ledger| ledger.reach(false), |ledger| ledger.reach(true)).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_ledger_is_none() {
    let slow = Duration::from_millis(200);
    ledger_in_trouble(
        |ledger| ledger.slow_down(slow),
        |ledger| ledger.slow_down(WAY),
    )
    .await;
}

/// What it was asked for it does, but nobody hears that in time.
#[tokio::test(start_paused = true)]
async fn what_a_slow_ledger_does_too_late_is_undone() {
    let slow = Duration::from_millis(60);
    ledger_in_trouble(
        |ledger| ledger.slow_down(slow),
        |ledger| ledger.slow_down(WAY),
    )
    .await;
}

/// An operator reads each of these in a line of the log.
#[tokio::test(start_paused = true)]
async fn how_the_limit_is_shared_is_told_once() {
    let fake = Fake::limited();
    let ledger = Memory::new(WAY);
    let first = replica(&fake, &ledger);
    sleep(SECOND * 5).await;
    let second = replica(&fake, &ledger);
    sleep(SECOND * 5).await;
    ledger.reach(false);
    sleep(SECOND * 5).await;
    let apart = CommonStanding::Apart {
        parts: 2,
        why: "no way".to_owned(),
    };
    let together = |others| CommonStanding::Together {
        others,
        strangers: 0,
    };
    let told = |replica: &Lookups| replica.standings.lock().unwrap().clone();
    assert_eq!(told(&first), [together(0), together(1), apart.clone()]);
    assert_eq!(told(&second).last(), Some(&apart));
}

/// The others hear of the end when it is back, or give the read up after the time that reads have.
#[tokio::test(start_paused = true)]
async fn a_reader_that_is_cut_off_holds_up_nobody_for_long() {
    for (cut_off_for, heard_within) in [(SECOND / 2, SECOND), (SECOND * 60, SECOND * 2)] {
        let fake = Fake::limited();
        let ledger = Memory::new(WAY);
        let me = Replica::random();
        let reader = replica_called(me, &fake, &ledger);
        let other = replica(&fake, &ledger);
        sleep(SECOND).await;
        fake.behave(|_| found().after(SECOND / 2));
        let cut = async {
            sleep(SECOND / 4).await;
            ledger.cut_off(me, true);
            sleep(cut_off_for).await;
            ledger.cut_off(me, false);
        };
        let asked = async {
            sleep(SECOND / 8).await;
            other.ask("mia", "x").await
        };
        let first = reader.ask("mia", "x");
        let (first, heard, ()) = tokio::join!(first, asked, cut);
        first.answer.expect("an answer");
        heard.answer.expect("an answer");
        assert!(heard.took < heard_within, "{:?}", heard.took);
    }
}

/// The others have its turns soon, and one that is new has some as soon.
#[tokio::test(start_paused = true)]
async fn replicas_come_and_go() {
    let fake = Fake::limited();
    let ledger = Memory::new(WAY);
    let mut replicas = replicas(&fake, &ledger, 2);
    let killed = replicas.pop().expect("one");
    let callers = Callers::of("mia", 400);
    let added = async {
        sleep(SECOND * 20).await;
        let added = replica(&fake, &ledger);
        load(&added, callers, SECOND * 10).await
    };
    let _ = tokio::join!(
        load(&replicas[0], callers, SECOND * 30),
        timeout(SECOND * 10, async {
            // With whatever it was doing.
            load(&killed, callers, SECOND * 30).await;
            drop(killed);
        }),
        added
    );
    for (from, to, least) in [(0, 10, 47), (12, 20, 36), (20, 30, 47)] {
        let (reads, refused) = reads_between(&fake, SECOND * from, SECOND * to);
        assert!(reads >= least && refused == 0, "{from}: {reads} {refused}");
    }
}

/// They are read by one replica at a time, too, and none of them waits for a turn.
#[tokio::test(start_paused = true)]
async fn what_is_not_limited_is_read_once() {
    let fake = Fake::unlimited();
    let replicas = replicas(&fake, &Memory::new(WAY), 3);
    sleep(SECOND).await;
    replicas[0].ask("mia", "known").await.answer.expect("it");
    sleep(SECOND).await;
    fake.behave(|_| found().after(SECOND / 2));
    let began = Instant::now();
    let calls: Vec<_> = (0..30).map(|call| call.to_string()).collect();
    let asked = replicas.iter().flat_map(|replica| {
        let calls = calls.iter();
        calls.map(move |call| replica.ask("mia", call))
    });
    for heard in join_all(asked).await {
        heard.answer.expect("an answer");
    }
    assert!(began.elapsed() < SECOND * 7 / 10, "{:?}", began.elapsed());
    let reads = counts(fake.reads().into_iter().map(|read| read.call_id));
    assert_eq!(reads.len(), 31);
    assert!(reads.values().all(|reads| *reads == 1), "{reads:?}");
}

/// A read that began and isn't wanted any more holds up nobody elsewhere.
#[tokio::test(start_paused = true)]
async fn what_is_not_limited_is_over_when_nobody_waits_for_it() {
    let fake = Fake::unlimited();
    let replicas = replicas(&fake, &Memory::new(Duration::from_millis(20)), 2);
    sleep(SECOND).await;
    replicas[0].ask("mia", "known").await.answer.expect("it");
    sleep(SECOND).await;
    // In some of that time it begins.
    for millis in 60..140 {
        let call = millis.to_string();
        let leaves = replicas[0].ask_for("mia", &call, None, Duration::from_millis(millis));
        let _ = leaves.await;
        let began = Instant::now();
        replicas[1].ask("mia", &call).await.answer.expect("it");
        assert!(
            began.elapsed() < SECOND / 4,
            "{millis} {:?}",
            began.elapsed()
        );
    }
}

/// As good as one process: each call is read once, and not once by each.
#[tokio::test(start_paused = true)]
async fn forty_calls_are_as_young_as_with_one_process() {
    let fake = Fake::limited();
    let replicas = replicas(&fake, &Memory::new(WAY), 3);
    let time = SECOND * 30;
    let loads = load_all(&replicas, Callers::of("mia", 40), time).await;
    assert_eq!(fake.refusals(), 0);
    let reads = fake.reads().iter().filter(|read| read.at <= time).count();
    assert!(reads * 100 >= 95 * 150, "{reads} of 150");
    let filled = SECOND * 9;
    for load in &loads {
        assert!(load.refused_after(filled).is_empty());
        let oldest = load.oldest_after(filled);
        assert!(oldest <= SECOND * 10, "{oldest:?}");
    }
    let first_fill = fake.reads().into_iter().take(40);
    let calls = counts(first_fill.map(|read| read.call_id));
    assert!(calls.len() >= 38, "{}", calls.len());
}

#[tokio::test(start_paused = true)]
async fn what_one_has_read_all_know() {
    let fake = Fake::limited();
    let ledger = Memory::new(WAY);
    let replicas = replicas(&fake, &ledger, 2);
    sleep(SECOND).await;
    let first = replicas[0].ask("mia", "x").await.answer;
    let same = replicas[1].ask("mia", "x").await;
    assert_eq!(same.answer, first);
    // One that is new, too, and it needn't be fresh.
    sleep(SECOND * 5).await;
    let added = replica(&fake, &ledger);
    fake.behave(|_| found().after(SECOND * 5));
    sleep(SECOND).await;
    assert_eq!(added.ask("mia", "x").await.answer, first);
    assert_eq!(fake.reads().len(), 2, "it is read anew behind");
}

/// Whoever asks a moment later may have more luck.
#[tokio::test(start_paused = true)]
async fn the_trouble_of_one_is_not_that_of_all() {
    let fake = Fake::limited();
    let replicas = replicas(&fake, &Memory::new(WAY), 2);
    sleep(SECOND).await;
    let trouble = Error::UpstreamFailed { http_status: 500 };
    fake.behave({
        let trouble = trouble.clone();
        move |_| failed(500, trouble.clone())
    });
    let first = replicas[0].ask("mia", "x").await;
    assert_eq!(first.answer, Err(trouble));
    fake.behave(|_| found());
    replicas[1].ask("mia", "x").await.answer.expect("an answer");
}

#[tokio::test(start_paused = true)]
async fn callers_of_all_replicas_wait_for_one_read() {
    let fake = Fake::limited();
    let ledger = Memory::new(WAY);
    let replicas = replicas(&fake, &ledger, 3);
    sleep(SECOND).await;
    fake.behave(|_| found().after(SECOND / 2));
    let calls = replicas.iter().map(|replica| replica.ask("mia", "x"));
    let heard = join_all(calls).await;
    assert_eq!(fake.reads().len(), 1);
    for heard in heard {
        heard.answer.expect("an answer");
        assert!(heard.took < SECOND * 6 / 10, "{:?}", heard.took);
    }
    // Before it begins and when it is over, not in between.
    assert!(ledger.looks() <= 9, "{}", ledger.looks());
}

#[tokio::test(start_paused = true)]
async fn who_accepts_no_older_answer_has_one_read() {
    let fake = Fake::limited();
    let replicas = replicas(&fake, &Memory::new(WAY), 2);
    sleep(SECOND).await;
    fake.behave(|_| found().after(SECOND / 2));
    let now = Some(Duration::ZERO);
    let late = async {
        sleep(SECOND / 4).await;
        let arrived = Instant::now();
        let heard = replicas[1].ask_for("mia", "x", now, SECOND * 2).await;
        assert!(heard.answer.expect("an answer") >= arrived);
    };
    let (first, ()) = tokio::join!(replicas[0].ask("mia", "x"), late);
    first.answer.expect("an answer");
    assert_eq!(fake.reads().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_dies_is_replaced_within_a_second() {
    let fake = Fake::limited();
    let mut replicas = replicas(&fake, &Memory::new(WAY), 2);
    sleep(SECOND).await;
    let mut is_first = true;
    fake.behave(move |_| {
        let after = if std::mem::take(&mut is_first) { 60 } else { 0 };
        found().after(SECOND * after)
    });
    let killed = replicas.pop().expect("one");
    let kill = async {
        let asking = timeout(SECOND / 4, killed.ask("mia", "x"));
        assert!(asking.await.is_err());
        drop(killed);
    };
    let other = async {
        sleep(SECOND / 8).await;
        replicas[0].ask("mia", "x").await
    };
    let ((), heard) = tokio::join!(kill, other);
    heard.answer.expect("an answer");
    assert!(heard.took < SECOND * 5 / 4, "{:?}", heard.took);
}

#[tokio::test(start_paused = true)]
async fn answers_never_cross_credentials() {
    let fake = Fake::limited();
    fake.behave(|read| match &*read.user {
        "mia" => found(),
        _ => failed(400, rejected()),
    });
    let replicas = replicas(&fake, &Memory::new(WAY), 2);
    for replica in replicas.iter().cycle().take(6) {
        let (mia, jane) = tokio::join!(replica.ask("mia", "x"), replica.ask("jane", "x"));
        mia.answer.expect("hers");
        assert_eq!(jane.answer, Err(rejected()));
        sleep(SECOND / 4).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_401_drops_what_all_were_told() {
    let fake = Fake::limited();
    let ledger = Memory::new(WAY);
    let replicas = replicas(&fake, &ledger, 2);
    sleep(SECOND).await;
    for replica in &replicas {
        replica.ask("mia", "x").await.answer.expect("an answer");
    }
    fake.behave(|_| failed(401, Error::CredentialsRejected).unlimited());
    let other_call = replicas[0].ask("mia", "y").await;
    assert_eq!(other_call.answer, Err(Error::CredentialsRejected));
    // The others hear of it within milliseconds.
    sleep(Duration::from_millis(10)).await;
    // Nor is it found by one that is new.
    for replica in [&replicas[1], &replica(&fake, &ledger)] {
        let heard = replica.ask("mia", "x").await;
        assert_eq!(heard.answer, Err(Error::CredentialsRejected));
    }
}

fn rejected() -> Error {
    Error::UpstreamRejected(UpstreamText::default())
}
