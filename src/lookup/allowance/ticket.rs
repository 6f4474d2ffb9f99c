//! The permission to send one request, and the account of what came of it.

use tokio::time::Instant;

use super::{Allowance, lane::Permit, release, window::Unit};
use crate::{credentials::Fingerprint, exchange::Head, replicas::ReadId};

/// The permission to send one request.
#[derive(Debug)]
pub struct Ticket {
    pub(super) allowance: Allowance,
    pub(super) credential: Fingerprint,
    pub(super) share: Share,
    pub(super) is_stranger: bool,
    /// What the replicas know the read by, if they were told of it.
    pub(super) read: Option<ReadId>,
    /// Whether the request may have been sent.
    pub(super) is_used: bool,
    is_over: bool,
}

/// What a request takes of the allowance.
#[derive(Debug)]
pub(super) enum Share {
    Window(Unit),
    Lane(Permit),
}

impl Ticket {
    /// One for a request with `credential`, which takes `share`.
    pub(super) fn new(
        allowance: Allowance,
        credential: Fingerprint,
        share: Share,
        is_stranger: bool,
        read: Option<ReadId>,
    ) -> Self {
        Self {
            allowance,
            credential,
            share,
            is_stranger,
            read,
            is_used: false,
            is_over: false,
        }
    }

    /// The request is about to be sent.
    pub fn begin(&mut self) {
        self.is_used = true;
    }

    /// What came of the request: whether it was sent, and the head of the answer.
    pub fn over(mut self, was_sent: bool, head: Option<&Head>) {
        self.is_used = was_sent;
        self.settle(head);
    }

    fn settle(&mut self, head: Option<&Head>) {
        self.is_over = true;
        if let Share::Lane(permit) = &self.share {
            self.allowance.0.lane.leave(permit);
        }
        let released = self.allowance.lock().over(self, head, Instant::now());
        release(released);
        self.allowance.0.changed();
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.is_over {
            self.settle(None);
        }
    }
}
