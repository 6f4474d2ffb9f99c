//! How a connection begins. Whoever speaks something else than HTTP/2 is told so, as far as that goes.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::{Instant, timeout},
};

/// What a client of HTTP/2 says first.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How one of TLS begins: the record of a handshake.
const TLS: &[u8] = &[0x16, 0x03];

/// How a load balancer begins that tells its client's address.
const PROXY_PROTOCOL: [&[u8]; 2] = [b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"];

/// The answer to HTTP/1.x.
const HTTP1_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain\r\n\
    content-length: 52\r\n\
    connection: close\r\n\r\n\
    This is a gRPC server: it speaks HTTP/2 and no less.";

/// How long the end of such a connection is waited for: if it were closed before everything was read,
/// the system would tear it down, and the answer with it.
const LINGER: Duration = Duration::from_secs(1);

/// How much is read of it then, in bytes.
const MAX_LINGER: u64 = 64 * 1024;

/// At most one line is written in this time.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spoken {
    Http2,
    /// Not enough to tell, as of a probe that only connects.
    Nothing,
    Http1,
    Tls,
    ProxyProtocol,
    Unknown,
}

/// A connection that has begun as one of HTTP/2. The protocol reads its beginning once more.
#[derive(Debug)]
pub(super) struct Greeted<S> {
    stream: S,
    preface: &'static [u8],
}

/// Logs those who speak something else, not too often.
#[derive(Debug, Default)]
pub(super) struct Strangers(Mutex<Late>);

#[derive(Debug, Default)]
struct Late {
    last_line: Option<Instant>,
    left_out: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Greeted<S> {
    /// Waits for the beginning of `stream`, from `peer`, for `time`. `None` if it isn't one of HTTP/2.
    pub(super) async fn wait(
        mut stream: S,
        peer: SocketAddr,
        time: Duration,
        strangers: &Strangers,
    ) -> Option<Self> {
        let spoken = match timeout(time, listen(&mut stream)).await {
            Ok(Ok(spoken)) => spoken,
            Ok(Err(_)) | Err(_) => Spoken::Nothing,
        };
        match spoken {
            Spoken::Http2 => {
                return Some(Self {
                    stream,
                    preface: PREFACE,
                });
            }
            Spoken::Nothing => tracing::debug!(%peer, "a connection that said nothing"),
            Spoken::Http1 => {
                strangers.log(peer, "HTTP/1");
                let _ = timeout(LINGER, answer(&mut stream)).await;
            }
            Spoken::Tls => strangers.log(peer, "TLS"),
            Spoken::ProxyProtocol => strangers.log(peer, "the PROXY protocol"),
            Spoken::Unknown => strangers.log(peer, "something unknown"),
        }
        None
    }
}

/// Reads until it is clear what is spoken.
async fn listen(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Spoken> {
    let mut heard = [0; PREFACE.len()];
    let mut length = 0;
    while length < heard.len() && PREFACE.starts_with(&heard[..length]) {
        match stream.read(&mut heard[length..]).await? {
            0 => return Ok(Spoken::Nothing),
            more => length += more,
        }
    }
    Ok(what_is(&heard[..length]))
}

fn what_is(heard: &[u8]) -> Spoken {
    // A piece of a beginning that is longer will do.
    let begins = |with: &[u8]| heard.iter().zip(with).all(|(it, expected)| it == expected);
    let method = heard.split(|byte| *byte == b' ').next().unwrap_or_default();
    if heard == PREFACE {
        Spoken::Http2
    } else if begins(TLS) {
        Spoken::Tls
    } else if PROXY_PROTOCOL.into_iter().any(begins) {
        Spoken::ProxyProtocol
    } else if method.iter().all(u8::is_ascii_uppercase) {
        Spoken::Http1
    } else {
        Spoken::Unknown
    }
}

/// Tells somebody who speaks HTTP/1 what this is.
async fn answer(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    stream.write_all(HTTP1_ANSWER).await?;
    stream.shutdown().await?;
    let mut rest = stream.take(MAX_LINGER);
    tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
    Ok(())
}

impl Strangers {
    fn log(&self, peer: SocketAddr, spoken: &str) {
        let mut late = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if late.last_line.is_some_and(|last| now < last + LINE_EVERY) {
            late.left_out += 1;
            return;
        }
        late.last_line = Some(now);
        let left_out = std::mem::take(&mut late.left_out);
        drop(late);
        tracing::warn!(%peer, spoken, left_out, "a client that doesn't speak HTTP/2");
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        if self.left_out > 0 {
            let left_out = self.left_out;
            tracing::warn!(left_out, "clients that don't speak HTTP/2");
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.preface.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let (now, later) = self
            .preface
            .split_at(self.preface.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.preface = later;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_spoken_is_known_by_its_beginning() {
        for (said, expected) in [
            (&PREFACE[..], Spoken::Http2),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nmore", Spoken::Http2),
            (b"", Spoken::Nothing),
            (b"PRI * HTTP/2.0", Spoken::Nothing),
            (b"GET / HTTP/1.1\r\n\r\n", Spoken::Http1),
            (b"PRI * HTTP/1.1\r\nhost: x\r\n\r\n", Spoken::Http1),
            (b"POST /x HTTP/1.0\r\n\r\n", Spoken::Http1),
            (b"PROPFIND /x HTTP/1.1\r\n\r\n", Spoken::Http1),
            (&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01], Spoken::Tls),
            (
                b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n",
                Spoken::ProxyProtocol,
            ),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", Spoken::ProxyProtocol),
            (b"SSH-2.0-OpenSSH\r\n", Spoken::Unknown),
            (&[0xff; 30], Spoken::Unknown),
        ] {
            let mut stream = said;
            assert_eq!(listen(&mut stream).await.unwrap(), expected, "{said:?}");
        }
    }

    #[test]
    fn the_answer_is_as_long_as_it_says() {
        let answer = std::str::from_utf8(HTTP1_ANSWER).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
    }
}
