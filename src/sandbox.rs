//! An embedded stand-in for Rocket.Chat's `GET /api/v1/video-conference.info`.
//!
//! By itself it answers as a Rocket.Chat of the chosen [`Version`] would: [`USERS`] may log in,
//! [`CALLS`] can be looked up, and the living ones move on with every look. A [`Reply`] takes the
//! place of those rules for one request ([`Sandbox::script`]) or for all ([`Sandbox::always`]),
//! down to broken HTTP and connections that die.
//!
//! | module | holds |
//! |---|---|
//! | `accept`, `connection`, `inbox`, `wire` | the socket: accepting, one connection's life, reading a head, writing an answer |
//! | `state` | what has been seen and what is scripted |
//! | `rules`, `answers`, `query`, `limiter` | which answer Rocket.Chat gives, and its bodies |
//! | `users`, `conferences` | who may ask, and what there is to be found |
//! | `version`, `request`, `reply`, `clock` | the words the others share |
//!
//! The HTTP server is hand-written because half of what a test needs from an upstream is to
//! misbehave below HTTP, where a well-made server library does not let one reach.

mod accept;
mod answers;
mod clock;
mod conferences;
mod connection;
mod inbox;
mod limiter;
mod query;
mod reply;
mod request;
mod rules;
mod state;
#[cfg(test)]
mod tests;
mod users;
mod version;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::AbortHandle;

pub use conferences::{CALLS, Call};
pub use limiter::Window;
pub use reply::Reply;
pub use request::Request;
pub use users::{USERS, User};
pub use version::{UnknownVersion, Version};

use rules::Rules;
use state::State;

/// How the stand-in behaves while nothing is scripted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The Rocket.Chat whose answers are given.
    pub version: Version,
    /// Whether 15 requests in 3000 ms are the most a client address may send, as in a Rocket.Chat
    /// with `API_Enable_Rate_Limiter` on (its default). Off, no `X-RateLimit-*` header is sent.
    pub rate_limit: bool,
    /// Whether every call can be found, as in a Rocket.Chat with more calls than anybody would list:
    /// one that [`CALLS`] lacks is the documented example under the id that is asked for.
    pub any_call: bool,
}

/// A running stand-in. Clones share one server, which stops when the last of them is dropped.
#[derive(Clone)]
pub struct Sandbox {
    server: Arc<Server>,
}

struct Server {
    address: SocketAddr,
    state: Arc<State>,
    accepting: AbortHandle,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            version: Version::default(),
            rate_limit: true,
            any_call: false,
        }
    }
}

impl Sandbox {
    /// Binds `listen` (port 0 picks a free one) and serves until the last clone is dropped.
    /// Must be called within a tokio runtime that has I/O and time enabled.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(listen: SocketAddr, options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::new(Rules::new(options)));
        let accepting = tokio::spawn(accept::accept(listener, Arc::clone(&state))).abort_handle();
        Ok(Self {
            server: Arc::new(Server {
                address,
                state,
                accepting,
            }),
        })
    }

    /// The address listened on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// The base URL, as in `http://127.0.0.1:3000`, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// Has `reply` answer one coming request in place of Rocket.Chat's rules. Replies are used up
    /// in the order they were scripted, one a request.
    pub fn script(&self, reply: Reply) {
        self.server.state.script(reply);
    }

    /// Has `reply` answer every request from now on for which nothing is scripted.
    pub fn always(&self, reply: Reply) {
        self.server.state.always(reply);
    }

    /// Every request seen so far, in order of arrival, whatever came of it; of a great many, the
    /// last 10,000.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.server.state.requests()
    }

    /// Waits until at least `n` requests have been seen, and gives all that have.
    pub async fn wait_for_requests(&self, n: usize) -> Vec<Request> {
        let seen = |seen: &state::Seen| seen.total >= n;
        self.server.state.wait_until(seen).await;
        self.requests()
    }

    /// Waits until at least `n` requests were abandoned, that is, the client closed the
    /// connection, or its sending half, before the answer was complete.
    pub async fn wait_for_dropped(&self, n: usize) {
        let seen = |seen: &state::Seen| seen.dropped >= n;
        self.server.state.wait_until(seen).await;
    }

    /// What the limiter has counted so far, in order of time; of a great many windows, the last
    /// 10,000. Requests to which no limit applies are in none.
    #[must_use]
    pub fn windows(&self) -> Vec<Window> {
        self.server.state.windows()
    }

    /// How many connections have been accepted so far, the closed ones included.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.server.state.connections()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The accepting task owns the connections' tasks, so they end with it.
        self.accepting.abort();
    }
}
