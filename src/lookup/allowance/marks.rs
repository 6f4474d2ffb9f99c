//! What is known of credentials: whether Rocket.Chat accepts them, and whether it limits them.

use std::time::Duration;

use moka::{policy::EvictionPolicy, sync::Cache};
use tokio::time::Instant;

use crate::{credentials::Fingerprint, exchange::Head};

/// How many credentials are remembered.
const MAX_MARKS: u64 = 10_000;

/// For how long a credential counts as unlimited, until that is learned again. Roles change.
const UNLIMITED_FOR: Duration = Duration::from_secs(60);

/// For how long nobody counts as unlimited after a 429: a proxy that strips headers makes everybody
/// look so.
const SUSPENDED_FOR: Duration = Duration::from_secs(60);

/// The marks of all credentials. Who has none was never accepted.
#[derive(Debug)]
pub(super) struct Marks {
    unlimited_until: Cache<Fingerprint, Option<Instant>>,
    suspended_until: Option<Instant>,
}

impl Marks {
    pub(super) fn new() -> Self {
        Self {
            // The table holds whoever came last, since a mark costs only one read to be learned again.
            unlimited_until: Cache::builder()
                .max_capacity(MAX_MARKS)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            suspended_until: None,
        }
    }

    /// Learns from the head of an answer to `credential`.
    pub(super) fn learn(&mut self, credential: Fingerprint, head: &Head, now: Instant) {
        match (head.status, head.rate_limit) {
            (401, _) => self.unlimited_until.invalidate(&credential),
            (429, _) => {
                self.unlimited_until.insert(credential, None);
                self.suspended_until = Some(now + SUSPENDED_FOR);
            }
            (_, Some(_)) => self.unlimited_until.insert(credential, None),
            (200, None) => {
                let until = now + UNLIMITED_FOR;
                self.unlimited_until.insert(credential, Some(until));
            }
            // Whoever sent that, it tells nothing of the credential.
            (_, None) => {}
        }
    }

    pub(super) fn is_accepted(&self, credential: Fingerprint) -> bool {
        self.unlimited_until.contains_key(&credential)
    }

    pub(super) fn is_unlimited(&self, credential: Fingerprint, now: Instant) -> bool {
        let until = self.unlimited_until.get(&credential).flatten();
        until.is_some_and(|until| until > now)
            && self.suspended_until.is_none_or(|until| until <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIAL: [u8; 16] = [7; 16];
    const INSTANT: Duration = Duration::from_millis(1);

    fn head(status: u16) -> Head {
        Head {
            status,
            rate_limit: None,
            retry_after: None,
        }
    }

    #[test]
    fn who_is_not_limited_is_for_a_minute() {
        let (mut marks, now) = (Marks::new(), Instant::now());
        let credential = Fingerprint::from_bytes(CREDENTIAL);
        marks.learn(credential, &head(200), now);
        let end = now + UNLIMITED_FOR;
        assert!(marks.is_unlimited(credential, end - INSTANT));
        assert!(!marks.is_unlimited(credential, end));
        assert!(marks.is_accepted(credential));
    }

    #[test]
    fn nobody_is_after_a_refusal_for_a_minute() {
        let (mut marks, now) = (Marks::new(), Instant::now());
        let credential = Fingerprint::from_bytes(CREDENTIAL);
        marks.learn(Fingerprint::from_bytes([8; 16]), &head(429), now);
        let end = now + SUSPENDED_FOR;
        marks.learn(credential, &head(200), end - INSTANT);
        assert!(!marks.is_unlimited(credential, end - INSTANT));
        assert!(marks.is_unlimited(credential, end));
    }
}
