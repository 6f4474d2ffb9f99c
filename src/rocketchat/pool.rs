//! Connections that are used again, and don't get old.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::client::legacy;
use tokio::time::Instant;

use super::connector::Connector;

/// The HTTP library's client: connections, and requests without a body on them.
pub(super) type Client = legacy::Client<Connector, Empty<Bytes>>;

/// Keeps connections for later requests, up to an age: a name may have moved to another address, and
/// steady traffic would never let go of the old one.
pub(super) struct Pool {
    build: Box<dyn Fn() -> Client + Send + Sync>,
    max_age: Duration,
    current: Mutex<Generation>,
}

/// A client whose connections are at most as old as it is.
struct Generation {
    client: Client,
    began: Instant,
}

impl Pool {
    /// A pool of what `build` makes, each for `max_age`.
    pub(super) fn new(
        max_age: Duration,
        build: impl Fn() -> Client + Send + Sync + 'static,
    ) -> Self {
        let current = Generation {
            client: build(),
            began: Instant::now(),
        };
        Self {
            build: Box::new(build),
            max_age,
            current: Mutex::new(current),
        }
    }

    /// The client for the next request. Requests that are under way with the one before it end as
    /// they would have, and then its connections are closed.
    pub(super) fn client(&self) -> Client {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if now.duration_since(current.began) >= self.max_age {
            *current = Generation {
                client: (self.build)(),
                began: now,
            };
        }
        current.client.clone()
    }
}
