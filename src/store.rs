//! What replicas share, in a Valkey or Redis: a stream is the ledger, and sealed values are the shelf.

mod check;
mod entries;
#[cfg(fuzzing)]
pub mod fuzzing;
mod ledger;
mod link;
mod said;
mod secret;
mod shelf;
mod whereabouts;

use std::{net::IpAddr, sync::Arc, time::Duration};

use redis::ConnectionAddr;
use ring::digest::{SHA256, digest};

pub use check::check;
pub use ledger::{Read, Written};
pub use secret::Secret;
pub use shelf::Shelved;
pub use whereabouts::Seed;

use self::link::Link;
use crate::{
    metrics::{Metrics, Operations},
    replicas::Replica,
    route::Route,
};

/// How long any operation may take. Callers wait for it, and have better things to do.
const LIMIT: Duration = Duration::from_millis(100);

/// Where the store is, and what is ours there.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it is.
    pub seed: Seed,
    /// What all replicas know, and nobody else.
    pub secret: Secret,
    /// What the names of all keys begin with, before the route's.
    pub namespace: Namespace,
}

/// Whose limit and whose answers are meant. Replicas with the same one share them.
#[derive(Clone, Debug)]
pub struct Namespace(String);

/// What replicas share of one route, as one of them has it.
#[derive(Debug)]
pub struct Opened {
    /// The ledger, as it is written.
    pub ledger: Written,
    /// The ledger, as it is read.
    pub reader: Read,
    /// The answers.
    pub shelf: Shelved,
}

impl Options {
    /// Whether others on the way can read what is said there, and say something else.
    #[must_use]
    pub fn is_readable_on_the_way(&self) -> bool {
        match self.seed.client.get_connection_info().addr() {
            ConnectionAddr::Tcp(host, _) => {
                let address = host.parse::<IpAddr>();
                host != "localhost" && !address.is_ok_and(|it| it.is_loopback())
            }
            _ => false,
        }
    }

    /// Where the store is, for people.
    #[must_use]
    pub fn address(&self) -> String {
        self.seed.address()
    }
}

impl Namespace {
    /// That of the Rocket.Chat at `url`. Its form is in the names, so that versions with another one don't meet.
    #[must_use]
    pub fn of(url: &str) -> Self {
        let hash = digest(&SHA256, url.as_bytes());
        let hash = hash.as_ref().first_chunk().copied();
        Self(format!("{:016x}", hash.map_or(0, u64::from_be_bytes)))
    }

    /// What the names of all that is about this begin with. In braces there is what has a cluster keep all of them in one
    /// place.
    fn name(&self, about: &str) -> String {
        format!("videoconf-facade:1:{{{}:{about}}}", self.0)
    }
}

/// What all replicas with the same `options` share of `route`, as `me` has it, who finds answers of use for `kept_for`.
#[must_use]
pub fn open(
    options: &Options,
    route: &'static Route,
    me: Replica,
    kept_for: Duration,
    metrics: &Metrics,
) -> Opened {
    let operations = Operations::new(metrics);
    let prefix = options.namespace.name(route.name);
    let key = format!("{prefix}:ledger");
    let link = Link::new(options.seed.clone(), key.clone(), operations.clone());
    let link = Arc::new(link);
    Opened {
        ledger: Written::new(link.clone(), key.clone(), me),
        reader: Read::new(
            link.clone(),
            key,
            me,
            options.secret.id(),
            operations.clone(),
        ),
        shelf: Shelved {
            link,
            prefix,
            secret: options.secret.clone(),
            route,
            kept_for,
            operations,
        },
    }
}
