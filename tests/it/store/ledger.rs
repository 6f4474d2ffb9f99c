//! The ledger: one order, conditions that hold, and trouble that is told.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use videoconf_facade::{
    credentials::Fingerprint,
    replicas::{
        Begun, Entry, Event, KeyId, Ledger, News, Position, ReadId, Reader, Tag, Takes,
        Unreachable, Waits,
    },
    store::Read,
};

use super::server::RedisServer;

async fn next(reader: &mut Read) -> News {
    let next = timeout(Duration::from_secs(5), reader.next());
    next.await.expect("news")
}

/// The next entry that isn't a sign of life.
async fn next_entry(reader: &mut Read) -> Entry {
    loop {
        match next(reader).await {
            News::Entry(entry) if !matches!(entry.event, Event::Alive(..)) => return entry,
            News::Unreachable(why) => panic!("{why}"),
            News::Entry(_) | News::Reachable => {}
        }
    }
}

async fn reachable(reader: &mut Read) {
    while next(reader).await != News::Reachable {}
}

/// Why it isn't any more.
async fn unreachable(reader: &mut Read) -> String {
    loop {
        if let News::Unreachable(why) = next(reader).await {
            return why;
        }
    }
}

fn begun(tag: u8, takes: Takes) -> Begun {
    Begun {
        read: ReadId::random(),
        tag: Tag([tag; 16]),
        credential: Fingerprint::from_bytes([9; 16]),
        takes,
    }
}

#[tokio::test]
#[ignore = "needs a redis-server"]
async fn what_one_writes_all_read_in_one_order() {
    let server = RedisServer::start().await;
    let (one, writes, mut reads) = server.ledger();
    let (other, also_writes, mut also_reads) = server.ledger();
    reachable(&mut reads).await;
    reachable(&mut also_reads).await;
    let sent = Event::Sent(Duration::from_millis(20));
    writes.note(&[sent, Event::Left]).await.expect("written");
    also_writes.note(&[sent]).await.expect("written");
    let expected = [(one, sent), (one, Event::Left), (other, sent)];
    let mut last = Position::default();
    for (by, event) in expected {
        let (entry, same) = (
            next_entry(&mut reads).await,
            next_entry(&mut also_reads).await,
        );
        assert_eq!((entry.by, entry.event), (by, event));
        assert_eq!(
            (same.position, same.by, same.event),
            (entry.position, by, event)
        );
        assert!(entry.position > last);
        last = entry.position;
        let apart = Instant::now().saturating_duration_since(entry.at);
        assert!(apart < Duration::from_secs(1), "{apart:?}");
    }
}

#[tokio::test]
#[ignore = "needs a redis-server"]
async fn who_is_new_reads_what_was_written_before() {
    let server = RedisServer::start().await;
    let (_, writes, mut reads) = server.ledger();
    reachable(&mut reads).await;
    for _ in 0..1500 {
        writes.note(&[Event::Left]).await.expect("written");
    }
    let (_, _, mut later) = server.ledger();
    let mut count = 0;
    // All of it, before it is told that it can be reached.
    while let News::Entry(entry) = next(&mut later).await {
        count += usize::from(entry.event == Event::Left);
    }
    assert_eq!(count, 1500);
}

#[tokio::test]
#[ignore = "needs a redis-server"]
async fn a_read_begins_if_no_other_one_is_unknown() {
    let server = RedisServer::start().await;
    let (_, writes, mut reads) = server.ledger();
    let (_, also_writes, mut also_reads) = server.ledger();
    reachable(&mut reads).await;
    reachable(&mut also_reads).await;
    let start = Position::default();
    let first = writes.begin(&begun(1, Takes::One), start).await;
    let first = first.expect("written").expect("nobody else");
    // One's own is known.
    let own = writes.begin(&begun(2, Takes::One), start).await;
    assert!(own.expect("written").is_some());
    for (tag, takes, seen, is_begun) in [
        (3, Takes::One, start, false),
        (3, Takes::OneForAStranger, first, false),
        (3, Takes::Nothing, start, true),
        (1, Takes::Nothing, start, false),
        (1, Takes::Nothing, first, true),
    ] {
        let begun = also_writes.begin(&begun(tag, takes), seen).await;
        assert_eq!(
            begun.expect("written").is_some(),
            is_begun,
            "{tag} {takes:?}"
        );
    }
    let all_seen = next_entry(&mut also_reads).await;
    assert_eq!(all_seen.position, first);
    let second = next_entry(&mut also_reads).await.position;
    let begun = also_writes.begin(&begun(3, Takes::One), second).await;
    assert!(begun.expect("written").is_some());
}

#[tokio::test]
#[ignore = "needs a redis-server"]
async fn rubbish_is_skipped() {
    let server = RedisServer::start().await;
    let (_, writes, mut reads) = server.ledger();
    reachable(&mut reads).await;
    let key = &*server.name("*:ledger").await;
    server.command(&["XADD", key, "*", "kind", "rubbish"]).await;
    server
        .command(&["XADD", key, "*", "kind", "begun", "by", "1"])
        .await;
    writes.note(&[Event::Left]).await.expect("written");
    assert_eq!(next_entry(&mut reads).await.event, Event::Left);
    let begun = writes
        .begin(&begun(1, Takes::One), Position::default())
        .await;
    assert!(begun.expect("written").is_some());
}

