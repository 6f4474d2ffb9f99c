//! A forward proxy.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

/// Goes where it is told to. Lasts as long as the test.
pub struct Proxy {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Proxy {
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::<AtomicUsize>::default();
        let counted = connections.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(forward(socket));
            }
        });
        Self {
            address,
            connections,
        }
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// The one target of a connection: enough for a client that asks once.
async fn forward(mut client: TcpStream) -> io::Result<()> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(char::from(client.read_u8().await?));
    }
    let target = head.split(' ').nth(1).unwrap_or_default();
    let mut server;
    if head.starts_with("CONNECT ") {
        server = TcpStream::connect(target).await?;
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    } else {
        let place = target.trim_start_matches("http://");
        let (host, _) = place.split_once('/').unwrap_or((place, ""));
        server = TcpStream::connect(host).await?;
        let origin = format!("http://{host}");
        server
            .write_all(head.replacen(&origin, "", 1).as_bytes())
            .await?;
    }
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
