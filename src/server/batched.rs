//! A connection whose frames share a write.
//!
//! The HTTP/2 library writes, and flushes, each larger frame by itself: with ten calls under way that is
//! fifteen writes to the socket, half of what an answer from memory costs. Here what it writes is
//! collected, and sent when it comes to rest.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much is collected at most, in bytes. What comes then waits for the other side.
const MAX_COLLECTED: usize = 64 * 1024;

/// What is made room for, in bytes: a batch of small answers. It is given back when they are sent, so
/// that an idle connection holds nothing.
const BATCH: usize = 4 * 1024;

/// A connection over `S`. Clones are the same one: the protocol has one, whoever drives it another.
#[derive(Debug)]
pub(super) struct Batched<S>(Arc<Mutex<State<S>>>);

#[derive(Debug)]
struct State<S> {
    stream: S,
    collected: Vec<u8>,
    /// How much of that was sent.
    sent: usize,
}

impl<S: AsyncWrite + Unpin> Batched<S> {
    /// Collects what is written to `stream`.
    pub(super) fn new(stream: S) -> Self {
        Self(Arc::new(Mutex::new(State {
            stream,
            collected: Vec::new(),
            sent: 0,
        })))
    }

    /// Drives `protocol`, which speaks over this: whenever it comes to rest, what it wrote is sent.
    ///
    /// # Errors
    /// It can't be sent.
    pub(super) async fn drive<T>(&self, protocol: impl Future<Output = T>) -> io::Result<T> {
        let mut protocol = pin!(protocol);
        poll_fn(|context| {
            if let Poll::Ready(outcome) = protocol.as_mut().poll(context) {
                return Poll::Ready(Ok(outcome));
            }
            match self.lock().poll_send(context) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                _ => Poll::Pending,
            }
        })
        .await
    }
}

impl<S> Batched<S> {
    fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: AsyncWrite + Unpin> State<S> {
    /// Sends what was collected.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.collected.len() {
            let rest = &self.collected[self.sent..];
            match ready!(Pin::new(&mut self.stream).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sent += sent,
            }
        }
        self.collected = Vec::new();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Collects as much of `parts` as there is room for.
    fn poll_collect(
        &mut self,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.collected.len() >= MAX_COLLECTED {
            ready!(self.poll_send(context))?;
        }
        if self.collected.is_empty() {
            self.collected.reserve(BATCH);
        }
        let before = self.collected.len();
        for part in parts {
            let room = MAX_COLLECTED - self.collected.len();
            self.collected
                .extend_from_slice(&part[..part.len().min(room)]);
        }
        Poll::Ready(Ok(self.collected.len() - before))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Batched<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.lock().poll_collect(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.lock().poll_collect(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Who drives it sends, a moment later.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        ready!(state.poll_send(context))?;
        Pin::new(&mut state.stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Batched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.lock().stream).poll_read(context, buffer)
    }
}

impl<S> Clone for Batched<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
