//! A door for fuzzers to the beginning of a connection.

use tokio::io::{AsyncRead, AsyncReadExt};

use super::greeting::Greeted;

/// A connection that is served.
#[derive(Debug)]
pub struct Served {
    /// With HTTP/1, and not with HTTP/2.
    pub http1: bool,
    /// All that is read of it.
    pub read: Vec<u8>,
}

/// What comes of a connection that begins like `stream`, where HTTP/1 is served or isn't; `None` if it isn't served.
pub async fn served(stream: impl AsyncRead + Unpin, http1: bool) -> Option<Served> {
    let mut greeted = Greeted::hear(stream, http1).await.ok()?;
    let mut read = Vec::new();
    greeted.read_to_end(&mut read).await.ok()?;
    Some(Served {
        http1: greeted.is_http1(),
        read,
    })
}
