//! The connections to the store: one to write, one that waits for what others write.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, RedisError, RedisFuture, RedisResult, aio::MultiplexedConnection,
};
use tokio::sync::watch;

use super::LIMIT;

/// How long connecting may take.
const CONNECTING: Duration = Duration::from_secs(1);

/// How long a read waits for something new.
pub(super) const WAITING: Duration = Duration::from_millis(500);

/// The way to the store, which is there or isn't.
#[derive(Debug)]
pub(super) struct Link {
    client: Client,
    writing: Mutex<Option<MultiplexedConnection>>,
    /// Why it is lost, as long as nobody has looked.
    trouble: watch::Sender<Option<String>>,
}

impl Link {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            writing: Mutex::default(),
            trouble: watch::Sender::default(),
        }
    }

    /// Connects anew, for somebody who reads.
    pub(super) async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let connect = async |limit| {
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECTING))
                .set_response_timeout(Some(limit));
            let client = &self.client;
            client
                .get_multiplexed_async_connection_with_config(&config)
                .await
        };
        let (writing, reading) = tokio::try_join!(connect(LIMIT), connect(WAITING + LIMIT))?;
        self.trouble.send_replace(None);
        *self.writing.lock().unwrap_or_else(PoisonError::into_inner) = Some(writing);
        Ok(reading)
    }

    /// Does something on the connection to write on. If it fails, there is none any more.
    pub(super) async fn write<T>(
        &self,
        act: impl for<'a> FnOnce(&'a mut MultiplexedConnection) -> RedisFuture<'a, T>,
    ) -> Option<T> {
        let connection = self
            .writing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut connection = connection?;
        match act(&mut connection).await {
            Ok(done) => Some(done),
            Err(error) => {
                self.lose(&error);
                None
            }
        }
    }

    /// There is no way any more.
    pub(super) fn lose(&self, error: &RedisError) {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if writing.take().is_some() {
            self.trouble.send_replace(Some(error.to_string()));
        }
    }

    /// Waits until there is no way any more: why.
    pub(super) async fn lost(&self) -> String {
        let mut trouble = self.trouble.subscribe();
        let lost = trouble.wait_for(Option::is_some).await;
        // The sender is ours.
        lost.ok().and_then(|why| why.clone()).unwrap_or_default()
    }
}
