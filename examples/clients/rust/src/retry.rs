//! Trying again. Other libraries read a service config; tonic leaves it to its user.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// As in the service config.
const MAX_ATTEMPTS: u32 = 5;
const INITIAL_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// As good as no deadline. What is much longer no clock and no header can say, and both panic.
const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Does `call` with the time that is left, again if that makes sense, `timeout` in all.
pub(crate) async fn within<T>(
    timeout: Duration,
    call: impl AsyncFn(Duration) -> Result<T, Status>,
) -> Result<T, Status> {
    let deadline = Instant::now() + timeout.min(MAX_TIMEOUT);
    let mut backoff = INITIAL_BACKOFF;
    for attempt in 1.. {
        let left = deadline.saturating_duration_since(Instant::now());
        let status = match call(left).await {
            Ok(answer) => return Ok(answer),
            Err(status) => status,
        };
        let is_retryable = matches!(status.code(), Code::Unavailable | Code::ResourceExhausted);
        // The facade knows best when there is room again.
        let pause = retry_after(&status).unwrap_or(backoff);
        if !is_retryable || attempt == MAX_ATTEMPTS || Instant::now() + pause >= deadline {
            return Err(status);
        }
        sleep(pause).await;
        backoff = (backoff * 2).min(MAX_BACKOFF);
    }
    unreachable!("the last attempt returns")
}

fn retry_after(status: &Status) -> Option<Duration> {
    status.get_details_retry_info()?.retry_delay
}
