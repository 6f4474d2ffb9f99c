//! Reads requests off a connection, and notices when the client is gone.

use bytes::{Buf, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::request::Request;

/// Node's `maxHeaderSize`: it counts the target and the names and values of the headers.
const MAX_HEAD: usize = 16 * 1024;

/// When a head is not complete by then, what Node does not count cannot be the reason.
const MAX_BUFFERED: usize = 4 * MAX_HEAD;

const MAX_HEADERS: usize = 256;

/// The reading half of a connection.
pub(super) struct Inbox<R> {
    reader: R,
    buffer: BytesMut,
}

/// What came in.
pub(super) enum Incoming {
    Request {
        request: Request,
        /// The client would send another one on this connection.
        reusable: bool,
    },
    /// What Node refuses by itself, before Rocket.Chat sees it, with its whole answer.
    Refused(&'static [u8]),
    Closed,
}

struct Head {
    request: Request,
    reusable: bool,
    length: usize,
    body_length: usize,
}

enum Unreadable {
    Incomplete,
    Malformed,
    TooLarge,
}

impl<R: AsyncRead + Unpin> Inbox<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            buffer: BytesMut::new(),
        }
    }

    /// The next request, its body read and thrown away.
    pub(super) async fn next(&mut self) -> Incoming {
        loop {
            match parse(&self.buffer) {
                Ok(head) => {
                    if !self
                        .skip(head.length.saturating_add(head.body_length))
                        .await
                    {
                        return Incoming::Closed;
                    }
                    let Head {
                        request, reusable, ..
                    } = head;
                    return Incoming::Request { request, reusable };
                }
                Err(Unreadable::Incomplete) if self.buffer.len() < MAX_BUFFERED => {
                    if !self.fill().await {
                        return Incoming::Closed;
                    }
                }
                Err(Unreadable::Malformed) => {
                    return Incoming::Refused(
                        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
                    );
                }
                Err(Unreadable::Incomplete | Unreadable::TooLarge) => {
                    return Incoming::Refused(
                        b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n\r\n",
                    );
                }
            }
        }
    }

    /// Waits until the client has closed the connection. What it sends meanwhile is kept.
    pub(super) async fn closed(&mut self) {
        while self.fill().await {
            if self.buffer.len() >= MAX_BUFFERED {
                // Better blind than out of memory.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Reads and forgets whatever still comes. To close a socket with bytes unread resets the
    /// connection, which may destroy the answer on its way.
    pub(super) async fn drain(&mut self) {
        while self.fill().await {
            self.buffer.clear();
        }
    }

    async fn skip(&mut self, mut length: usize) -> bool {
        loop {
            let here = length.min(self.buffer.len());
            self.buffer.advance(here);
            length -= here;
            if length == 0 {
                return true;
            }
            if !self.fill().await {
                return false;
            }
        }
    }

    /// False at the end of the stream.
    async fn fill(&mut self) -> bool {
        matches!(self.reader.read_buf(&mut self.buffer).await, Ok(1..))
    }
}

fn parse(bytes: &[u8]) -> Result<Head, Unreadable> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut fields);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Err(Unreadable::Incomplete),
        Err(_) => return Err(Unreadable::Malformed),
    };
    let target = head.path.unwrap_or_default();
    let counted = |field: &httparse::Header<'_>| field.name.len() + field.value.len();
    if target.len() + head.headers.iter().map(counted).sum::<usize>() >= MAX_HEAD {
        return Err(Unreadable::TooLarge);
    }
    let headers = header_map(head.headers).ok_or(Unreadable::Malformed)?;
    let method = Method::from_bytes(head.method.unwrap_or_default().as_bytes())
        .map_err(|_| Unreadable::Malformed)?;
    Ok(Head {
        length,
        body_length: body_length(&headers).ok_or(Unreadable::Malformed)?,
        reusable: head.version == Some(1) && is_reusable(&headers),
        request: Request {
            method,
            target: target.to_owned(),
            headers,
        },
    })
}

fn header_map(fields: &[httparse::Header<'_>]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        let mut value = HeaderValue::from_bytes(field.value).ok()?;
        value.set_sensitive(name == "x-auth-token");
        headers.append(name, value);
    }
    Some(headers)
}

fn body_length(headers: &HeaderMap) -> Option<usize> {
    match headers.get(header::CONTENT_LENGTH) {
        None => Some(0),
        Some(length) => length.to_str().ok()?.parse().ok(),
    }
}

/// A chunked request body is left unread, so nothing after it can be read either.
fn is_reusable(headers: &HeaderMap) -> bool {
    let closes = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"close");
    !headers.contains_key(header::TRANSFER_ENCODING)
        && !headers.get_all(header::CONNECTION).iter().any(closes)
}