#[tokio::test]
#[ignore = "needs a redis-server"]
async fn it_is_told_that_it_hangs_and_that_it_is_back() {
    let server = RedisServer::start().await;
    let (_, writes, mut reads) = server.ledger();
    reachable(&mut reads).await;
    server.hang(true);
    let asked = Instant::now();
    assert_eq!(writes.note(&[Event::Left]).await, Err(Unreachable));
    assert!(asked.elapsed() < Duration::from_millis(300));
    unreachable(&mut reads).await;
    assert!(asked.elapsed() < Duration::from_millis(500));
    assert_eq!(writes.note(&[Event::Left]).await, Err(Unreachable));
    server.hang(false);
    let back = Instant::now();
    reachable(&mut reads).await;
    assert!(back.elapsed() < Duration::from_secs(2));
    let waits = Event::Alive(Waits::default(), KeyId(0));
    writes.note(&[waits]).await.expect("written");
}

#[tokio::test]
#[ignore = "needs a redis-server"]
async fn it_is_told_that_it_ends_and_that_it_is_back_without_memory() {
    let mut server = RedisServer::start().await;
    let (_, writes, mut reads) = server.ledger();
    reachable(&mut reads).await;
    writes.note(&[Event::Left]).await.expect("written");
    next_entry(&mut reads).await;
    server.stop();
    unreachable(&mut reads).await;
    server.start_again().await;
    reachable(&mut reads).await;
    writes.note(&[Event::Left]).await.expect("written");
    assert_eq!(next_entry(&mut reads).await.event, Event::Left);
}

#[tokio::test]
#[ignore = "needs a redis-server"]
async fn one_that_cannot_be_written_is_not_there() {
    let server = RedisServer::start().await;
    let (_, writes, mut reads) = server.ledger();
    reachable(&mut reads).await;
    for (name, wrong, right) in [("maxmemory", "1", "0"), ("min-replicas-to-write", "1", "0")] {
        server.command(&["CONFIG", "SET", name, wrong]).await;
        assert_eq!(writes.note(&[Event::Left]).await, Err(Unreachable));
        let why = unreachable(&mut reads).await;
        assert!(!why.is_empty());
        let none = timeout(Duration::from_secs(1), reads.next()).await;
        assert!(none.is_err(), "{none:?}");
        server.command(&["CONFIG", "SET", name, right]).await;
        reachable(&mut reads).await;
    }
}

#[tokio::test]
#[ignore = "needs a redis-server"]
async fn what_is_flushed_is_missed_by_nobody() {
    let server = RedisServer::start().await;
    let (_, writes, mut reads) = server.ledger();
    reachable(&mut reads).await;
    writes.note(&[Event::Left]).await.expect("written");
    let last = next_entry(&mut reads).await.position;
    server.command(&["FLUSHALL"]).await;
    // The stream begins anew, with its clock's milliseconds.
    while server.millis().await <= last.0 + 1 {}
    let begun = writes
        .begin(&begun(1, Takes::One), Position::default())
        .await;
    assert!(begun.expect("written").is_some());
    assert!(matches!(
        next_entry(&mut reads).await.event,
        Event::Begun(_)
    ));
}

/// As after a failover to a server whose clock is behind: what is written has smaller positions than what was read.
#[tokio::test]
#[ignore = "needs a redis-server"]
async fn one_that_begins_anew_is_read_anew() {
    let server = RedisServer::start().await;
    let (_, writes, mut reads) = server.ledger();
    reachable(&mut reads).await;
    let key = &*server.name("*:ledger").await;
    let ahead = format!("{}-0", server.millis().await + 30_000);
    server
        .command(&["XADD", key, &ahead, "kind", "left", "by", "7"])
        .await;
    assert_eq!(next_entry(&mut reads).await.event, Event::Left);
    writes.note(&[Event::Left]).await.expect("written");
    next_entry(&mut reads).await;
    server.command(&["DEL", key]).await;
    // It is written, and nobody who read what was there would see it.
    assert_eq!(
        writes.note(&[Event::Sent(Duration::ZERO)]).await,
        Err(Unreachable)
    );
    unreachable(&mut reads).await;
    let entry = next_entry(&mut reads).await;
    assert_eq!(entry.event, Event::Sent(Duration::ZERO));
    reachable(&mut reads).await;
    writes.note(&[Event::Left]).await.expect("written");
}

/// Nothing could be written behind that, or not for long.
#[tokio::test]
#[ignore = "needs a redis-server"]
async fn what_is_of_the_far_future_is_thrown_away() {
    for id in [
        "18446744073709551615-18446744073709551615",
        "9999999999999-0",
    ] {
        let server = RedisServer::start().await;
        let (_, _, mut reads) = server.ledger();
        reachable(&mut reads).await;
        let key = &*server.name("*:ledger").await;
        server
            .command(&["XADD", key, id, "kind", "left", "by", "7"])
            .await;
        let (_, writes, mut later) = server.ledger();
        reachable(&mut later).await;
        writes.note(&[Event::Left]).await.expect("written");
        assert_eq!(next_entry(&mut later).await.event, Event::Left);
    }
}
