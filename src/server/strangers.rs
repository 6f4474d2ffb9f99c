//! A line in the log for those who can't be served, not too often.

use std::{
    io,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// At most one line is written in this time.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// The longest reason of a failed handshake, in bytes: parts of certificates are quoted in some.
const MAX_REASON: usize = 256;

/// Logs those who can't be served.
#[derive(Debug, Default)]
pub(super) struct Strangers(Mutex<Late>);

#[derive(Debug, Default)]
struct Late {
    last_line: Option<Instant>,
    left_out: u64,
}

impl Strangers {
    /// Logs somebody who speaks something else.
    pub(super) fn log(&self, peer: SocketAddr, spoken: &str) {
        if let Some(left_out) = self.turn() {
            tracing::warn!(%peer, spoken, left_out, "a client that speaks something else");
        }
    }

    /// Logs somebody with whom there is no agreement on TLS.
    pub(super) fn log_handshake(&self, peer: SocketAddr, error: &io::Error) {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            tracing::debug!(%peer, "a connection that ended within its handshake");
        } else if let Some(left_out) = self.turn() {
            let error = error.to_string();
            let error = &error[..error.floor_char_boundary(MAX_REASON)];
            tracing::warn!(%peer, error, left_out, "a TLS handshake failed");
        }
    }

    /// How many lines were left out, if there may be one now.
    fn turn(&self) -> Option<u64> {
        let mut late = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if late.last_line.is_some_and(|last| now < last + LINE_EVERY) {
            late.left_out += 1;
            return None;
        }
        late.last_line = Some(now);
        Some(std::mem::take(&mut late.left_out))
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        if self.left_out > 0 {
            let left_out = self.left_out;
            tracing::warn!(left_out, "clients that can't be served");
        }
    }
}
