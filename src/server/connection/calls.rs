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
    /// When the last one began, in milliseconds since it was opened.
    busy_since: AtomicU64,
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
            busy_since: AtomicU64::new(0),
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
        self.has_been(false, &self.idle_since, time).await;
    }

    /// Ready when the last call has been under way for `time`.
    pub(super) async fn busy_for(&self, time: Duration) {
        self.has_been(true, &self.busy_since, time).await;
    }

    /// Ready when the connection has been busy, or not, for `time`, as it is `since` then.
    async fn has_been(&self, is_busy: bool, since: &AtomicU64, time: Duration) {
        loop {
            let is_so = (self.under_way.load(Ordering::Acquire) > 0) == is_busy;
            let since = if is_so {
                self.opened + Duration::from_millis(since.load(Ordering::Relaxed))
            } else {
                Instant::now()
            };
            if since.elapsed() >= time {
                return;
            }
            sleep_until(since + time).await;
        }
    }

    fn milliseconds(&self) -> u64 {
        let now = self.opened.elapsed().as_millis();
        u64::try_from(now).unwrap_or(u64::MAX)
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
        calls
            .busy_since
            .store(calls.milliseconds(), Ordering::Relaxed);
        calls.under_way.fetch_add(1, Ordering::Release);
        Self(calls.clone())
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0
            .idle_since
            .store(self.0.milliseconds(), Ordering::Relaxed);
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

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_busy_from_the_beginning_of_its_last_call_on() {
        const LIMIT: Duration = Duration::from_secs(60);
        let calls = Arc::new(Calls::new(TaskTracker::new()));
        let opened = Instant::now();
        let busy = async {
            for _ in 0..2 {
                sleep(Duration::from_secs(100)).await;
                let call = Call::begin(&calls);
                sleep(Duration::from_secs(50)).await;
                drop(call);
            }
            let call = Call::begin(&calls);
            sleep(Duration::from_secs(100)).await;
            drop(call);
        };
        let noticed = async {
            calls.busy_for(LIMIT).await;
            opened.elapsed().as_secs()
        };
        let ((), noticed) = tokio::join!(busy, noticed);
        assert_eq!(noticed, 300 + 60);
    }
}
