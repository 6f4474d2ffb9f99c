//! What the connections and the owner of the sandbox share: the script, and what has been seen.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::clock;
use super::limiter::Window;
use super::reply::Reply;
use super::request::Request;
use super::rules::Rules;

/// How many requests are remembered. A demo that runs for days must not grow.
const REMEMBERED: usize = 10_000;

pub(super) struct State {
    rules: Mutex<Rules>,
    script: Mutex<Script>,
    /// A watch, so that waiting needs no polling.
    seen: watch::Sender<Seen>,
}

/// What has happened so far.
#[derive(Default)]
pub(super) struct Seen {
    /// The last of them, in order of arrival.
    pub requests: VecDeque<Request>,
    /// How many there were.
    pub total: usize,
    pub dropped: usize,
    pub connections: usize,
}

#[derive(Default)]
struct Script {
    queue: VecDeque<Reply>,
    always: Option<Reply>,
}

impl State {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules: Mutex::new(rules),
            script: Mutex::default(),
            seen: watch::Sender::default(),
        }
    }

    pub(super) fn script(&self, reply: Reply) {
        lock(&self.script).queue.push_back(reply);
    }

    pub(super) fn always(&self, reply: Reply) {
        lock(&self.script).always = Some(reply);
    }

    /// Notes the request, and says what to do with it.
    pub(super) fn reply_to(&self, request: &Request, peer: IpAddr) -> Reply {
        let scripted = {
            // Held while the request is noted, so that the order of `requests` is the order in
            // which replies were handed out.
            let mut script = lock(&self.script);
            self.note_request(request.clone());
            script.queue.pop_front().or_else(|| script.always.clone())
        };
        scripted.unwrap_or_else(|| lock(&self.rules).reply_to(request, peer, clock::now_ms()))
    }

    pub(super) fn note_request(&self, request: Request) {
        self.seen.send_modify(|seen| {
            if seen.requests.len() == REMEMBERED {
                seen.requests.pop_front();
            }
            seen.requests.push_back(request);
            seen.total += 1;
        });
    }

    pub(super) fn note_dropped(&self) {
        self.seen.send_modify(|seen| seen.dropped += 1);
    }

    pub(super) fn note_connection(&self) {
        self.seen.send_modify(|seen| seen.connections += 1);
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.seen.borrow().requests.iter().cloned().collect()
    }

    pub(super) fn windows(&self) -> Vec<Window> {
        lock(&self.rules).windows()
    }

    pub(super) fn connections(&self) -> usize {
        self.seen.borrow().connections
    }

    pub(super) async fn wait_until(&self, happened: impl Fn(&Seen) -> bool) {
        // Fails only when the sender is gone, and `self` holds it.
        let _ = self.seen.subscribe().wait_for(|seen| happened(seen)).await;
    }
}

/// A panic while holding one of these locks leaves nothing half-done worth giving up for.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
