//! Reading the body of an answer, up to a limit.

use std::time::Duration;

use http::header::CONTENT_ENCODING;
use reqwest::Response;

use super::failure::{cut_off, find};
use crate::error::Error;

/// How much of a refusal's body is read: its JSON is far smaller, and the rest changes nothing.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;

/// How long a refusal's body is waited for: its status has said what counts.
const REFUSAL_WAIT: Duration = Duration::from_millis(500);

/// Reads the body of a success, unpacked, of at most `max_bytes`.
pub(super) async fn read(mut response: Response, max_bytes: usize) -> Result<Vec<u8>, Error> {
    let http_status = response.status().as_u16();
    let malformed = |problem| Error::UpstreamMalformed {
        http_status,
        problem,
        detail: None,
    };
    // The library takes the header away from what it unpacks.
    if response.headers().contains_key(CONTENT_ENCODING) {
        return Err(malformed("unknown content encoding"));
    }
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > max_bytes => {
                return Err(malformed("larger than the limit"));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            // A failure of the connection, and not of the unpacking of what came over it.
            Err(error) if find::<hyper::Error>(&error).is_some() => return Err(cut_off()),
            Err(_) => return Err(malformed("content encoding broken")),
        }
    }
}

/// Reads as much of a refusal's body as there is to be had. Whatever is wrong with it, the status
/// holds.
pub(super) async fn read_refusal(mut response: Response, remaining: Duration) -> Vec<u8> {
    let mut body = Vec::new();
    if response.headers().contains_key(CONTENT_ENCODING) {
        return body;
    }
    // Half of what is left, so that the caller hears the status and not of the deadline.
    let _ = tokio::time::timeout(REFUSAL_WAIT.min(remaining / 2), async {
        while let Ok(Some(chunk)) = response.chunk().await {
            let room = MAX_REFUSAL_BYTES - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if body.len() == MAX_REFUSAL_BYTES {
                break;
            }
        }
    })
    .await;
    body
}
