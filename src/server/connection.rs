//! The life of a connection: its calls, and why it ends.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use hyper::{body::Incoming, rt::Executor, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::body::Body;

use super::{
    Handler,
    batched::Batched,
    unread::{Progress, Taken},
};

/// How many calls may be under way on a connection, which HTTP/2 tells the client.
const MAX_STREAMS: u32 = 200;

/// How many streams that a client has had reset may wait to be forgotten: more are an attack (rapid
/// reset, CVE-2023-44487).
const MAX_RESETS: usize = 20;

/// How many resets a client may force by breaking the protocol (`MadeYouReset`, CVE-2025-8671).
const MAX_FORCED_RESETS: usize = 1024;

/// The largest head of a request, in bytes: credentials and a few lines of proxies.
const MAX_HEAD: u32 = 16 * 1024;

/// How much of a call's request a client may send ahead. One is refused from 64 KiB on.
const STREAM_WINDOW: u32 = 64 * 1024;

/// How much of all calls' requests: what a connection that is never read for can cost.
const CONNECTION_WINDOW: u32 = 256 * 1024;

/// How much of an answer waits for its caller. The rest waits where it was made.
const MAX_SEND_BUFFER: usize = 128 * 1024;

/// How often a silent client is asked whether it is there, and how long it has to answer.
const PING_EVERY: Duration = Duration::from_mins(1);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// By how much ages differ, so that connections that began together don't end together.
const JITTER: f64 = 0.1;

/// What bounds the life of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How many there are at a time.
    pub max_connections: usize,
    /// How long it may take to begin.
    pub handshake_timeout: Duration,
    /// How long it may have no call.
    pub idle_timeout: Duration,
    /// How long it lasts, 10 % more or less.
    pub max_age: Duration,
    /// How long its calls may go on at the end of either.
    pub grace: Duration,
}

/// The calls of one connection, and how long there has been none.
#[derive(Debug)]
struct Calls {
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
struct Call(Arc<Calls>);

/// Spawns the calls of a connection.
#[derive(Clone, Debug)]
struct Spawn(Arc<Calls>);

/// Serves `stack` on `stream` until one of its `bounds`, or its client, or `shutdown` ends it.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    stack: Arc<impl Handler>,
    calls: TaskTracker,
    bounds: Bounds,
    shutdown: CancellationToken,
) {
    let calls = Arc::new(Calls::new(calls));
    let stream = Batched::new(stream);
    let begun = calls.clone();
    let service = service_fn(move |request: http::Request<Incoming>| {
        let stack = stack.clone();
        let progress = begun.begin();
        // The one box of the stack. Its future is large, and would be copied at each step on its
        // way to the task that runs it.
        Box::pin(async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            let mut response = stack.handle(request).await;
            response.body_mut().report(progress);
            Ok::<_, Infallible>(response)
        })
    });
    let http2 = builder(Spawn(calls.clone()));
    // Boxed, since each block that it is moved into would hold it once more.
    let mut http2 = Box::pin(http2.serve_connection(TokioIo::new(stream.clone()), service));
    let speak = async {
        let age = bounds
            .max_age
            .mul_f64(1.0 - JITTER + 2.0 * JITTER * fastrand::f64());
        let grace = tokio::select! {
            ended = &mut http2 => return ended,
            () = shutdown.cancelled() => None,
            () = calls.idle_for(bounds.idle_timeout) => Some(bounds.grace),
            () = sleep(age) => Some(bounds.grace),
        };
        // GOAWAY: the calls under way go on, and new ones go elsewhere.
        http2.as_mut().graceful_shutdown();
        match grace {
            Some(grace) => timeout(grace, http2).await.unwrap_or(Ok(())),
            // The drain has its own.
            None => http2.await,
        }
    };
    match stream.drive(speak).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "connection ended with an error"),
        Err(error) => tracing::debug!(%error, "connection ended, since nothing can be sent on it"),
    }
}

fn builder(spawn: Spawn) -> http2::Builder<Spawn> {
    let mut builder = http2::Builder::new(spawn);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(MAX_FORCED_RESETS)
        .max_header_list_size(MAX_HEAD)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(MAX_SEND_BUFFER)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

impl Calls {
    fn new(all: TaskTracker) -> Self {
        Self {
            all,
            opened: Instant::now(),
            under_way: AtomicUsize::new(0),
            idle_since: AtomicU64::new(0),
            begun: Mutex::default(),
        }
    }

    /// A call has begun.
    fn begin(&self) -> Arc<Progress> {
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
    async fn idle_for(&self, time: Duration) {
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
        self.0.all.spawn(taken.map(move |()| drop(call)));
    }
}

#[cfg(test)]
mod tests {
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
