//! A ledger and a shelf in memory: one order, a way there, and times at which nobody gets there.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tonic::async_trait;
use videoconf_facade::{
    credentials::{Fingerprint, FingerprintKey},
    exchange::Moment,
    replicas::{
        Begun, Entry, Event, Kept, Ledger, News, Position, Reader, Replica, Shelf, Tag, Takes,
        Unreachable,
    },
};

/// How long it may take to write, as the real one has it.
const LIMIT: Duration = Duration::from_millis(100);

/// The ledger, and the key with which all replicas make fingerprints. Clones are the same.
#[derive(Clone)]
pub struct Memory {
    inner: Arc<Mutex<Inner>>,
    changed: watch::Sender<()>,
    pub key: FingerprintKey,
}

struct Inner {
    entries: Vec<Entry>,
    kept: HashMap<Tag, Kept>,
    rejected: HashMap<Fingerprint, Instant>,
    /// How often somebody looked whether something is kept.
    looks: usize,
    /// How long a message travels there, or back.
    way: Duration,
    is_reachable: bool,
    /// Those for whom something has failed, as long as their readers haven't told them.
    failed: HashSet<Replica>,
    /// Those who don't get there, though others do.
    cut_off: HashSet<Replica>,
}

/// As one replica writes it.
pub struct Written {
    memory: Memory,
    me: Replica,
}

/// As one replica reads it.
pub struct Read {
    memory: Memory,
    me: Replica,
    changed: watch::Receiver<()>,
    next: usize,
    is_reachable: bool,
}

impl Memory {
    /// With this way there, and back.
    pub fn new(way: Duration) -> Self {
        let inner = Inner {
            entries: Vec::new(),
            kept: HashMap::new(),
            rejected: HashMap::new(),
            looks: 0,
            way,
            is_reachable: true,
            failed: HashSet::new(),
            cut_off: HashSet::new(),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            changed: watch::Sender::default(),
            key: FingerprintKey::random(),
        }
    }

    /// As `me` writes and reads it.
    pub fn open(&self, me: Replica) -> (Written, Read) {
        let written = Written {
            memory: self.clone(),
            me,
        };
        let read = Read {
            memory: self.clone(),
            me,
            changed: self.changed.subscribe(),
            next: 0,
            is_reachable: false,
        };
        (written, read)
    }

    /// Whether anybody gets there.
    pub fn reach(&self, is_reachable: bool) {
        self.inner.lock().unwrap().is_reachable = is_reachable;
        self.changed.send_replace(());
    }

    /// Whether this one does.
    pub fn cut_off(&self, replica: Replica, is_cut_off: bool) {
        let mut inner = self.inner.lock().unwrap();
        if is_cut_off {
            inner.cut_off.insert(replica);
        } else {
            inner.cut_off.remove(&replica);
        }
        drop(inner);
        self.changed.send_replace(());
    }

    /// From now on it takes this long there, and back.
    pub fn slow_down(&self, way: Duration) {
        self.inner.lock().unwrap().way = way;
    }

    /// The reads of which it doesn't say that they are over: their beginnings.
    pub fn unfinished(&self) -> Vec<Entry> {
        let inner = self.inner.lock().unwrap();
        let over: HashSet<_> = inner
            .entries
            .iter()
            .filter_map(|it| match it.event {
                Event::Over(over) => Some(over.read),
                _ => None,
            })
            .collect();
        let begun = inner.entries.iter().filter(|it| match it.event {
            Event::Begun(begun) => !over.contains(&begun.read),
            _ => false,
        });
        begun.cloned().collect()
    }

    /// How often somebody looked whether something is kept.
    pub fn looks(&self) -> usize {
        self.inner.lock().unwrap().looks
    }

    fn way(&self) -> Duration {
        self.inner.lock().unwrap().way
    }

