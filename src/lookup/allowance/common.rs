//! The allowance shared with replicas: a turn is one when the ledger says so, and what they write is known here.

use std::{future::pending, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Allowance,
    others::BEAT,
    release,
    state::{Next, Step},
    ticket::Ticket,
};
use crate::{
    credentials::Fingerprint,
    query::Key,
    replicas::{
        Begun, Event, KeyId, Ledger, News, Position, ReadId, Reader, Replica, Tag, TagKey, Takes,
        Unreachable,
    },
    route::Parameters,
    sync::{Notify, select, sleep_until, watch},
};

/// How long a turn that another replica had first is tried for again at the latest. What that one wrote is
/// read sooner.
const AGAIN: Duration = Duration::from_millis(50);

/// How the allowance is shared.
#[derive(Clone, Debug)]
pub struct Common {
    /// Who we are.
    pub me: Replica,
    /// Where all replicas write what they read.
    pub ledger: Arc<dyn Ledger>,
    /// Names what is read.
    pub tags: TagKey,
    /// Stands for the secret that `tags` was made of.
    pub key: KeyId,
    /// No read of any replica takes longer.
    pub longest_read: Duration,
}

/// Whether the allowance is shared just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// All of it is everybody's.
    Together {
        /// How many other replicas there are.
        others: usize,
        /// How many of them have another secret, so that what they read can't be had.
        strangers: usize,
    },
    /// The ledger can't be written.
    Apart {
        /// There are so many parts, of which one is ours.
        parts: usize,
        /// What has failed.
        why: String,
    },
}

/// What `Common` is, in use.
#[derive(Debug)]
pub(super) struct Sharing {
    pub common: Common,
    /// There may be something to write.
    pub unwritten: Notify,
}

/// Whether a replica reads what somebody here wants to know.
#[derive(Debug)]
pub struct Watched {
    allowance: Allowance,
    tag: Tag,
    /// There until the end.
    reading: Option<watch::Receiver<Option<Instant>>>,
}

impl Watched {
    /// Waits until one does: since when.
    pub async fn begun(&mut self) -> Instant {
        match self.changed_to(Option::is_some).await {
            Some(since) => since,
            None => pending().await,
        }
    }

    /// Waits until none does any more.
    pub async fn over(&mut self) {
        self.changed_to(Option::is_none).await;
    }

    async fn changed_to(&mut self, is_it: impl FnMut(&Option<Instant>) -> bool) -> Option<Instant> {
        let reading = self.reading.as_mut()?;
        // What it is sent by is kept as long as this is.
        reading.wait_for(is_it).await.ok().and_then(|it| *it)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        drop(self.reading.take());
        if let Some(others) = &mut self.allowance.lock().others {
            others.unwatch(self.tag);
        }
    }
}

impl Allowance {
    /// Stands for what is asked, if that is told to replicas.
    #[must_use]
    pub fn tag<P: Parameters>(&self, key: &Key<P>) -> Option<Tag> {
        let sharing = self.0.sharing.as_ref();
        sharing.map(|sharing| sharing.common.tags.tag(key))
    }

    /// Watches whether a replica reads what `tag` stands for.
    #[must_use]
    pub fn watch_tag(&self, tag: Tag) -> Option<Watched> {
        let mut state = self.lock();
        let reading = state.others.as_mut()?.watch(tag);
        Some(Watched {
            allowance: self.clone(),
            tag,
            reading: Some(reading),
        })
    }

