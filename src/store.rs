//! What replicas share, in a Valkey or Redis: a stream is the ledger.

mod entries;
mod ledger;
mod link;

use std::{sync::Arc, time::Duration};

pub use ledger::{Read, Written};

use self::link::Link;
use crate::replicas::Replica;

/// How long any operation may take. Callers wait for it, and have better things to do.
const LIMIT: Duration = Duration::from_millis(100);

/// Where the store is, and what is ours there.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it is.
    pub client: redis::Client,
    /// What the names of all keys begin with.
    pub prefix: String,
}

/// The ledger of all replicas with the same `options`, as `me` writes and reads it.
#[must_use]
pub fn ledger(options: &Options, me: Replica) -> (Written, Read) {
    let link = Arc::new(Link::new(options.client.clone()));
    // In braces, so that a cluster has all that belongs together in one place.
    let key = format!("{{{}}}:ledger", options.prefix);
    (
        Written::new(link.clone(), key.clone(), me),
        Read::new(link, key, me),
    )
}