    /// Does something there.
    async fn with<T>(
        &self,
        me: Option<Replica>,
        act: impl FnOnce(&mut Inner) -> T,
    ) -> Result<T, Unreachable> {
        let acting = async {
            sleep(self.way()).await;
            let done = {
                let mut inner = self.inner.lock().unwrap();
                let is_there =
                    inner.is_reachable && me.is_none_or(|it| !inner.cut_off.contains(&it));
                is_there.then(|| act(&mut inner))
            };
            self.changed.send_replace(());
            sleep(self.way()).await;
            done.ok_or(Unreachable)
        };
        let done = timeout(LIMIT, acting).await.unwrap_or(Err(Unreachable));
        if let (Err(Unreachable), Some(me)) = (&done, me) {
            self.inner.lock().unwrap().failed.insert(me);
            self.changed.send_replace(());
        }
        done
    }
}

impl Inner {
    fn add(&mut self, by: Replica, event: Event) -> Position {
        let position = Position(0, self.entries.len() as u64 + 1);
        self.entries.push(Entry {
            position,
            by,
            at: Instant::now(),
            event,
        });
        position
    }
}

impl std::fmt::Debug for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Written")
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Memory")
    }
}

#[async_trait]
impl Shelf for Memory {
    async fn get(&self, tag: Tag, credential: Fingerprint) -> Option<Kept> {
        let got = self.with(None, |inner| {
            inner.looks += 1;
            let kept = inner.kept.get(&tag)?;
            let rejected = inner.rejected.get(&credential);
            let holds = rejected.is_none_or(|rejected| *rejected < kept.read_at.at);
            holds.then(|| kept.clone())
        });
        got.await.ok().flatten()
    }

    async fn put(&self, tag: Tag, kept: &Kept) {
        let put = self.with(None, |inner| inner.kept.insert(tag, kept.clone()));
        let _ = put.await;
    }

    async fn reject(&self, credential: Fingerprint, at: Moment) {
        let rejected = self.with(None, |inner| inner.rejected.insert(credential, at.at));
        let _ = rejected.await;
    }
}

#[async_trait]
impl Ledger for Written {
    async fn note(&self, events: &[Event]) -> Result<(), Unreachable> {
        let noted = self.memory.with(Some(self.me), |inner| {
            for event in events {
                inner.add(self.me, *event);
            }
        });
        noted.await
    }

    async fn begin(&self, begun: &Begun, seen: Position) -> Result<Option<Position>, Unreachable> {
        let beginning = self.memory.with(Some(self.me), |inner| {
            let unseen = inner.entries.iter().filter(|it| it.position > seen);
            let mut others = unseen.filter(|it| it.by != self.me);
            let is_taken = others.any(|it| match &it.event {
                Event::Begun(other) => {
                    let are_counted = [other.takes, begun.takes]
                        .iter()
                        .all(|takes| *takes != Takes::Nothing);
                    are_counted || other.tag == begun.tag
                }
                _ => false,
            });
            (!is_taken).then(|| inner.add(self.me, Event::Begun(*begun)))
        });
        beginning.await
    }
}

impl Reader for Read {
    async fn next(&mut self) -> News {
        loop {
            let news = {
                let mut inner = self.memory.inner.lock().unwrap();
                let has_failed = inner.failed.remove(&self.me);
                let is_reachable = !has_failed
                    && inner.is_reachable
                    && inner.way * 2 < LIMIT
                    && !inner.cut_off.contains(&self.me);
                let entry = inner.entries.get(self.next).filter(|_| is_reachable);
                match entry {
                    Some(entry) => Some((News::Entry(entry.clone()), inner.way)),
                    None if is_reachable && !self.is_reachable => {
                        Some((News::Reachable, Duration::ZERO))
                    }
                    // That shows when something takes too long.
                    None if !is_reachable && self.is_reachable => {
                        Some((News::Unreachable("no way".to_owned()), LIMIT))
                    }
                    None => None,
                }
            };
            match news {
                Some((News::Entry(entry), way)) => {
                    let arrives = entry.at + way;
                    tokio::time::sleep_until(arrives).await;
                    self.next += 1;
                    return News::Entry(entry);
                }
                Some((news, after)) => {
                    sleep(after).await;
                    self.is_reachable = news == News::Reachable;
                    return news;
                }
                None => {
                    // The memory is always there.
                    let _ = self.changed.changed().await;
                }
            }
        }
    }
}
