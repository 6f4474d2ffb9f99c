//! The connections to the store: one to write, one that waits for what others write.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, ErrorKind, FromRedisValue, RedisError, RedisFuture, RedisResult,
    ServerErrorKind, aio::MultiplexedConnection,
};
use tokio::{sync::watch, time::Instant};

use super::{LIMIT, Seed};
use crate::{metrics::Operations, replicas::Position};

/// How long connecting may take.
pub(super) const CONNECTING: Duration = Duration::from_secs(1);

/// How long a read waits for something new.
pub(super) const WAITING: Duration = Duration::from_millis(500);

/// How long what was asked of the store's clock is taken for true: clocks drift apart.
const SYNCHRONOUS: Duration = Duration::from_secs(30);

/// What the store's clock said, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    at: Instant,
    /// Since 1970.
    said: Duration,
}

/// The way to the store, which is there or isn't.
#[derive(Debug)]
pub(super) struct Link {
    seed: Seed,
    /// What is looked for.
    name: String,
    operations: Operations,
    way: Mutex<Option<Way>>,
    /// The last entry of the ledger that was read.
    newest: Mutex<Position>,
    /// Why it is lost, as long as nobody has looked.
    trouble: watch::Sender<Option<String>>,
}

#[derive(Clone, Debug)]
struct Way {
    connection: MultiplexedConnection,
    clock: Clock,
}

impl Link {
    pub(super) fn new(seed: Seed, name: String, operations: Operations) -> Self {
        Self {
            seed,
            name,
            operations,
            way: Mutex::default(),
            newest: Mutex::default(),
            trouble: watch::Sender::default(),
        }
    }

    /// Connects anew, for somebody who reads.
    pub(super) async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let (client, _) = self.seed.find(&self.name).await?;
        let reading = connect(&client, WAITING + LIMIT);
        let (mut writing, reading) = tokio::try_join!(connect(&client, LIMIT), reading)?;
        let clock = Clock::of(&mut writing).await?;
        self.trouble.send_replace(None);
        let connection = writing;
        *self.lock() = Some(Way { connection, clock });
        Ok(reading)
    }

    /// The last entry of the ledger that was read.
    pub(super) fn newest(&self) -> Position {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is this one now.
    pub(super) fn set_newest(&self, position: Position) {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = position;
    }

    /// What the store's clock says; `None` if nobody gets there.
    pub(super) fn clock(&self) -> Option<Clock> {
        self.lock().as_ref().map(|way| way.clock)
    }

    /// Asks the store for the time, if that is to be done again.
    pub(super) async fn synchronize(&self) {
        if self.clock().is_none_or(|it| it.at.elapsed() < SYNCHRONOUS) {
            return;
        }
        let asking = self.write("TIME", |connection| Box::pin(Clock::of(connection)));
        if let Some(clock) = asking.await
            && let Some(way) = &mut *self.lock()
        {
            way.clock = clock;
        }
    }

    /// Runs a command, called `name`.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        name: &'static str,
        command: redis::Cmd,
    ) -> Option<T> {
        let running = self.write(name, |connection| {
            Box::pin(async move { command.query_async(connection).await })
        });
        running.await
    }

    /// Does something on the connection to write on, which is a command called `name`. If it fails, there is none any
    /// more.
    pub(super) async fn write<T>(
        &self,
        name: &'static str,
        act: impl for<'a> FnOnce(&'a mut MultiplexedConnection) -> RedisFuture<'a, T>,
    ) -> Option<T> {
        let mut connection = self.lock().as_ref()?.connection.clone();
        let operation = self.operations.begin(name);
        match act(&mut connection).await {
            Ok(done) => {
                operation.end(None);
                Some(done)
            }
            Err(error) => {
                operation.end(Some(error_type(&error)));
                self.lose(&error);
                None
            }
        }
    }

    /// There is no way any more.
    pub(super) fn lose(&self, error: &RedisError) {
        if self.lock().take().is_some() {
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

    fn lock(&self) -> MutexGuard<'_, Option<Way>> {
        self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection on which an answer may take so long.
pub(super) async fn connect(
    client: &Client,
    limit: Duration,
) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECTING))
        .set_response_timeout(Some(limit));
    let connecting = client.get_multiplexed_async_connection_with_config(&config);
    connecting.await
}

/// What went wrong, from a set that is fixed.
fn error_type(error: &RedisError) -> &'static str {
    if error.is_timeout() {
        return "timeout";
    }
    match error.kind() {
        ErrorKind::Io => "connection_lost",
        ErrorKind::Server(ServerErrorKind::ReadOnly) => "READONLY",
        ErrorKind::Server(ServerErrorKind::NoPerm) => "NOPERM",
        ErrorKind::Server(ServerErrorKind::BusyLoading) => "LOADING",
        _ if error.code() == Some("OOM") => "OOM",
        _ => "other",
    }
}

impl Clock {
    /// As it is now.
    async fn of(connection: &mut MultiplexedConnection) -> RedisResult<Self> {
        let before = Instant::now();
        let (seconds, micros): (u32, u32) = redis::cmd("TIME").query_async(connection).await?;
        Ok(Self {
            at: before + before.elapsed() / 2,
            said: Duration::from_secs(seconds.into()) + Duration::from_micros(micros.into()),
        })
    }

    /// What it says now.
    pub(super) fn now(&self) -> Duration {
        self.said + self.at.elapsed()
    }

    /// What it said at `moment`.
    pub(super) fn at(&self, moment: Instant) -> Duration {
        let ago = self.at.saturating_duration_since(moment);
        self.said.saturating_sub(ago) + moment.saturating_duration_since(self.at)
    }

    /// When it said `said`: at this moment, if it hasn't yet.
    pub(super) fn moment(&self, said: Duration) -> Instant {
        let now = Instant::now();
        let ago = self.now().saturating_sub(said);
        now.checked_sub(ago).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn moments_are_told_by_the_clock_of_the_store() {
        let said = Duration::from_secs(1_795_428_000);
        let second = Duration::from_secs(1);
        let at = Instant::now();
        let clock = Clock { at, said };
        tokio::time::advance(second * 10).await;
        assert_eq!(clock.now(), said + second * 10);
        let before = at.checked_sub(second).expect("a moment");
        for (moment, says) in [
            (before, said.checked_sub(second).expect("a time")),
            (at, said),
            (at + second * 3, said + second * 3),
        ] {
            assert_eq!(clock.at(moment), says);
            assert_eq!(clock.moment(says), moment);
        }
        assert_eq!(clock.moment(said + second * 11), Instant::now());
    }
}
