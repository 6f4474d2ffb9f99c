//! How a connection begins: with TLS if that is asked for, then with HTTP/2, or with HTTP/1 if browsers are
//! served. Whoever speaks something else is told so, as far as that goes.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use super::{strangers::Strangers, tls::Tls};

/// What a client of HTTP/2 says first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

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

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoken {
    Http2,
    /// Not enough to tell, as of a probe that only connects.
    Nothing,
    Http1,
    Tls,
    ProxyProtocol,
    Unknown,
}

/// What connections may speak.
#[derive(Clone, Default)]
pub struct Protocols {
    /// With this, only what is secured by it.
    pub tls: Option<Tls>,
    /// HTTP/1, too, as browsers do.
    pub http1: bool,
}

/// A connection that has begun with a protocol that is served, which reads its beginning once more.
#[derive(Debug)]
pub(super) struct Greeted<S> {
    stream: S,
    spoken: Spoken,
    beginning: Heard,
}

/// The beginning of what a client says.
#[derive(Debug, Default)]
struct Heard {
    bytes: [u8; PREFACE.len()],
    length: usize,
    /// How much was read once more.
    repeated: usize,
}

/// What is spoken on: TLS is boxed, since it is large, and would make the others as large.
type Secured = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// Waits for the beginning of `stream`, from `peer`, for `time`. `None` if it can't be served.
pub(super) async fn greet(
    stream: TcpStream,
    peer: SocketAddr,
    protocols: &Protocols,
    time: Duration,
    strangers: &Strangers,
) -> Option<Greeted<Secured>> {
    let begun = timeout(time, async {
        let stream = match &protocols.tls {
            Some(tls) => {
                let stream = secure(stream, peer, tls, protocols.http1, strangers).await?;
                Either::Right(Box::new(stream))
            }
            None => Either::Left(stream),
        };
        match Greeted::hear(stream, protocols.http1).await {
            Ok(greeted) => Some(greeted),
            Err((spoken, mut stream)) => {
                refuse(&mut stream, peer, spoken, strangers).await;
                None
            }
        }
    });
    begun.await.unwrap_or_else(|_| {
        tracing::debug!(%peer, "a connection that said too little");
        None
    })
}

/// Begins TLS on `stream`, if its client does.
async fn secure(
    mut stream: TcpStream,
    peer: SocketAddr,
    tls: &Tls,
    http1: bool,
    strangers: &Strangers,
) -> Option<TlsStream<TcpStream>> {
    let spoken = overhear(&stream).await.unwrap_or(Spoken::Nothing);
    if spoken != Spoken::Tls {
        refuse(&mut stream, peer, spoken, strangers).await;
        return None;
    }
    match tls.accept(stream, http1).await {
        Ok(stream) => Some(stream),
        Err((error, mut stream)) => {
            strangers.log_handshake(peer, &error);
            // The client has been sent the reason.
            let _ = timeout(LINGER, end(&mut stream, b"")).await;
            None
        }
    }
}

/// Tells who speaks something else, as far as that goes, and the log.
async fn refuse(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    peer: SocketAddr,
    spoken: Spoken,
    strangers: &Strangers,
) {
    if spoken == Spoken::Nothing {
        tracing::debug!(%peer, "a connection that said nothing");
        return;
    }
    strangers.log(peer, spoken.name());
    let last_words: &[u8] = match spoken {
        Spoken::Http1 => HTTP1_ANSWER,
        _ => b"",
    };
    let _ = timeout(LINGER, end(stream, last_words)).await;
}

/// What is spoken, as far as the first bytes tell. They stay to be read.
async fn overhear(stream: &TcpStream) -> io::Result<Spoken> {
    let mut heard = [0; PREFACE.len()];
    Ok(match stream.peek(&mut heard).await? {
        0 => Spoken::Nothing,
        length => what_is(&heard[..length]),
    })
}

