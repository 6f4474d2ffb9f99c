//! From the first connection to the last: accepting, draining, ending within a bound.
//!
//! tonic's server isn't used for this: its shutdown waits for ever for a silent connection, its
//! timeout stands outside of every layer, and it switches two of hyper's HTTP/2 limits off.

use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use hyper::{body::Incoming, rt::Executor, server::conn::http2, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::body::Body;

use super::{Handler, Health, Listeners, batched::Batched};

/// After a failed accept, as with no file descriptor left: trying again at once would only burn
/// the processor that could free one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// For the last answers to reach their callers, and for a client that hasn't heard of the end yet to
/// send its last calls.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How the calls in flight are ended.
#[derive(Clone, Debug)]
pub struct Drain {
    /// How long they may go on after the shutdown began.
    pub timeout: Duration,
    /// Cancelled when the shutdown began, and whoever watches health has been told; ends the streams.
    pub begun: CancellationToken,
    /// Cancelled when that time is over; ends the calls that are left.
    pub over: CancellationToken,
}

impl Drain {
    /// A drain that leaves calls `timeout`, and hasn't begun.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            begun: CancellationToken::new(),
            over: CancellationToken::new(),
        }
    }
}

/// Spawns the calls of all connections, and knows when none is left.
#[derive(Clone, Debug, Default)]
struct Calls(TaskTracker);

/// Serves `stack` on `listeners` until `shutdown` is ready; then no connection is accepted any more,
/// and the calls in flight have the time that `drain` leaves them.
pub async fn serve(
    mut listeners: Listeners,
    stack: impl Handler,
    mut health: Health,
    drain: Drain,
    shutdown: impl Future<Output = ()>,
) {
    let stack = Arc::new(stack);
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let calls = Calls::default();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listeners.accept() => match accepted {
                Ok((stream, peer)) => {
                    let (stack, calls, watcher) = (stack.clone(), calls.clone(), graceful.watcher());
                    connections.spawn(connection(stream, peer, stack, calls, watcher));
                }
                Err(error) => {
                    tracing::warn!(%error, "accepting a connection failed");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    drop(listeners);

    tracing::info!(connections = connections.len(), "draining");
    health.stop_serving().await;
    health.end_watches().await;
    drain.begun.cancel();
    let drained = async {
        tokio::select! {
            // Sends GOAWAY to every client and waits until all have left.
            () = graceful.shutdown() => true,
            // What is left then are connections that never say anything.
            () = calls.finished() => false,
        }
    };
    let mut drained = pin!(drained);
    let all_left = if let Ok(all_left) = timeout(drain.timeout, &mut drained).await {
        all_left
    } else {
        drain.over.cancel();
        timeout(LAST_WORDS, &mut drained).await.unwrap_or(false)
    };
    if !all_left {
        tracing::info!("cutting connections");
    }
    connections.shutdown().await;
    // A call learns a little later that its connection is gone, and has an access line to write.
    let _ = timeout(LAST_WORDS, calls.ended()).await;
}

impl Calls {
    /// Ready when no call is in flight, and none is a moment later.
    async fn finished(&self) {
        loop {
            self.ended().await;
            sleep(LAST_WORDS).await;
            if self.0.is_empty() {
                return;
            }
        }
    }

    /// Ready when no call is in flight.
    async fn ended(&self) {
        self.0.close();
        self.0.wait().await;
    }
}

impl<F> Executor<F> for Calls
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, call: F) {
        self.0.spawn(call);
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    stack: Arc<impl Handler>,
    calls: Calls,
    watcher: Watcher,
) {
    // Answers are small and whole; waiting to fill a segment would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "setting nodelay failed");
    }
    let stream = Batched::new(stream);
    let service = service_fn(move |request: http::Request<Incoming>| {
        let stack = stack.clone();
        // The one box of the stack. Its future is large, and would be copied at each step on its
        // way to the task that runs it.
        Box::pin(async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            Ok::<_, Infallible>(stack.handle(request).await)
        })
    });
    let connection = http2::Builder::new(calls)
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream.clone()), service);
    match stream.drive(watcher.watch(connection)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "connection ended with an error"),
        Err(error) => tracing::debug!(%error, "connection ended, since nothing can be sent on it"),
    }
}
