//! The shelf: what one replica puts there another one finds, if it has the same secret, and nobody else learns
//! anything of it.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use redis::Value;
use tokio::time::{Instant, timeout};
use videoconf_facade::{
    credentials::Fingerprint,
    error::{Error, UpstreamText},
    exchange::Moment,
    replicas::{Kept, News, Reader, Shelf, Tag},
    store::Shelved,
};

use super::server::RedisServer;

const TAG: Tag = Tag([1; 16]);

/// The shelf, as a new replica with this secret has it.
async fn shelf(server: &RedisServer, secret: u8) -> Shelved {
    let (_, mut opened) = server.open(secret);
    let arriving = async { while opened.reader.next().await != News::Reachable {} };
    timeout(Duration::from_secs(5), arriving)
        .await
        .expect("a way there");
    opened.shelf
}

fn mia() -> Fingerprint {
    Fingerprint::from_bytes([2; 16])
}

fn kept(ago: Duration, said: Result<&'static str, Error>) -> Kept {
    Kept {
        read_at: Moment {
            at: Instant::now().checked_sub(ago).expect("a moment"),
            wall: SystemTime::now() - ago,
        },
        said: said.map(|text| Bytes::from_static(text.as_bytes())),
    }
}

#[tokio::test]
#[ignore = "needs a redis-server"]
async fn what_one_puts_there_another_finds() {
    let server = RedisServer::start().await;
    let (one, other) = (shelf(&server, b'x').await, shelf(&server, b'x').await);
    assert_eq!(other.get(TAG, mia()).await, None);
    let text = UpstreamText {
        error: Some("why".to_owned()),
        error_type: None,
    };
    for said in [
        Ok("answer"),
        Err(Error::UpstreamRejected(text)),
        Err(Error::CallNotFound),
    ] {
        let put = kept(Duration::from_secs(3), said);
        one.put(TAG, &put).await;
        let found = other.get(TAG, mia()).await.expect("it");
        assert_eq!(found.said, put.said);
        let (at, expected) = (found.read_at.at, put.read_at.at);
        let apart = at.max(expected) - at.min(expected);
        assert!(apart < Duration::from_millis(50), "{apart:?}");
        // Microseconds are told.
        let apart = put.read_at.wall.duration_since(found.read_at.wall);
        assert!(apart.expect("not later") < Duration::from_micros(1));
        assert_eq!(other.get(Tag([3; 16]), mia()).await, None);
    }
}

/// Whoever has another secret can't read it, nor put anything there that is believed.
#[tokio::test]
#[ignore = "needs a redis-server"]
async fn another_secret_finds_nothing() {
    let server = RedisServer::start().await;
    let (one, stranger) = (shelf(&server, b'x').await, shelf(&server, b'y').await);
    one.put(TAG, &kept(Duration::ZERO, Ok("answer"))).await;
    assert_eq!(stranger.get(TAG, mia()).await, None);
    stranger.put(TAG, &kept(Duration::ZERO, Ok("lie"))).await;
    assert_eq!(one.get(TAG, mia()).await, None);
}

#[tokio::test]
#[ignore = "needs a redis-server"]
async fn what_was_read_before_a_rejection_does_not_hold() {
    let server = RedisServer::start().await;
    let (one, other) = (shelf(&server, b'x').await, shelf(&server, b'x').await);
    let before = kept(Duration::from_secs(1), Ok("answer"));
    one.put(TAG, &before).await;
    let rejected = kept(Duration::ZERO, Err(Error::CredentialsRejected));
    one.reject(mia(), rejected.read_at).await;
    assert_eq!(other.get(TAG, mia()).await, None);
    let bob = Fingerprint::from_bytes([4; 16]);
    assert!(other.get(TAG, bob).await.is_some());
    one.put(TAG, &rejected).await;
    let found = other.get(TAG, mia()).await.expect("the rejection");
    assert_eq!(found.said, Err(Error::CredentialsRejected));
    one.put(TAG, &kept(Duration::ZERO, Ok("accepted again")))
        .await;
    assert!(other.get(TAG, mia()).await.is_some());
}

/// What is kept goes when it is too old to be shown to anybody.
#[tokio::test]
#[ignore = "needs a redis-server"]
async fn nothing_stays() {
    let server = RedisServer::start().await;
    let one = shelf(&server, b'x').await;
    let ago = Duration::from_secs(10);
    one.put(TAG, &kept(ago, Ok("answer"))).await;
    one.reject(mia(), kept(ago, Ok("")).read_at).await;
    for name in server.names("*").await {
        let Value::Int(millis) = server.command(&["PTTL", &name]).await else {
            panic!("no time");
        };
        let bounds = if name.ends_with(":ledger") {
            500_000..=600_000
        } else {
            19_000..=20_000
        };
        assert!(bounds.contains(&millis), "{name}: {millis}");
    }
    let too_old = kept(Duration::from_secs(31), Ok("answer"));
    one.put(Tag([5; 16]), &too_old).await;
    assert_eq!(server.names("*:said:*").await.len(), 1);
}

/// The store's clock may have been set back since it was read: nobody knows how old it is.
#[tokio::test]
#[ignore = "needs a redis-server"]
async fn what_is_of_the_future_is_nothing() {
    let server = RedisServer::start().await;
    let one = shelf(&server, b'x').await;
    for (ahead, is_found) in [(500, true), (2000, false)] {
        let mut kept = kept(Duration::ZERO, Ok("answer"));
        kept.read_at.at += Duration::from_millis(ahead);
        one.put(TAG, &kept).await;
        assert_eq!(one.get(TAG, mia()).await.is_some(), is_found, "{ahead}");
    }
}

#[tokio::test]
#[ignore = "needs a redis-server"]
async fn rubbish_is_overwritten() {
    let server = RedisServer::start().await;
    let one = shelf(&server, b'x').await;
    let answer = || kept(Duration::ZERO, Ok("answer"));
    one.put(TAG, &answer()).await;
    one.reject(mia(), kept(Duration::from_secs(1), Ok("")).read_at)
        .await;
    assert!(one.get(TAG, mia()).await.is_some());
    let said = server.name("*:said:*").await;
    for rubbish in [
        "",
        "\u{1}",
        "\u{1}rubbish of some length that isn't sealed",
        "\u{2}",
    ] {
        server.command(&["SET", &said, rubbish]).await;
        assert_eq!(one.get(TAG, mia()).await, None, "{rubbish:?}");
        one.put(TAG, &answer()).await;
        assert!(one.get(TAG, mia()).await.is_some(), "{rubbish:?}");
    }
    server.command(&["DEL", &said]).await;
    server.command(&["HSET", &said, "a", "b"]).await;
    assert_eq!(one.get(TAG, mia()).await, None);
    one.put(TAG, &answer()).await;
    assert!(one.get(TAG, mia()).await.is_some());
    let rejected = server.name("*:rejected:*").await;
    for rubbish in ["", "-1", "never", "99999999999999999"] {
        server.command(&["SET", &rejected, rubbish]).await;
        assert!(one.get(TAG, mia()).await.is_some(), "{rubbish:?}");
    }
}
