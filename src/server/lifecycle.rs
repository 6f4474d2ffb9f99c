//! From the first connection to the last: accepting, draining, ending within a bound.
//!
//! tonic's server isn't used for this: its shutdown waits for ever for a silent connection, its
//! timeout stands outside of every layer, and it switches two of hyper's HTTP/2 limits off.

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use futures_util::FutureExt;
use rustix::net::sockopt;
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinSet, yield_now},
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Handler, Health, Listeners,
    connection::{self, Bounds},
    greeting::{Protocols, greet},
    memory::Memory,
    strangers::Strangers,
};
use crate::metrics::{Connections, End};

/// After a failed accept, as with no file descriptor left: trying again at once would only burn
/// the processor that could free one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// After how long a silence the system asks; a vanished client is known some ten minutes later.
#[cfg(target_os = "linux")]
const KEEP_ALIVE: Duration = Duration::from_mins(1);

/// How often it is said that connections can't be accepted.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// For the last answers to reach their callers, and for a client that hasn't heard of the end yet to
/// send its last calls.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How the server ends, and the calls in flight with it.
#[derive(Clone, Debug)]
pub struct Drain {
    /// How long it goes on as before once health says that it ends.
    pub notice: Duration,
    /// How long calls may go on after that.
    pub timeout: Duration,
    /// Cancelled when the notice is over, and whoever watches health has been told; ends the streams.
    pub begun: CancellationToken,
    /// Cancelled when that time is over; ends the calls that are left.
    pub over: CancellationToken,
}

impl Drain {
    /// A drain that leaves others `notice` and calls `timeout`, and hasn't begun.
    #[must_use]
    pub fn new(notice: Duration, timeout: Duration) -> Self {
        Self {
            notice,
            timeout,
            begun: CancellationToken::new(),
            over: CancellationToken::new(),
        }
    }
}

/// What serves, but for what it serves.
pub struct Server {
    /// Where connections come in.
    pub listeners: Listeners,
    /// What they may speak.
    pub protocols: Protocols,
    /// What bounds their lives.
    pub bounds: Bounds,
    /// What measures them.
    pub connections: Connections,
    /// Says that it ends.
    pub health: Health,
    /// How it ends.
    pub drain: Drain,
}

/// What all connections share.
struct Shared<H> {
    stack: Arc<H>,
    protocols: Protocols,
    bounds: Bounds,
    /// Their calls.
    calls: TaskTracker,
    strangers: Strangers,
    connections: Connections,
    /// Cancelled when they are to leave.
    leave: CancellationToken,
}

/// Where connections come in.
struct Doors {
    listeners: Listeners,
    places: Places,
    connections: JoinSet<()>,
    memory: Memory,
    /// When it was last said that accepting fails.
    reported_at: Option<Instant>,
}

/// The places for connections.
struct Places {
    free: Arc<Semaphore>,
    /// When it was last said that there is none.
    reported_at: Option<Instant>,
}

/// Serves `stack` until `shutdown` is ready. Then the drain begins: whoever asks for health hears of it, a
/// while later no connection is accepted any more, and the calls in flight have their time.
pub async fn serve(server: Server, stack: impl Handler, shutdown: impl Future<Output = ()>) {
    let Server {
        listeners,
        protocols,
        bounds,
        connections,
        health,
        drain,
    } = server;
    let shared = Arc::new(Shared {
        stack: Arc::new(stack),
        protocols,
        bounds,
        calls: TaskTracker::new(),
        strangers: Strangers::default(),
        connections,
        leave: CancellationToken::new(),
    });
    let mut doors = Doors {
        listeners,
        places: Places::new(bounds.max_connections),
        connections: JoinSet::new(),
        memory: Memory::default(),
        reported_at: None,
    };
    doors.open_until(shutdown, &shared).await;
    health.stop_serving();
    if !drain.notice.is_zero() {
        tracing::info!(connections = doors.connections.len(), "leaving soon");
        doors.open_until(sleep(drain.notice), &shared).await;
    }
    let mut connections = doors.close(&shared).await;

    tracing::info!(connections = connections.len(), "draining");
    health.end_watches();
    drain.begun.cancel();
    // Sends GOAWAY to every client.
    shared.leave.cancel();
    let all_left = {
        let drained = async {
            tokio::select! {
                () = async { while connections.join_next().await.is_some() {} } => true,
                // What is left then are connections that never say anything.
                () = finished(&shared.calls) => false,
            }
        };
        let mut drained = pin!(drained);
        if let Ok(all_left) = timeout(drain.timeout, &mut drained).await {
            all_left
        } else {
            drain.over.cancel();
            timeout(LAST_WORDS, &mut drained).await.unwrap_or(false)
        }
    };
    if !all_left {
        tracing::info!("cutting connections");
    }
    connections.shutdown().await;
    // A call learns a little later that its connection is gone, and has an access line to write.
    let _ = timeout(LAST_WORDS, ended(&shared.calls)).await;
}

