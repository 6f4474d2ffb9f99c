//! The lane of reads that Rocket.Chat doesn't limit. What limits them is how many are under way.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    claim::{Cause, Claim, Turn},
    sync::{OwnedSemaphorePermit, Semaphore},
};

/// A bounded number of reads under way.
#[derive(Debug)]
pub(super) struct Lane {
    width: usize,
    semaphore: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// How long reads have taken of late.
    typical: Mutex<Duration>,
}

/// A read's place on the lane.
#[derive(Debug)]
pub(super) struct Permit {
    since: Instant,
    /// Given back when this is dropped.
    _permit: OwnedSemaphorePermit,
}

/// Counts somebody who waits, until it is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl Lane {
    pub(super) fn new(width: usize) -> Self {
        Self {
            width,
            semaphore: Arc::new(Semaphore::new(width)),
            waiting: AtomicUsize::new(0),
            typical: Mutex::default(),
        }
    }

    /// Waits for a place.
    pub(super) async fn enter(&self, claim: &Claim) -> Permit {
        let semaphore = Arc::clone(&self.semaphore);
        let permit = if let Ok(permit) = Arc::clone(&semaphore).try_acquire_owned() {
            permit
        } else {
            let before = self.waiting.fetch_add(1, Ordering::Relaxed);
            let _counted = Counted(&self.waiting);
            claim.queued(self.turn_after(before));
            let permit = semaphore.acquire_owned().await;
            permit.expect("the semaphore is never closed")
        };
        Permit {
            since: Instant::now(),
            _permit: permit,
        }
    }

    /// The read is over; its time tells those who wait how long that takes.
    pub(super) fn leave(&self, permit: &Permit) {
        let mut typical = self.typical.lock().unwrap_or_else(PoisonError::into_inner);
        *typical = (*typical * 7 + permit.since.elapsed()) / 8;
    }

    fn turn_after(&self, before: usize) -> Turn {
        let typical = *self.typical.lock().unwrap_or_else(PoisonError::into_inner);
        let rounds = u32::try_from(before / self.width + 1).unwrap_or(u32::MAX);
        let at = Instant::now() + typical.saturating_mul(rounds).min(Duration::from_secs(60));
        Turn {
            at,
            come_again_at: at,
            cause: Cause::ReadsInFlight,
        }
    }
}

impl Permit {
    /// When the read began.
    pub(super) fn since(&self) -> Instant {
        self.since
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
