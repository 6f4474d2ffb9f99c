//! The life of a connection: its calls, and why it ends.

mod calls;

use std::{
    convert::Infallible, error::Error as _, io, net::SocketAddr, pin::Pin, sync::Arc,
    time::Duration,
};

use futures_util::FutureExt;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::body::Body;

use super::{
    Handler, Response,
    batched::Batched,
    greeting::Greeted,
    unread::{Progress, Taken},
};
use crate::metrics::End;
pub(super) use calls::Current;
use calls::{Calls, Spawn};

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

/// How long a connection of HTTP/1 is kept for another request: longer than proxies keep theirs.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long a call over HTTP/1 may take with its whole answer. There are no pings, and a client that has sent
/// something ahead isn't seen to leave, so a stream could go on for nobody.
const MAX_HTTP1_CALL: Duration = Duration::from_mins(2);

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

/// Serves `stack` on `stream` until one of its `bounds`, or its client, or `shutdown` ends it, and says which.
pub(super) async fn serve(
    stream: Greeted<impl AsyncRead + AsyncWrite + Unpin + 'static>,
    peer: SocketAddr,
    stack: Arc<impl Handler>,
    calls: TaskTracker,
    bounds: Bounds,
    shutdown: CancellationToken,
) -> End {
    let calls = Arc::new(Calls::new(calls));
    let is_http1 = stream.is_http1();
    let stream = Batched::new(stream);
    let io = TokioIo::new(stream.clone());
    // Connections are boxed, since each block that they are moved into would hold them once more.
    let ended = if is_http1 {
        let progress = Arc::<Progress>::default();
        let current = (calls.clone(), progress.clone());
        let service = service_fn(move |request| {
            let (calls, progress) = &current;
            let call = Current::begin(calls, progress.clone());
            let answer = answer(stack.clone(), request, peer, progress.clone());
            Box::pin(async move {
                let mut response = answer.await;
                response.body_mut().keep(call);
                Ok::<_, Infallible>(response)
            })
        });
        let connection = http1(bounds).serve_connection(io, service);
        let life = live(Box::pin(connection), &calls, bounds, shutdown);
        let life = async {
            tokio::select! {
                ended = life => ended,
                () = calls.busy_for(MAX_HTTP1_CALL) => Ok(End::Stalled),
            }
        };
        stream.drive(Taken::new(life, progress)).await
    } else {
        let begun = calls.clone();
        let service = service_fn(move |request| {
            let answer = answer(stack.clone(), request, peer, begun.begin());
            // The one box of the stack. Its future is large, and would be copied at each step on its
            // way to the task that runs it.
            Box::pin(answer.map(Ok::<_, Infallible>))
        });
        let connection = http2(Spawn(calls.clone())).serve_connection(io, service);
        let life = live(Box::pin(connection), &calls, bounds, shutdown);
        stream.drive(life.map(Some)).await
    };
    match ended {
        Ok(Some(Ok(end))) => end,
        Ok(None) => End::Stalled,
        Ok(Some(Err(error))) => {
            tracing::debug!(%error, "connection ended with an error");
            match why(&error) {
                // No request came in time; HTTP/2's pings are another matter.
                End::Error if is_http1 && error.is_timeout() => End::Idle,
                end => end,
            }
        }
        Err(error) => {
            tracing::debug!(%error, "connection ended, since nothing can be sent on it");
            match error.kind() {
                io::ErrorKind::TimedOut => End::Stalled,
                _ => End::Client,
            }
        }
    }
}

/// Whose doing an error is: a client that leaves in the midst of something is no fault of the protocol.
fn why(error: &hyper::Error) -> End {
    let is_io = error
        .source()
        .is_some_and(<dyn std::error::Error>::is::<io::Error>);
    if is_io || error.is_incomplete_message() || error.is_closed() {
        End::Client
    } else {
        End::Error
    }
}

/// Answers a call with `stack`.
async fn answer(
    stack: Arc<impl Handler>,
    request: http::Request<Incoming>,
    peer: SocketAddr,
    progress: Arc<Progress>,
) -> Response {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(peer);
    let mut response = stack.handle(request).await;
    response.body_mut().report(progress);
    response
}

/// Lets `connection` go on until its end, or that of its time.
async fn live<C: GracefulConnection<Error = hyper::Error>>(
    mut connection: Pin<Box<C>>,
    calls: &Calls,
    bounds: Bounds,
    shutdown: CancellationToken,
) -> Result<End, hyper::Error> {
    let age = bounds
        .max_age
        .mul_f64(1.0 - JITTER + 2.0 * JITTER * fastrand::f64());
    let end = tokio::select! {
        ended = &mut connection => return ended.map(|()| End::Client),
        () = shutdown.cancelled() => End::Shutdown,
        () = calls.idle_for(bounds.idle_timeout) => End::Idle,
        () = sleep(age) => End::Age,
    };
    // GOAWAY: the calls under way go on, and new ones go elsewhere.
    connection.as_mut().graceful_shutdown();
    if end == End::Shutdown {
        // The drain has a grace of its own.
        connection.await?;
    } else if let Ok(ended) = timeout(bounds.grace, connection).await {
        ended?;
    }
    Ok(end)
}

fn http2(spawn: Spawn) -> http2::Builder<Spawn> {
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

fn http1(bounds: Bounds) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // From the last answer's end on.
        .header_read_timeout(bounds.idle_timeout.min(KEEP_ALIVE))
        .max_buf_size(MAX_HEAD as usize);
    builder
}
