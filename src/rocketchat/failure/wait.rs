//! When it makes sense to ask again, as far as an answer says it.

use std::time::Duration;

use crate::exchange::Head;

/// After a failed connection, or a status of passing trouble without a `Retry-After`.
pub(super) const UNAVAILABLE: Duration = Duration::from_secs(1);

/// One window of Rocket.Chat's limit for this endpoint, for a 429 that doesn't say when it ends.
const RATE_LIMITED: Duration = Duration::from_secs(3);

/// No caller is told to stay away for longer, whatever a `X-RateLimit-Reset` says.
const MAX_RESET: Duration = Duration::from_secs(60);

/// Nor for longer than that, whatever a `Retry-After` says.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(600);

/// "At once", as an overloaded server may say it. Stock clients would take it at its word and try
/// again without a pause, all of them together.
const AT_ONCE: Duration = Duration::from_millis(200);

/// After a status of passing trouble.
pub(super) fn while_unavailable(head: &Head) -> Duration {
    head.retry_after.map_or(UNAVAILABLE, bounded)
}

/// After a 429.
pub(super) fn while_rate_limited(head: &Head) -> Duration {
    let reset = head.rate_limit.and_then(|limit| limit.resets_after);
    // One that has passed says nothing about the refusal at hand.
    match reset.filter(|after| !after.is_zero()) {
        Some(after) => after.min(MAX_RESET),
        None => head.retry_after.map_or(RATE_LIMITED, bounded),
    }
}

/// A `Retry-After` within reason: not too long, and not too short without being spread.
fn bounded(after: Duration) -> Duration {
    if after < AT_ONCE {
        AT_ONCE.mul_f64(1.0 + fastrand::f64())
    } else {
        after.min(MAX_RETRY_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::RateLimit;

    fn head(resets_after: Option<u64>, retry_after: Option<u64>) -> Head {
        Head {
            status: 429,
            rate_limit: resets_after.map(|millis| RateLimit {
                resets_after: Some(Duration::from_millis(millis)),
                ..RateLimit::default()
            }),
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    #[test]
    fn after_a_429() {
        for (resets_after, retry_after, millis) in [
            (None, None, 3000),
            (Some(1234), None, 1234),
            (Some(1234), Some(7), 1234),
            (Some(0), None, 3000),
            (Some(0), Some(7), 7000),
            (Some(86_400_000), None, 60_000),
            (None, Some(7), 7000),
            (None, Some(600), 600_000),
            (None, Some(99_999_999_999), 600_000),
        ] {
            let wait = while_rate_limited(&head(resets_after, retry_after));
            let expected = Duration::from_millis(millis);
            assert_eq!(wait, expected, "{resets_after:?} {retry_after:?}");
        }
    }

    #[test]
    fn after_a_status_of_passing_trouble() {
        for (retry_after, seconds) in [(None, 1), (Some(5), 5), (Some(600), 600), (Some(601), 600)]
        {
            let wait = while_unavailable(&head(None, retry_after));
            assert_eq!(wait, Duration::from_secs(seconds), "{retry_after:?}");
        }
    }

    #[test]
    fn at_once_is_never_at_once_nor_for_all_together() {
        let at_once = head(None, Some(0));
        for wait in [while_unavailable, while_rate_limited] {
            let waits: Vec<_> = (0..100).map(|_| wait(&at_once)).collect();
            let range = AT_ONCE..2 * AT_ONCE;
            assert!(waits.iter().all(|wait| range.contains(wait)), "{waits:?}");
            assert!(waits.iter().any(|wait| *wait != waits[0]), "{waits:?}");
        }
    }
}