impl Doors {
    /// Accepts connections until `end`.
    async fn open_until(
        &mut self,
        end: impl Future<Output = ()>,
        shared: &Arc<Shared<impl Handler>>,
    ) {
        let mut end = pin!(end);
        loop {
            let accepted = async {
                // Those for whom there is no place wait in the system's queue.
                let place = self.places.take().await;
                (self.listeners.accept().await, place)
            };
            tokio::select! {
                biased;
                () = &mut end => return,
                Some(_) = self.connections.join_next() => self.memory.connection_ended(),
                (accepted, place) = accepted => match accepted {
                    Ok((stream, peer)) => {
                        let connection = connection(stream, peer, shared.clone(), place);
                        self.connections.spawn(connection);
                    }
                    Err(error) => {
                        if is_time_to_report(&mut self.reported_at) {
                            tracing::warn!(%error, "accepting a connection failed");
                        }
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
    }

    /// Lets in who has come already, since the system would tear their connections down, then nobody any
    /// more. Gives those who are in.
    async fn close(mut self, shared: &Arc<Shared<impl Handler>>) -> JoinSet<()> {
        // For the system to tell who has.
        yield_now().await;
        while let Some(place) = self.places.take_now()
            && let Some(Ok((stream, peer))) = self.listeners.accept().now_or_never()
        {
            let connection = connection(stream, peer, shared.clone(), place);
            self.connections.spawn(connection);
        }
        self.connections
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    shared: Arc<Shared<impl Handler>>,
    _place: OwnedSemaphorePermit,
) {
    let open = shared.connections.accepted();
    // Answers are small and whole; waiting to fill a segment would only delay them. And the system is to notice
    // who has vanished without a word.
    let set = stream.set_nodelay(true).and_then(|()| keep_alive(&stream));
    if let Err(error) = set {
        tracing::debug!(%error, "setting a connection's options failed");
    }
    let time = shared.bounds.handshake_timeout;
    let protocols = &shared.protocols;
    // Boxed, as TLS has a large one, and the connection would hold it to its end.
    let greeted = Box::pin(greet(stream, peer, protocols, time, &shared.strangers)).await;
    let Some(stream) = greeted else {
        return open.ended(End::Handshake);
    };
    let (stack, calls) = (shared.stack.clone(), shared.calls.clone());
    let leave = shared.leave.clone();
    let end = connection::serve(stream, peer, stack, calls, shared.bounds, leave).await;
    open.ended(end);
}

/// Has the system ask a silent client whether it is there, which HTTP/1 has no means to.
fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    #[cfg(target_os = "linux")]
    sockopt::set_tcp_keepidle(stream, KEEP_ALIVE)?;
    Ok(())
}

/// Ready when no call is in flight, and none is a moment later.
async fn finished(calls: &TaskTracker) {
    loop {
        ended(calls).await;
        sleep(LAST_WORDS).await;
        if calls.is_empty() {
            return;
        }
    }
}

/// Ready when no call is in flight.
async fn ended(calls: &TaskTracker) {
    calls.close();
    calls.wait().await;
}

impl Places {
    fn new(count: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(count)),
            reported_at: None,
        }
    }

    /// A place, if there is one.
    fn take_now(&self) -> Option<OwnedSemaphorePermit> {
        self.free.clone().try_acquire_owned().ok()
    }

    /// Waits for a place, and says so if there is none.
    async fn take(&mut self) -> OwnedSemaphorePermit {
        if self.free.available_permits() == 0 && is_time_to_report(&mut self.reported_at) {
            tracing::warn!("as many connections as --max-connections: others wait");
        }
        let place = self.free.clone().acquire_owned().await;
        place.expect("a semaphore that nobody closes")
    }
}

/// Whether what was last reported at `reported_at` is to be reported once more.
fn is_time_to_report(reported_at: &mut Option<Instant>) -> bool {
    let is_time = reported_at.is_none_or(|at| at.elapsed() >= REPORT_EVERY);
    if is_time {
        *reported_at = Some(Instant::now());
    }
    is_time
}