impl Heard {
    /// Reads until it is clear what is spoken.
    async fn listen(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Spoken> {
        while is_unclear(&self.bytes[..self.length]) {
            match stream.read(&mut self.bytes[self.length..]).await? {
                0 => return Ok(Spoken::Nothing),
                more => self.length += more,
            }
        }
        Ok(what_is(&self.bytes[..self.length]))
    }

    /// Repeats as much of it as `buffer` takes. False if there is nothing left of it.
    fn repeat(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let rest = &self.bytes[self.repeated..self.length];
        let now = &rest[..rest.len().min(buffer.remaining())];
        buffer.put_slice(now);
        self.repeated += now.len();
        !now.is_empty()
    }
}

impl<S: AsyncRead + Unpin> Greeted<S> {
    /// Hears what is spoken on `stream`, which is given back if that isn't served.
    pub(super) async fn hear(mut stream: S, http1: bool) -> Result<Self, (Spoken, S)> {
        let mut beginning = Heard::default();
        let heard = beginning.listen(&mut stream).await;
        let spoken = heard.unwrap_or(Spoken::Nothing);
        if spoken == Spoken::Http2 || (spoken == Spoken::Http1 && http1) {
            return Ok(Self {
                stream,
                spoken,
                beginning,
            });
        }
        Err((spoken, stream))
    }
}

impl<S> Greeted<S> {
    /// Whether HTTP/1 is spoken, and not HTTP/2.
    pub(super) fn is_http1(&self) -> bool {
        self.spoken == Spoken::Http1
    }
}

/// Whether more has to be heard: these begin as methods of HTTP/1 do.
fn is_unclear(heard: &[u8]) -> bool {
    [PREFACE, PROXY_PROTOCOL[0]]
        .iter()
        .any(|whole| whole.len() > heard.len() && whole.starts_with(heard))
}

fn what_is(heard: &[u8]) -> Spoken {
    // A piece of a beginning that is longer will do.
    let begins = |with: &[u8]| heard.iter().zip(with).all(|(it, expected)| it == expected);
    if heard == PREFACE {
        Spoken::Http2
    } else if begins(TLS) {
        Spoken::Tls
    } else if PROXY_PROTOCOL.into_iter().any(begins) {
        Spoken::ProxyProtocol
    } else if is_http1(heard) {
        Spoken::Http1
    } else {
        Spoken::Unknown
    }
}

/// Whether a method and a target begin like this.
fn is_http1(heard: &[u8]) -> bool {
    let mut words = heard.split(|byte| *byte == b' ');
    let method = words.next().unwrap_or_default();
    let is_target = |target: &[u8]| {
        let begins_so = target.first().is_none_or(|first| b"/*h".contains(first));
        begins_so || method == b"CONNECT"
    };
    method.iter().all(u8::is_ascii_uppercase) && words.next().is_none_or(is_target)
}

impl Spoken {
    /// For the log, of somebody who isn't served.
    fn name(self) -> &'static str {
        match self {
            Self::Http2 => "HTTP/2 without TLS",
            Self::Nothing => "nothing",
            Self::Http1 => "HTTP/1",
            Self::Tls => "TLS",
            Self::ProxyProtocol => "the PROXY protocol",
            Self::Unknown => "something unknown",
        }
    }
}

/// Ends a connection so that `last_words`, and what was sent before, arrive.
async fn end(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    last_words: &[u8],
) -> io::Result<()> {
    stream.write_all(last_words).await?;
    stream.shutdown().await?;
    let mut rest = stream.take(MAX_LINGER);
    tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
    Ok(())
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.beginning.repeat(buffer) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
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
            (PREFACE, Spoken::Http2),
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
            (b"G", Spoken::Http1),
            (b"OPTIONS * HTTP/1.1\r\n", Spoken::Http1),
            (b"GET http://facade/ HTTP/1.1\r\n", Spoken::Http1),
            (b"CONNECT facade:50051 HTTP/1.1\r\n", Spoken::Http1),
            (b"INVALID CONNECTION PREFACE\r\n\r\n", Spoken::Unknown),
            (b"SSH-2.0-OpenSSH\r\n", Spoken::Unknown),
            (&[0xff; 30], Spoken::Unknown),
        ] {
            let mut stream = said;
            let heard = Heard::default().listen(&mut stream).await;
            assert_eq!(heard.unwrap(), expected, "{said:?}");
        }
    }

    #[tokio::test]
    async fn what_comes_in_pieces_is_waited_for() {
        for (first, second, expected) in [
            (&b"P"[..], &b"OST /x HTTP/1.1\r\n"[..], Spoken::Http1),
            (b"PRO", b"PFIND /x HTTP/1.1\r\n", Spoken::Http1),
            (b"PR", b"OXY TCP4 10.0.0.1", Spoken::ProxyProtocol),
            (b"PRI * HTTP/2.0\r\n\r\nS", b"M\r\n\r\n", Spoken::Http2),
        ] {
            let mut stream = first.chain(second);
            let heard = Heard::default().listen(&mut stream).await;
            assert_eq!(heard.unwrap(), expected, "{first:?}");
        }
    }

    #[test]
    fn the_answer_is_as_long_as_it_says() {
        let answer = std::str::from_utf8(HTTP1_ANSWER).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
    }
}
