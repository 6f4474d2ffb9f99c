//! Reading the body of an answer, or as much of it as anybody needs.

pub(super) mod packing;

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderValue, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};

use self::packing::Packed;

/// The codings that are understood, for `Accept-Encoding`.
pub(super) const ACCEPT_ENCODING: HeaderValue = HeaderValue::from_static("gzip, deflate");

/// What is left of a call's time for its refusal to reach the caller, at most.
const RESERVE: Duration = Duration::from_millis(50);

/// How long the body of a refusal is waited for, whose status is known already. Enough for a server
/// that has something to say; one that stalls doesn't hold its caller.
const REFINING: Duration = Duration::from_millis(500);

/// How long a call waits for the end of a body that it doesn't need. As a rule the end comes within
/// a moment, and who asks again at once then finds a connection that is free.
const DISCARDING: Duration = Duration::from_millis(25);

/// How long the end of such a body is waited for in all. Later it is cheaper to connect anew.
const DISCARDING_IN_BACKGROUND: Duration = Duration::from_millis(250);

/// How much of such a body is read, in bytes.
const MAX_DISCARDED: usize = 64 * 1024;

/// Why a body can't be had.
pub(super) enum Failure {
    /// It ended before its end.
    CutOff(hyper::Error),
    /// It can't be unpacked.
    Malformed(&'static str),
}

/// Reads the body of a success, of at most `max_bytes` when it is unpacked.
pub(super) async fn read(
    response: &mut Response<Incoming>,
    max_bytes: usize,
) -> Result<Vec<u8>, Failure> {
    let mut body = Packed::new(response.headers(), max_bytes)
        .ok_or(Failure::Malformed("unknown content encoding"))?;
    while let Some(chunk) = chunk(response).await.map_err(Failure::CutOff)? {
        body.push(&chunk).map_err(Failure::Malformed)?;
    }
    body.finish().map_err(Failure::Malformed)
}

/// Reads the body of a refusal as far as it is to be had soon and within `max_bytes`. Whatever is
/// wrong with it, the status holds.
pub(super) async fn read_in_time(
    response: &mut Response<Incoming>,
    max_bytes: usize,
    until: Option<Instant>,
) -> Vec<u8> {
    let Some(mut body) = Packed::new(response.headers(), max_bytes) else {
        return Vec::new();
    };
    let _ = timeout(in_time(REFINING, until), async {
        while let Ok(Some(chunk)) = chunk(response).await {
            if body.push(&chunk).is_err() {
                break;
            }
        }
    })
    .await;
    body.finish().unwrap_or_default()
}

/// Reads what is left of an answer and forgets it: a connection is used again only after the end of
/// its last answer. For a moment the call waits, then it goes on in the background.
pub(super) async fn discard(mut response: Response<Incoming>, until: Option<Instant>) {
    let mut rest = Box::pin(async move {
        let mut discarded = 0;
        while let Ok(Some(chunk)) = chunk(&mut response).await
            && discarded < MAX_DISCARDED
        {
            discarded += chunk.len();
        }
    });
    if rest.as_mut().now_or_never().is_none() {
        let rest = tokio::spawn(timeout(DISCARDING_IN_BACKGROUND, rest));
        let _ = timeout(in_time(DISCARDING, until), rest).await;
    }
}

/// The next piece of the body; `None` at its end.
async fn chunk(response: &mut Response<Incoming>) -> hyper::Result<Option<Bytes>> {
    while let Some(frame) = response.frame().await {
        // Trailers say nothing that is needed.
        if let Ok(data) = frame?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// `time`, but not to the last moment of who waits, so that they hear the status and not of their
/// deadline.
fn in_time(time: Duration, until: Option<Instant>) -> Duration {
    let Some(until) = until else { return time };
    let remaining = until.saturating_duration_since(Instant::now());
    time.min(remaining.saturating_sub(RESERVE.min(remaining / 10)))
}
