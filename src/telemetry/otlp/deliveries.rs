//! Tells the operator whether deliveries arrive: once when they cease to, and again when they do.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use opentelemetry_sdk::error::OTelSdkResult;
use tokio::time::Instant;

use super::Receiver;

/// How often it is said that they still don't.
const EVERY: Duration = Duration::from_mins(5);

/// The deliveries to a receiver.
#[derive(Debug)]
pub struct Deliveries {
    /// Of what.
    what: &'static str,
    /// Where to, without secrets.
    receiver: String,
    trouble: Mutex<Option<Trouble>>,
}

/// Deliveries that don't arrive.
#[derive(Debug)]
struct Trouble {
    failed: u64,
    reported: Instant,
}

impl Deliveries {
    /// Deliveries of `what` to `receiver`.
    #[must_use]
    pub fn new(what: &'static str, receiver: &Receiver) -> Self {
        Self {
            what,
            receiver: receiver.origin(),
            trouble: Mutex::default(),
        }
    }

    /// What came of one.
    pub fn report(&self, result: &OTelSdkResult) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let (what, receiver) = (self.what, &self.receiver);
        let Err(error) = result else {
            if let Some(Trouble { failed, .. }) = trouble.take() {
                tracing::info!(receiver, failed, "{what} arrive again");
            }
            return;
        };
        let now = Instant::now();
        let is_new = trouble.is_none();
        let trouble = trouble.get_or_insert(Trouble {
            failed: 0,
            reported: now,
        });
        trouble.failed += 1;
        if is_new || now.duration_since(trouble.reported) >= EVERY {
            trouble.reported = now;
            let failed = trouble.failed;
            tracing::warn!(receiver, failed, %error, "{what} don't arrive");
        }
    }
}
