//! Opening connections to Rocket.Chat: straight, or through a proxy.

use std::{
    error::Error as StdError,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, Uri, header};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::{
    client::legacy::connect::{Connected, Connection, HttpConnector, proxy::Tunnel},
    rt::TokioIo,
};
use rustls::ClientConfig;
use tokio::{net::TcpStream, time::timeout};
use tower::Service;

use super::{Proxy, client::USER_AGENT};

/// How long a connection may be silent before the system asks whether the other end is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// How often it asks in vain.
const KEEPALIVE_RETRIES: u32 = 3;

/// How long what was sent may stay without an acknowledgement, which keepalive doesn't look after.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

type BoxError = Box<dyn StdError + Send + Sync>;
type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;
/// TCP, or TLS over it as some proxies want it.
type Link = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Opens connections, within a time.
#[derive(Clone)]
pub(super) struct Connector {
    inner: HttpsConnector<Way>,
    timeout: Duration,
}

/// How to get to where Rocket.Chat's TLS is spoken, or HTTP if it isn't.
#[derive(Clone)]
enum Way {
    Straight(HttpConnector),
    /// To a proxy, which reads what is sent.
    Forwarded(HttpsConnector<HttpConnector>, Uri),
    /// Through a proxy, which sees bytes only.
    Tunnelled(Tunnel<HttpsConnector<HttpConnector>>),
}

/// A connection on which the way is behind us.
pub(super) struct Wire {
    link: Link,
    is_forwarded: bool,
}

impl Connector {
    /// Opens connections within `timeout`: name, TCP and TLS together.
    pub(super) fn new(
        tls: ClientConfig,
        is_https: bool,
        proxy: Option<&Proxy>,
        timeout: Duration,
    ) -> Self {
        let tls = Arc::new(tls);
        let tcp = tcp(timeout);
        let way = match proxy {
            None => Way::Straight(tcp),
            Some(proxy) => {
                let link = HttpsConnector::from((tcp, Arc::clone(&tls)));
                let to = proxy.uri().clone();
                if is_https {
                    Way::Tunnelled(Tunnel::new(to, link).with_headers(tunnel_headers(proxy)))
                } else {
                    Way::Forwarded(link, to)
                }
            }
        };
        Self {
            inner: HttpsConnector::from((way, tls)),
            timeout,
        }
    }
}

fn tcp(timeout: Duration) -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    // Of a name with several addresses, each one has a part of the time.
    tcp.set_connect_timeout(Some(timeout));
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE));
    tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
    #[cfg(target_os = "linux")]
    tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
    tcp
}

fn tunnel_headers(proxy: &Proxy) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::USER_AGENT, USER_AGENT);
    if let Some(authorization) = proxy.authorization() {
        headers.insert(header::PROXY_AUTHORIZATION, authorization.clone());
    }
    headers
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Wire>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connecting = timeout(self.timeout, self.inner.call(to));
        Box::pin(async move {
            let in_time = connecting.await;
            in_time.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
        })
    }
}

impl Service<Uri> for Way {
    type Response = Wire;
    type Error = BoxError;
    type Future = Connecting<Wire>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Self::Straight(tcp) => tcp.poll_ready(context).map_err(Into::into),
            Self::Forwarded(link, _) => link.poll_ready(context),
            Self::Tunnelled(tunnel) => tunnel.poll_ready(context).map_err(Into::into),
        }
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let wire = |is_forwarded| move |link| Wire { link, is_forwarded };
        match self {
            Self::Straight(tcp) => {
                let connecting = tcp.call(to);
                Box::pin(async move { Ok(wire(false)(Link::Http(connecting.await?))) })
            }
            Self::Forwarded(link, proxy) => {
                let connecting = link.call(proxy.clone());
                Box::pin(async move { Ok(wire(true)(connecting.await?)) })
            }
            Self::Tunnelled(tunnel) => {
                let connecting = tunnel.call(to);
                Box::pin(async move { Ok(wire(false)(connecting.await?)) })
            }
        }
    }
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        // Who reads a request is told the whole URL in it.
        self.link.connected().proxy(self.is_forwarded)
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.link).poll_read(context, buffer)
    }
}

impl Write for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.link).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.link).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.link).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.link.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.link).poll_write_vectored(context, slices)
    }
}
