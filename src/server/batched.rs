//! A connection whose frames share a write, and that leaves others their turn.
//!
//! The HTTP/2 library writes, and flushes, each larger frame by itself: with ten calls under way that is
//! fifteen writes to the socket, half of what an answer from memory costs. Here what it writes is
//! collected until all tasks that are ready have had their turn: two writes for the ten answers. A lone
//! call has nobody to share with, and waits a few microseconds for that.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// How much is collected at most, in bytes. What comes then waits for the other side.
const MAX_COLLECTED: usize = 16 * 1024;

/// What is made room for, in bytes: a batch of small answers. It is given back when they are sent, so
/// that an idle connection holds nothing.
const BATCH: usize = 4 * 1024;

/// How much is read in one turn, in bytes. The library reads on as long as there is something to read, and
/// a flood of small frames would keep its thread from others for tens of milliseconds.
const MAX_READ: usize = 4 * 1024;

/// How long the other side may take nothing of what is sent. HTTP/2's pings don't notice one that goes on
/// sending. Longer than a slow one takes for the third of a large buffer after which the system says that
/// there is room again.
const MAX_STALL: Duration = Duration::from_mins(2);

/// A connection over `S`. Clones are the same one: the protocol has one, whoever drives it another.
#[derive(Debug)]
pub(super) struct Batched<S>(Arc<Mutex<State<S>>>);

#[derive(Debug)]
struct State<S> {
    stream: S,
    collected: Vec<u8>,
    /// How much of that was sent.
    sent: usize,
    /// How much was sent altogether.
    written: u64,
    /// How much may still be read in this turn.
    to_read: usize,
    /// Whether nothing is written any more.
    is_ending: bool,
}

/// The other side takes nothing.
struct Stall {
    /// How much was sent before.
    written: u64,
    is_too_long: Pin<Box<Sleep>>,
}

impl<S: AsyncWrite + Unpin> Batched<S> {
    /// Collects what is written to `stream`.
    pub(super) fn new(stream: S) -> Self {
        Self(Arc::new(Mutex::new(State {
            stream,
            collected: Vec::new(),
            sent: 0,
            written: 0,
            to_read: MAX_READ,
            is_ending: false,
        })))
    }

    /// Drives `protocol`, which speaks over this, and sends what it writes.
    ///
    /// # Errors
    /// It can't be sent, or isn't taken for a while.
    pub(super) async fn drive<T>(&self, protocol: impl Future<Output = T>) -> io::Result<T> {
        let mut protocol = pin!(protocol);
        let mut has_let_others_go_first = false;
        let mut stall = None::<Stall>;
        poll_fn(|context| {
            self.lock().to_read = MAX_READ;
            let outcome = protocol.as_mut().poll(context);
            let mut state = self.lock();
            if let Poll::Ready(outcome) = outcome {
                // As much as goes now: one that fails ends without a shutdown.
                let _ = state.poll_send(context);
                return Poll::Ready(Ok(outcome));
            }
            if state.collected.is_empty() && !state.is_ending {
                return Poll::Pending;
            }
            if !has_let_others_go_first {
                has_let_others_go_first = true;
                // A task that wakes itself goes behind all others that are ready.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            match state.poll_send(context) {
                Poll::Ready(Ok(())) if !state.is_ending => {
                    has_let_others_go_first = false;
                    stall = None;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                // Or the end of TLS can't be sent, for which the protocol has asked.
                Poll::Pending | Poll::Ready(Ok(())) => {
                    ready!(Stall::poll(&mut stall, state.written, context));
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
            Poll::Pending
        })
        .await
    }
}

impl Stall {
    /// Ready when `written` has been all for too long.
    fn poll(stall: &mut Option<Self>, written: u64, context: &mut Context<'_>) -> Poll<()> {
        let stall = match stall {
            Some(stall) if stall.written == written => stall,
            _ => stall.insert(Self {
                written,
                is_too_long: Box::pin(sleep(MAX_STALL)),
            }),
        };
        stall.is_too_long.as_mut().poll(context)
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
                sent => {
                    self.sent += sent;
                    self.written += sent as u64;
                }
            }
        }
        // TLS may have kept a part.
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
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
        let before = self.collected.len();
        let needed = before + parts.iter().map(|part| part.len()).sum::<usize>();
        if needed > self.collected.capacity() {
            // In two steps and no more, since doubling could end beyond the limit.
            let enough = if needed > BATCH { MAX_COLLECTED } else { BATCH };
            self.collected.reserve_exact(enough - before);
        }
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
        state.is_ending = true;
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
        let mut state = self.lock();
        if state.to_read == 0 {
            // A task that wakes itself goes behind all others that are ready.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut state.stream).poll_read(context, buffer))?;
        state.to_read = state.to_read.saturating_sub(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<S> Clone for Batched<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests;
