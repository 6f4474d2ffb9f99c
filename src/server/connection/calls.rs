//! The calls of one connection.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use hyper::rt::Executor;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use crate::server::unread::{Progress, Taken};

/// The calls of one connection, and how long there has been none.
#[derive(Debug)]
pub(super) struct Calls {
    /// Those of all connections.
    all: TaskTracker,
    opened: Instant,
    under_way: AtomicUsize,
    /// In milliseconds since it was opened.
    idle_since: AtomicU64,
    /// The call that has begun and isn't spawned yet, which is what the library does next.
    begun: Mutex<Arc<Progress>>,
}

/// A call under way.
#[derive(Debug)]
struct Call(Arc<Calls>);

/// Spawns the calls of a connection of HTTP/2.
#[derive(Clone, Debug)]
pub(super) struct Spawn(pub(super) Arc<Calls>);

/// A call of a connection of HTTP/1, which has one at a time and runs it by itself, until the end of its answer.
#[derive(Debug)]
pub(in crate::server) struct Current {
    _call: Call,
    _tracked: TaskTrackerToken,
    progress: Arc<Progress>,
}

impl Calls {
    pub(super) fn new(all: TaskTracker) -> Self {
        Self {
            all,
            opened: Instant::now(),
            under_way: AtomicUsize::new(0),
            idle_since: AtomicU64::new(0),
            begun: Mutex::default(),
        }
    }

    /// A call has begun that is spawned next.
    pub(super) fn begin(&self) -> Arc<Progress> {
        let progress = Arc::<Progress>::default();
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = progress.clone();
        progress
    }

    /// The call that has begun last.
    fn begun(&self) -> Arc<Progress> {
        let begun = self.begun.lock();
        begun.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ready when there has been no call for `time`.
    pub(super) async fn idle_for(&self, time: Duration) {
        loop {
            let since = match self.under_way.load(Ordering::Acquire) {
                0 => self.opened + Duration::from_millis(self.idle_since.load(Ordering::Relaxed)),
                _ => Instant::now(),
            };
            if since.elapsed() >= time {
                return;
            }
            sleep_until(since + time).await;
        }
    }
}

impl Current {
    /// A call begins, whose answer has `progress`.
    pub(super) fn begin(calls: &Arc<Calls>, progress: Arc<Progress>) -> Self {
        Self {
            _call: Call::begin(calls),
            _tracked: calls.all.token(),
            progress,
        }
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        self.progress.wait();
    }
}

impl Call {
    fn begin(calls: &Arc<Calls>) -> Self {
        calls.under_way.fetch_add(1, Ordering::Relaxed);
        Self(calls.clone())
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let now = self.0.opened.elapsed().as_millis();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        self.0.idle_since.store(now, Ordering::Relaxed);
        // Whoever sees that there is no call sees since when.
        self.0.under_way.fetch_sub(1, Ordering::Release);
    }
}

impl<F> Executor<F> for Spawn
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        let call = Call::begin(&self.0);
        // Not an async block, which would hold the future, a large one, twice.
        let taken = Taken::new(future, self.0.begun());
        self.0.all.spawn(taken.map(move |_| drop(call)));
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_from_the_end_of_its_last_call_on() {
        const LIMIT: Duration = Duration::from_secs(60);
        let calls = Arc::new(Calls::new(TaskTracker::new()));
        let opened = Instant::now();
        let busy = async {
            sleep(Duration::from_secs(30)).await;
            let first = Call::begin(&calls);
            sleep(Duration::from_secs(100)).await;
            let second = Call::begin(&calls);
            drop(first);
            sleep(Duration::from_secs(1)).await;
            drop(second);
        };
        tokio::join!(busy, calls.idle_for(LIMIT));
        assert_eq!(opened.elapsed().as_secs(), 131 + 60);
    }
}