    /// Follows what is written in the ledger, and writes there, until this is dropped. Whoever was rejected
    /// elsewhere is told to `rejected`; and `standing` how it is shared, whenever that changes.
    pub async fn share(
        &self,
        mut reader: impl Reader,
        rejected: impl Fn(Fingerprint) + Send,
        standing: impl Fn(Standing) + Send,
    ) {
        let Some(sharing) = &self.0.sharing else {
            return;
        };
        let reading = async {
            loop {
                match reader.next().await {
                    News::Entry(entry) => {
                        if let Event::Over(over) = &entry.event
                            && over.head.is_some_and(|head| head.status == 401)
                        {
                            rejected(over.credential);
                        }
                        let released = self.lock().learn(&entry, Instant::now());
                        release(released);
                    }
                    News::Reachable => self.lock().join(Instant::now()),
                    News::Unreachable(why) => {
                        let mut state = self.lock();
                        state.part(Instant::now());
                        if let Some(others) = &mut state.others {
                            others.trouble = Some(why);
                        }
                    }
                }
                self.0.changed();
            }
        };
        let writing = async {
            let mut told = None;
            loop {
                let (events, stands) = {
                    let mut state = self.lock();
                    let now = Instant::now();
                    state.bury(now);
                    (state.news(now), state.standing_in_common())
                };
                if stands != told
                    && let Some(stands) = &stands
                {
                    standing(stands.clone());
                }
                told = stands;
                // Whoever reads it hears that it can't be written.
                if !events.is_empty() && sharing.common.ledger.note(&events).await.is_err() {
                    self.lock().tell_again(events);
                }
                select! {
                    () = sharing.unwritten.notified() => {}
                    () = sleep_until(Instant::now() + BEAT) => {}
                }
            }
        };
        tokio::join!(reading, writing);
    }

    /// Tells the others that they won't hear of us any more.
    pub async fn leave(&self) {
        if let Some(sharing) = &self.0.sharing {
            // If nobody can be told, they will notice.
            let _ = sharing.common.ledger.note(&[Event::Left]).await;
        }
    }

    /// Hands out the turns that are due, of all replicas' turns.
    pub(super) async fn step_in_common(&self, sharing: &Sharing) -> Step {
        loop {
            let (next, begun, seen) = match self.offer() {
                Ok(offer) => offer,
                Err(step) => return step,
            };
            match sharing.common.ledger.begin(&begun, seen).await {
                Ok(Some(_)) => {
                    let mut state = self.lock();
                    let unit = state.begin(&next, true, Instant::now());
                    drop(state);
                    self.grant(next, unit, Some(begun.read));
                }
                Ok(None) => {
                    self.lock().put_back(next);
                    return Step::Wait(Some(Instant::now() + AGAIN));
                }
                Err(Unreachable) => {
                    let mut state = self.lock();
                    state.part(Instant::now());
                    // It may have begun nevertheless, for all that the others know.
                    state.never_sent(&begun);
                    state.put_back(next);
                    return Step::Wait(Some(Instant::now()));
                }
            }
        }
    }

    /// Tells the others of a read that takes nothing of the limit, once no replica reads the same.
    pub(super) async fn begin_beside(&self, ticket: &mut Ticket, tag: Tag, sharing: &Sharing) {
        loop {
            let seen = {
                let state = self.lock();
                let others = state.others.as_ref().filter(|it| it.is_reachable);
                let Some(others) = others else { return };
                others.read_since(tag).is_none().then_some(others.seen)
            };
            if let Some(seen) = seen {
                let begun = Begun {
                    read: ReadId::random(),
                    tag,
                    credential: ticket.credential,
                    takes: Takes::Nothing,
                };
                // Before it is known, so that it is over if nobody waits for that any more.
                ticket.read = Some(begun.read);
                if sharing.common.ledger.begin(&begun, seen).await != Ok(None) {
                    return;
                }
                ticket.read = None;
            }
            // Who waits leaves as soon as it is read that another one was first.
            sleep_until(Instant::now() + AGAIN).await;
        }
    }

    fn offer(&self) -> Result<(Next, Begun, Position), Step> {
        let mut state = self.lock();
        let next = state.next(Instant::now())?;
        let begun = Begun {
            read: ReadId::random(),
            tag: next.waiting.tag.unwrap_or(Tag([0; 16])),
            credential: next.waiting.credential,
            takes: if next.is_stranger {
                Takes::OneForAStranger
            } else {
                Takes::One
            },
        };
        let seen = state.seen();
        Ok((next, begun, seen))
    }
}
