//! The shelf: what Rocket.Chat said of late, under names that tell nobody what about, and sealed.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use prost::Message;

use super::{
    entries::hex,
    link::{Clock, Link},
    said::Said,
    secret::Secret,
};
use crate::{
    credentials::Fingerprint,
    exchange::Moment,
    metrics::Operations,
    replicas::{Kept, Shelf, Tag},
    route::Route,
};

/// What values begin with, since those of versions to come may look otherwise.
const FORM: u8 = 1;

/// By how much replicas may take the store's clock for another at most.
const APART: Duration = Duration::from_secs(1);

/// The answers of one route, in the store.
pub struct Shelved {
    pub(super) link: Arc<Link>,
    /// What the names of all keys begin with.
    pub(super) prefix: String,
    pub(super) secret: Secret,
    pub(super) route: &'static Route,
    /// How long after they were read they are of any use.
    pub(super) kept_for: Duration,
    pub(super) operations: Operations,
}

impl Shelved {
    fn name(&self, tag: Tag) -> String {
        format!("{}:said:{}", self.prefix, hex(&tag.0))
    }

    fn name_of_rejection(&self, credential: Fingerprint) -> String {
        format!("{}:rejected:{}", self.prefix, hex(credential.as_bytes()))
    }

    /// How long what was read at `read_at`, by the store's clock, is still of use, in milliseconds.
    fn kept_until(&self, clock: &Clock, read_at: Duration) -> Option<u64> {
        let left = (read_at + self.kept_for).checked_sub(clock.now())?;
        u64::try_from(left.as_millis()).ok().filter(|it| *it > 0)
    }

    /// What a value says; one that says nothing is counted.
    fn readable<T>(&self, value: &[u8], read: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
        let read = read(value);
        if read.is_none() {
            self.operations.unreadable();
        }
        read
    }

    fn read(&self, tag: Tag, name: &str, value: &[u8]) -> Option<Said> {
        let sealed = value.strip_prefix(&[FORM])?;
        let open = self.secret.unseal(tag, name, sealed)?;
        Said::decode(&open[..]).ok()
    }

    async fn set(&self, name: &str, value: &[u8], millis: u64) {
        let mut set = redis::cmd("SET");
        set.arg(name).arg(value).arg("PX").arg(millis);
        // Without it others read for themselves.
        self.link.run::<()>("SET", set).await;
    }
}

#[async_trait]
impl Shelf for Shelved {
    async fn get(&self, tag: Tag, credential: Fingerprint) -> Option<Kept> {
        let names = [self.name(tag), self.name_of_rejection(credential)];
        let mut get = redis::cmd("MGET");
        get.arg(&names);
        let (said, rejected): (Option<Vec<u8>>, Option<Vec<u8>>) =
            self.link.run("MGET", get).await?;
        let clock = self.link.clock()?;
        let said = self.readable(&said?, |it| {
            let said = self.read(tag, &names[0], it)?;
            is_past(said.read_at, &clock).then_some(said)
        })?;
        let rejected = rejected.and_then(|it| self.readable(&it, |it| rejected_at(it, &clock)));
        if rejected.is_some_and(|rejected| said.read_at < rejected) {
            return None;
        }
        Some(Kept {
            read_at: Moment {
                at: clock.moment(Duration::from_micros(said.read_at)),
                wall: said.wall(),
            },
            said: said.into_said(self.route)?,
        })
    }

    async fn put(&self, tag: Tag, kept: &Kept) {
        let Some(clock) = self.link.clock() else {
            return;
        };
        let Kept { read_at, said } = kept;
        let at = clock.at(read_at.at);
        let Some(said) = Said::new(said, at, read_at.wall) else {
            return;
        };
        let name = self.name(tag);
        let mut value = vec![FORM];
        value.extend(self.secret.seal(tag, &name, &said.encode_to_vec()));
        if let Some(millis) = self.kept_until(&clock, at) {
            self.set(&name, &value, millis).await;
        }
    }

    async fn reject(&self, credential: Fingerprint, at: Moment) {
        let Some(clock) = self.link.clock() else {
            return;
        };
        let at = clock.at(at.at);
        let name = self.name_of_rejection(credential);
        if let Some(millis) = self.kept_until(&clock, at) {
            let value = at.as_micros().to_string();
            self.set(&name, value.as_bytes(), millis).await;
        }
    }
}

/// When a credential was rejected, in microseconds by the store's clock.
fn rejected_at(text: &[u8], clock: &Clock) -> Option<u64> {
    let at = str::from_utf8(text).ok()?.parse().ok()?;
    is_past(at, clock).then_some(at)
}

/// Whether that was already, in microseconds. The store's clock may have been set back since.
fn is_past(at: u64, clock: &Clock) -> bool {
    Duration::from_micros(at) <= clock.now() + APART
}

impl fmt::Debug for Shelved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelved")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
