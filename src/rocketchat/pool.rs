//! Connections that are used again, and don't get old.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use reqwest::Client;
use tokio::time::Instant;

/// Keeps connections for later requests, up to an age: a name may have moved to another address, and
/// steady traffic would never let go of the old one.
pub(super) struct Pool {
    build: Box<dyn Fn() -> reqwest::Result<Client> + Send + Sync>,
    max_age: Duration,
    current: Mutex<Generation>,
}

/// A client of the library's, whose connections are at most as old as it is.
struct Generation {
    client: Client,
    began: Instant,
}

impl Pool {
    /// A pool of what `build` makes, each for `max_age`.
    ///
    /// # Errors
    /// Nothing can be made.
    pub(super) fn new(
        max_age: Duration,
        build: impl Fn() -> reqwest::Result<Client> + Send + Sync + 'static,
    ) -> reqwest::Result<Self> {
        let current = Generation {
            client: build()?,
            began: Instant::now(),
        };
        Ok(Self {
            build: Box::new(build),
            max_age,
            current: Mutex::new(current),
        })
    }

    /// The client for the next request. Requests that are under way with the one before it end as
    /// they would have, and then its connections are closed.
    pub(super) fn client(&self) -> Client {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if now.duration_since(current.began) >= self.max_age {
            current.began = now;
            // It was made of the same before. If it can't be now, old connections are better than none.
            if let Ok(client) = (self.build)() {
                current.client = client;
            }
        }
        current.client.clone()
    }
}
