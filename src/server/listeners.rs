//! The sockets that connections come to.

use std::{
    collections::HashSet,
    future::poll_fn,
    io,
    net::SocketAddr,
    task::{Context, Poll},
};

use listenfd::ListenFd;
use tokio::net::{TcpListener, TcpSocket, TcpStream, ToSocketAddrs, lookup_host};

/// How many connections may wait to be accepted, unless the system allows less.
const BACKLOG: u32 = 1024;

/// What is listened on: a name may stand for several addresses.
#[derive(Debug)]
pub struct Listeners {
    sockets: Vec<TcpListener>,
    /// Which one is looked at first: none keeps the others waiting.
    first: usize,
}

impl Listeners {
    /// Listens on all addresses of `place`, on one port. Those that this machine hasn't got, as that of
    /// IPv6 in many a container, are left out as long as there is another. With `reuse_port`, other
    /// processes that say so may listen there, too.
    ///
    /// # Errors
    /// There is no such name, or an address can't be listened on.
    pub async fn bind(place: impl ToSocketAddrs, reuse_port: bool) -> io::Result<Self> {
        let mut sockets = Vec::<TcpListener>::new();
        let mut missing = io::ErrorKind::NotFound.into();
        let mut known = HashSet::new();
        for mut address in lookup_host(place).await? {
            if !known.insert(address.ip()) {
                continue;
            }
            if let Some(other) = sockets.first() {
                // If any port will do, it is the same for all.
                address.set_port(other.local_addr()?.port());
            }
            match listen(address, reuse_port) {
                Ok(socket) => sockets.push(socket),
                Err(error) if is_missing(&error) => missing = error,
                Err(error) => return Err(error),
            }
        }
        if sockets.is_empty() {
            return Err(missing);
        }
        Ok(Self { sockets, first: 0 })
    }

    /// The sockets that the service manager listens on for us, if it does, as systemd's do.
    ///
    /// # Errors
    /// One of them isn't a TCP socket.
    pub fn inherited() -> io::Result<Option<Self>> {
        let mut passed = ListenFd::from_env();
        let mut sockets = Vec::new();
        for at in 0..passed.len() {
            if let Some(socket) = passed.take_tcp_listener(at)? {
                socket.set_nonblocking(true)?;
                sockets.push(TcpListener::from_std(socket)?);
            }
        }
        Ok((!sockets.is_empty()).then_some(Self { sockets, first: 0 }))
    }

    /// The addresses, as far as the system tells.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let sockets = self.sockets.iter();
        sockets.filter_map(|it| it.local_addr().ok()).collect()
    }

    /// The next connection, whichever socket it comes to.
    pub(super) async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|context| self.poll_accept(context)).await
    }

    fn poll_accept(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let count = self.sockets.len();
        for at in (0..count).map(|it| (self.first + it) % count) {
            if let Poll::Ready(accepted) = self.sockets[at].poll_accept(context) {
                self.first = at + 1;
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    }
}

impl From<TcpListener> for Listeners {
    fn from(socket: TcpListener) -> Self {
        Self {
            sockets: vec![socket],
            first: 0,
        }
    }
}

fn listen(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A restart needn't wait for the last connections of what was here before.
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(reuse_port)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Whether this machine hasn't got an address, or its whole family.
fn is_missing(error: &io::Error) -> bool {
    // EAFNOSUPPORT has no kind.
    const NO_SUCH_FAMILY: i32 = if cfg!(target_os = "linux") { 97 } else { 47 };
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(NO_SUCH_FAMILY)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reserved for documentation, so that no machine has it.
    const NOWHERE: &str = "192.0.2.1:0";

    async fn bind(addresses: &[&str]) -> io::Result<Listeners> {
        let addresses: Vec<SocketAddr> = addresses.iter().map(|it| it.parse().unwrap()).collect();
        Listeners::bind(&addresses[..], false).await
    }

    #[tokio::test]
    async fn what_this_machine_has_is_listened_on_once_and_on_one_port() {
        let loopback = "127.0.0.1:0";
        for (addresses, count) in [
            (&[loopback][..], 1),
            (&[loopback, loopback], 1),
            (&[loopback, NOWHERE], 1),
            (&[NOWHERE, loopback], 1),
            #[cfg(target_os = "linux")]
            (&[loopback, "127.0.0.2:0"], 2),
        ] {
            let bound = bind(addresses).await.unwrap().addresses();
            assert_eq!(bound.len(), count, "{addresses:?}");
            assert!(bound.iter().all(|it| it.port() == bound[0].port()));
        }
        let error = bind(&[NOWHERE]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
        assert!(bind(&[]).await.is_err());

        let holder = bind(&[loopback]).await.unwrap();
        let taken = holder.addresses()[0].to_string();
        let error = bind(&[NOWHERE, &taken]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn every_socket_has_its_turn() {
        let mut listeners = bind(&["127.0.0.1:0", "127.0.0.2:0"]).await.unwrap();
        let [one, other] = listeners.addresses()[..] else {
            unreachable!("two addresses")
        };
        let mut clients = Vec::new();
        for address in [one, one, one, other] {
            clients.push(TcpStream::connect(address).await.unwrap());
        }
        let mut places = Vec::new();
        for _ in &clients {
            let (socket, _) = listeners.accept().await.unwrap();
            places.push(socket.local_addr().unwrap());
        }
        assert_eq!(places, [one, other, one, one]);
    }
}
