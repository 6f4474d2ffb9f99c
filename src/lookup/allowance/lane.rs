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

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;
    use crate::claim::Stage;

    /// How long somebody is told to wait who enters now.
    fn told(lane: &Arc<Lane>) -> (Duration, tokio::task::JoinHandle<Permit>) {
        let claim = Claim::new();
        let mut entering = Box::pin({
            let (lane, claim) = (lane.clone(), claim.clone());
            async move { lane.enter(&claim).await }
        });
        let waker = &mut std::task::Context::from_waker(std::task::Waker::noop());
        assert!(entering.as_mut().poll(waker).is_pending());
        match claim.stage() {
            Stage::Queued(turn) => {
                let Turn {
                    at,
                    come_again_at,
                    cause,
                } = turn;
                assert_eq!((at, cause), (come_again_at, Cause::ReadsInFlight));
                (at - Instant::now(), tokio::spawn(entering))
            }
            stage => panic!("{stage:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_comes_when_those_before_are_through() {
        let lane = Arc::new(Lane::new(2));
        let claim = Claim::new();
        let (one, other) = (lane.enter(&claim).await, lane.enter(&claim).await);
        assert_eq!(claim.stage(), Stage::Begun);
        sleep(Duration::from_millis(800)).await;
        lane.leave(&one);
        // An eighth of what was new.
        let typical = Duration::from_millis(100);
        let (first, second, third) = (told(&lane), told(&lane), told(&lane));
        assert_eq!(
            [first.0, second.0, third.0],
            [typical, typical, typical * 2]
        );
        // Who leaves is waited for by nobody.
        for task in [second.1, third.1] {
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
        }
        let fourth = told(&lane);
        assert_eq!(fourth.0, typical);
        sleep(Duration::from_millis(100)).await;
        lane.leave(&other);
        let typical = (typical * 7 + Duration::from_millis(900)) / 8;
        assert_eq!(told(&lane).0, typical * 2);
        drop(one);
        first.1.await.expect("a permit");
    }
}
