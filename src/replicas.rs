//! What replicas that share Rocket.Chat's limit tell each other, and the traits of what carries it: a ledger
//! that all of them write and read, in one order, and a shelf for what they have read.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;

use ring::hmac::{self, HMAC_SHA256};

use crate::{
    credentials::Fingerprint,
    error::Error,
    exchange::{Head, Moment},
    query::Key,
    route::Parameters,
};

/// A process among those that share. Its name is made anew with each start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Replica(pub u64);

/// The name of a read of Rocket.Chat, whichever replica makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReadId(pub u64);

/// Stands for what is asked, and for whom, where nobody may learn that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tag(pub [u8; 16]);

/// Stands for the secret that a replica has: those with the same one understand each other's tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(pub u64);

/// Makes tags. Replicas with the same one understand each other.
#[derive(Clone)]
pub struct TagKey(hmac::Key);

/// A place in the ledger: later entries have larger ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub u64, pub u64);

/// A line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub position: Position,
    /// Whose it is.
    pub by: Replica,
    /// When it happened.
    pub at: Instant,
    /// What happened.
    pub event: Event,
}

/// What happened at a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It lives and has this secret, and that waits for a turn there.
    Alive(Waits, KeyId),
    /// It won't be heard of any more.
    Left,
    /// A read begins.
    Begun(Begun),
    /// It is over.
    Over(Over),
    /// A request was sent so long ago, when nobody could be told.
    Sent(Duration),
}

/// What waits for its turn at a replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// How many reads.
    pub reads: u32,
    /// With which credential the next one is.
    pub next: Option<Fingerprint>,
}

/// A read that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Its name.
    pub read: ReadId,
    /// What is read.
    pub tag: Tag,
    /// With which credential.
    pub credential: Fingerprint,
    /// What it takes of the limit.
    pub takes: Takes,
}

/// What a read takes of the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// One request.
    One,
    /// One, with a credential that was never accepted.
    OneForAStranger,
    /// Nothing: Rocket.Chat doesn't limit it.
    Nothing,
}

/// What came of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over {
    /// Of which read.
    pub read: ReadId,
    /// With which credential.
    pub credential: Fingerprint,
    /// Whether it was sent.
    pub was_sent: bool,
    /// The head of the answer, if there was one.
    pub head: Option<Head>,
}

/// The ledger can't be written just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreachable;

/// The ledger, as it is written. No operation takes long, or it has failed.
#[async_trait]
pub trait Ledger: fmt::Debug + Send + Sync + 'static {
    /// Adds these events.
    async fn note(&self, events: &[Event]) -> Result<(), Unreachable>;

    /// Begins a read, and says where that stands, unless another replica was first: `None` if there is a read
    /// behind `seen` that takes of the limit, if this one does too, or one of the same.
    async fn begin(&self, begun: &Begun, seen: Position) -> Result<Option<Position>, Unreachable>;
}

/// What Rocket.Chat said, as replicas keep it for each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// When the request for it was sent.
    pub read_at: Moment,
    /// The answer, in a form that is its own, or a refusal.
    pub said: Result<Bytes, Error>,
}

/// Where replicas keep what they have read. No operation takes long, or it has failed.
#[async_trait]
pub trait Shelf: fmt::Debug + Send + Sync + 'static {
    /// What was kept last for what `tag` stands for, unless `credential` was rejected since. `None` if there is nothing,
    /// or nobody can get there.
    async fn get(&self, tag: Tag, credential: Fingerprint) -> Option<Kept>;

    /// Keeps it. It is nobody's fault if that fails.
    async fn put(&self, tag: Tag, kept: &Kept);

    /// Whatever was kept of `credential` until `at` doesn't hold any more.
    async fn reject(&self, credential: Fingerprint, at: Moment);
}

/// What there is to be read in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The next entry of any replica, of this one too.
    Entry(Entry),
    /// From now on it can be written and read, and all that there was has been read.
    Reachable,
    /// From now on it can't, since this has failed.
    Unreachable(String),
}

/// Reads the ledger, from what was written a minute ago on.
pub trait Reader: Send + 'static {
    /// Waits for what is next. Nothing is lost if that is dropped.
    fn next(&mut self) -> impl Future<Output = News> + Send;
}

impl Replica {
    /// A name that no other one has.
    #[must_use]
    pub fn random() -> Self {
        Self(fastrand::u64(..))
    }
}

impl TagKey {
    /// One that is made of a secret.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(HMAC_SHA256, secret))
    }

    /// What stands for a query.
    #[must_use]
    pub fn tag<P: Parameters>(&self, key: &Key<P>) -> Tag {
        let mut hash = hmac::Context::with_key(&self.0);
        let name = P::ROUTE.name.as_bytes();
        // With its length, or a piece of one could count as a piece of the other.
        hash.update(&name.len().to_le_bytes());
        hash.update(name);
        hash.update(key.fingerprint.as_bytes());
        hash.update(key.parameters.identity());
        let mut tag = [0; 16];
        tag.copy_from_slice(&hash.sign().as_ref()[..16]);
        Tag(tag)
    }
}

impl fmt::Debug for TagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TagKey([redacted])")
    }
}

impl ReadId {
    /// A name that no other one has.
    #[must_use]
    pub fn random() -> Self {
        Self(fastrand::u64(..))
    }
}
