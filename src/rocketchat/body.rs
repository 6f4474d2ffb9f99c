//! Reading and unpacking the body of an answer, up to a limit.
//!
//! The library can unpack, but knows the names of codings only in lower case, stops after the first
//! member of a gzip file, and doesn't tell a broken packing from a broken connection.

use std::{
    io::{self, Write},
    time::Duration,
};

use flate2::write::{MultiGzDecoder, ZlibDecoder};
use http::{HeaderMap, header::CONTENT_ENCODING};
use reqwest::Response;

use super::failure::cut_off;
use crate::error::Error;

/// The codings that are understood, for `Accept-Encoding`.
pub(super) const ACCEPT_ENCODING: &str = "gzip, deflate";

/// What is left of a call's time for its refusal to reach the caller, at most.
const RESERVE: Duration = Duration::from_millis(50);

/// A body as it comes in, unpacked on the way.
enum Body {
    Plain(Limited),
    Gzip(MultiGzDecoder<Limited>),
    /// zlib's format, as HTTP has it.
    Deflate(ZlibDecoder<Limited>),
}

/// What is unpacked so far. Writing more than the limit fails.
struct Limited {
    bytes: Vec<u8>,
    max_bytes: usize,
    is_exceeded: bool,
}

/// Reads the body of a success, of at most `max_bytes` when it is unpacked.
pub(super) async fn read(mut response: Response, max_bytes: usize) -> Result<Vec<u8>, Error> {
    let http_status = response.status().as_u16();
    let malformed = |problem| Error::UpstreamMalformed {
        http_status,
        problem,
        detail: None,
    };
    let mut body = Body::new(response.headers(), max_bytes)
        .ok_or_else(|| malformed("unknown content encoding"))?;
    while let Some(chunk) = response.chunk().await.map_err(|_| cut_off())? {
        body.push(&chunk).map_err(malformed)?;
    }
    body.finish().map_err(malformed)
}

/// Reads the body of a refusal as far as it is to be had within `max_bytes` and `time`. Whatever is
/// wrong with it, the status holds.
pub(super) async fn read_in_time(
    mut response: Response,
    max_bytes: usize,
    time: Duration,
) -> Vec<u8> {
    let Some(mut body) = Body::new(response.headers(), max_bytes) else {
        return Vec::new();
    };
    // Not to the last moment, so that the caller hears the status and not of the deadline.
    let time = time.saturating_sub(RESERVE.min(time / 10));
    let _ = tokio::time::timeout(time, async {
        while let Ok(Some(chunk)) = response.chunk().await {
            if body.push(&chunk).is_err() {
                break;
            }
        }
    })
    .await;
    body.finish().unwrap_or_default()
}

impl Body {
    /// A body with these headers; `None` if its coding isn't understood, or if it has several.
    fn new(headers: &HeaderMap, max_bytes: usize) -> Option<Self> {
        let limited = || Limited {
            bytes: Vec::new(),
            max_bytes,
            is_exceeded: false,
        };
        let mut body = Self::Plain(limited());
        for value in headers.get_all(CONTENT_ENCODING) {
            for name in value.to_str().ok()?.split(',') {
                let next = match name.trim().to_ascii_lowercase().as_str() {
                    "" | "identity" => continue,
                    "gzip" | "x-gzip" => Self::Gzip(MultiGzDecoder::new(limited())),
                    "deflate" => Self::Deflate(ZlibDecoder::new(limited())),
                    _ => return None,
                };
                let Self::Plain(_) = body else {
                    return None;
                };
                body = next;
            }
        }
        Some(body)
    }

    /// Takes what came in.
    fn push(&mut self, chunk: &[u8]) -> Result<(), &'static str> {
        let pushed = match self {
            Self::Plain(limited) => limited.write_all(chunk),
            Self::Gzip(decoder) => decoder.write_all(chunk),
            Self::Deflate(decoder) => decoder.write_all(chunk),
        };
        pushed.map_err(|_| self.problem())
    }

    /// The whole body, when all of it came in.
    fn finish(mut self) -> Result<Vec<u8>, &'static str> {
        let finished = match &mut self {
            Self::Plain(_) => Ok(()),
            Self::Gzip(decoder) => decoder.try_finish(),
            Self::Deflate(decoder) => decoder.try_finish(),
        };
        match finished {
            Ok(()) => Ok(std::mem::take(&mut self.limited_mut().bytes)),
            Err(_) => Err(self.problem()),
        }
    }

    fn problem(&mut self) -> &'static str {
        if self.limited_mut().is_exceeded {
            "larger than the limit"
        } else {
            "content encoding broken"
        }
    }

    fn limited_mut(&mut self) -> &mut Limited {
        match self {
            Self::Plain(limited) => limited,
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Deflate(decoder) => decoder.get_mut(),
        }
    }
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.max_bytes {
            self.is_exceeded = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
