//! Replicas that share an allowance by a ledger: they spend it together, and take turns. On a paused clock.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use videoconf_facade::replicas::Replica;

use crate::{
    load::{Callers, Load, load},
    support::{
        fake::{Fake, Lookups},
        ledger::Memory,
    },
};

const SECOND: Duration = Duration::from_secs(1);

/// So long a message to the ledger takes, or one from there.
const WAY: Duration = Duration::from_micros(300);

fn replica(fake: &Fake, ledger: &Memory) -> Arc<Lookups> {
    let me = Replica::random();
    let opened = ledger.open(me);
    Arc::new(Lookups::replica(fake, me, opened, &ledger.key))
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
        tokio::time::sleep(SECOND * 10).await;
        trouble(&ledger);
        tokio::time::sleep(SECOND * 5).await;
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
    assert!(reads >= 57 && refused == 0, "{reads} {refused}");
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

/// The others have its turns soon, and one that is new has some as soon.
#[tokio::test(start_paused = true)]
async fn replicas_come_and_go() {
    let fake = Fake::limited();
    let ledger = Memory::new(WAY);
    let mut replicas = replicas(&fake, &ledger, 2);
    let killed = replicas.pop().expect("one");
    let callers = Callers::of("mia", 400);
    let added = async {
        tokio::time::sleep(SECOND * 20).await;
        let added = replica(&fake, &ledger);
        load(&added, callers, SECOND * 10).await
    };
    let _ = tokio::join!(
        load(&replicas[0], callers, SECOND * 30),
        tokio::time::timeout(SECOND * 10, async {
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
