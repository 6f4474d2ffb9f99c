//! Answers that their callers don't take.
//!
//! HTTP/2 lets a client keep a stream's window shut. The library then asks the answer's body for nothing
//! more, and waits without end. So the body notes who waits for whom, and whoever runs the call ends it.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

/// How long an answer waits for its caller, once the call's deadline has passed.
const PATIENCE: Duration = Duration::from_secs(5);

/// How far an answer has got: that of a call, or over HTTP/1 the current one of a connection.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// How many frames were ready for the caller, or 0 while the caller waits for one.
    ready: AtomicU32,
    deadline: Mutex<Option<Instant>>,
}

pin_project! {
    /// A call that ends with its answer, or without it if the caller doesn't take it.
    pub(super) struct Taken<F> {
        #[pin]
        call: F,
        progress: Arc<Progress>,
        wait: Option<Wait>,
    }
}

/// The wait for a caller to take a frame.
struct Wait {
    frame: u32,
    over: Pin<Box<Sleep>>,
}

impl Progress {
    /// An answer begins, of a call with this deadline.
    pub(super) fn begin(&self, deadline: Option<Instant>) {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = deadline;
        self.next_frame();
    }

    fn deadline(&self) -> Option<Instant> {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There is another frame.
    pub(super) fn next_frame(&self) {
        self.ready.fetch_add(1, Ordering::Relaxed);
    }

    /// There is none yet.
    pub(super) fn wait(&self) {
        self.ready.store(0, Ordering::Relaxed);
    }
}

impl<F> Taken<F> {
    /// `call`, whose answer has `progress`.
    pub(super) fn new(call: F, progress: Arc<Progress>) -> Self {
        Self {
            call,
            progress,
            wait: None,
        }
    }
}

impl<F: Future> Future for Taken<F> {
    /// `None` if the caller doesn't take the answer.
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.call.poll(context) {
            return Poll::Ready(Some(output));
        }
        let frame = this.progress.ready.load(Ordering::Relaxed);
        if frame == 0 {
            *this.wait = None;
            return Poll::Pending;
        }
        let begin = || {
            let now = Instant::now();
            let deadline = this.progress.deadline();
            let over = deadline.map_or(now, |it| it.max(now)) + PATIENCE;
            Wait {
                frame,
                over: Box::pin(sleep_until(over)),
            }
        };
        let wait = match this.wait {
            Some(wait) if wait.frame == frame => wait,
            _ => this.wait.insert(begin()),
        };
        ready!(wait.over.as_mut().poll(context));
        tracing::debug!("an answer that its caller doesn't take is dropped");
        Poll::Ready(None)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::sleep;

    use super::*;

    /// How long a call goes on whose answer does this.
    async fn seconds(progress: Arc<Progress>, answer: impl Future) -> u64 {
        let began = Instant::now();
        Taken::new(answer, progress).await;
        began.elapsed().as_secs()
    }

    fn in_seconds(time: u64) -> Instant {
        Instant::now() + Duration::from_secs(time)
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_takes_ends_after_its_deadline() {
        for (deadline, expected) in [(Some(in_seconds(20)), 25), (None, 5)] {
            let progress = Arc::new(Progress::default());
            let answer = async {
                progress.begin(deadline);
                pending::<()>().await;
            };
            assert_eq!(seconds(progress.clone(), answer).await, expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_who_takes_it_slowly_has_its_time() {
        let progress = Arc::new(Progress::default());
        let answer = async {
            progress.begin(Some(in_seconds(1)));
            for _ in 0..10 {
                sleep(Duration::from_secs(4)).await;
                progress.next_frame();
            }
        };
        assert_eq!(seconds(progress.clone(), answer).await, 40);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_who_waits_is_not_hurried() {
        let progress = Arc::new(Progress::default());
        let answer = async {
            sleep(Duration::from_secs(100)).await;
            progress.begin(Some(in_seconds(1)));
            progress.wait();
            sleep(Duration::from_secs(100)).await;
            progress.next_frame();
            pending::<()>().await;
        };
        assert_eq!(seconds(progress.clone(), answer).await, 205);
    }
}
