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
/// sending.
const MAX_STALL: Duration = Duration::from_secs(30);

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
            if state.collected.is_empty() {
                return Poll::Pending;
            }
            if !has_let_others_go_first {
                has_let_others_go_first = true;
                // A task that wakes itself goes behind all others that are ready.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            match state.poll_send(context) {
                Poll::Ready(Ok(())) => {
                    has_let_others_go_first = false;
                    stall = None;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
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
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, BufWriter, DuplexStream, duplex},
        time::Instant,
    };

    use super::*;

    /// Counts what is written to it.
    struct Counting {
        stream: DuplexStream,
        writes: Arc<Mutex<Vec<usize>>>,
    }

    impl AsyncWrite for Counting {
        fn poll_write(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
            self.writes.lock().unwrap().push(written);
            Poll::Ready(Ok(written))
        }

        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_flush(context)
        }

        fn poll_shutdown(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_shutdown(context)
        }
    }

    /// A connection whose other side takes `capacity` bytes at a time, and the sizes of its writes.
    fn connection(capacity: usize) -> (Batched<Counting>, DuplexStream, Arc<Mutex<Vec<usize>>>) {
        let (stream, other) = duplex(capacity);
        let writes = Arc::default();
        let counting = Counting {
            stream,
            writes: Arc::clone(&writes),
        };
        (Batched::new(counting), other, writes)
    }

    #[tokio::test]
    async fn what_is_written_in_one_turn_of_all_tasks_is_sent_together() {
        let (batched, mut other, writes) = connection(1 << 20);
        let mut protocol = batched.clone();
        let (answers, mut answered) = tokio::sync::mpsc::unbounded_channel::<u8>();
        let driver = tokio::spawn(async move {
            let speak = async {
                while let Some(byte) = answered.recv().await {
                    protocol.write_all(&[byte; 300]).await.unwrap();
                    protocol.flush().await.unwrap();
                }
                protocol.shutdown().await.unwrap();
            };
            batched.drive(speak).await.unwrap();
        });
        for byte in 0..10 {
            let answers = answers.clone();
            tokio::spawn(async move { answers.send(byte) });
        }
        let mut received = [0; 3000];
        other.read_exact(&mut received).await.unwrap();
        assert_eq!(*writes.lock().unwrap(), [3000]);
        assert_eq!(received[2999], 9);

        answers.send(10).unwrap();
        drop(answers);
        let mut rest = Vec::new();
        other.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, [10; 300], "nothing is left behind");
        driver.await.unwrap();
    }

    #[tokio::test]
    async fn what_is_collected_is_bounded() {
        let (batched, mut other, _) = connection(1000);
        let mut protocol = batched.clone();
        let sent: Vec<u8> = (0..=250).cycle().take(MAX_COLLECTED * 5).collect();
        let speak = async {
            protocol.write_all(&sent).await.unwrap();
            protocol.shutdown().await.unwrap();
        };
        let listen = async {
            let mut received = Vec::new();
            let mut buffer = [0; 4096];
            loop {
                let length = other.read(&mut buffer).await.unwrap();
                assert!(batched.lock().collected.capacity() <= MAX_COLLECTED);
                if length == 0 {
                    return received;
                }
                received.extend_from_slice(&buffer[..length]);
            }
        };
        let (driven, received) = tokio::join!(batched.drive(speak), listen);
        driven.unwrap();
        assert_eq!(received, sent);
        assert_eq!(batched.lock().collected.capacity(), 0, "given back");
    }

    /// As TLS does with a record that the socket had no room for.
    #[tokio::test(start_paused = true)]
    async fn what_the_stream_keeps_is_sent_too() {
        let (stream, mut other) = duplex(1000);
        let batched = Batched::new(BufWriter::new(stream));
        let mut protocol = batched.clone();
        let speak = async {
            protocol.write_all(&[1; 3000]).await.unwrap();
            sleep(Duration::from_secs(1)).await;
        };
        let mut received = [0; 3000];
        tokio::select! {
            biased;
            read = other.read_exact(&mut received) => read.unwrap(),
            _ = batched.drive(speak) => panic!("it wasn't sent"),
        };
    }

    #[tokio::test]
    async fn a_flood_leaves_others_their_turn() {
        let (stream, mut other) = duplex(1 << 20);
        let batched = Batched::new(stream);
        let mut protocol = batched.clone();
        other.write_all(&vec![1; MAX_READ * 10]).await.unwrap();
        drop(other);
        let read = Arc::new(AtomicUsize::new(0));
        let so_far = read.clone();
        let driver = tokio::spawn(async move {
            let speak = async {
                let mut buffer = [0; 1024];
                while let Ok(length @ 1..) = protocol.read(&mut buffer).await {
                    so_far.fetch_add(length, Ordering::Relaxed);
                }
            };
            batched.drive(speak).await.unwrap();
        });
        let other = tokio::spawn(async move {
            for turn in 1..=10 {
                assert_eq!(read.load(Ordering::Relaxed), MAX_READ * turn);
                let mut has_had_its_turn = false;
                poll_fn(|context| {
                    context.waker().wake_by_ref();
                    if std::mem::replace(&mut has_had_its_turn, true) {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                })
                .await;
            }
        });
        other.await.unwrap();
        driver.await.unwrap();
    }

    #[tokio::test]
    async fn the_last_words_of_a_protocol_that_fails_are_sent() {
        let (batched, mut other, _) = connection(1000);
        let mut protocol = batched.clone();
        let speak = async { protocol.write_all(b"no").await };
        batched.drive(speak).await.unwrap().unwrap();
        drop((batched, protocol));
        let mut received = Vec::new();
        other.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, b"no");
    }

    #[tokio::test]
    async fn a_connection_that_nothing_can_be_sent_on_ends() {
        let (batched, other, _) = connection(1000);
        drop(other);
        let mut protocol = batched.clone();
        let speak = async {
            protocol.write_all(b"x").await.unwrap();
            std::future::pending::<()>().await;
        };
        let error = batched.drive(speak).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    /// Slow is not stalled.
    #[tokio::test(start_paused = true)]
    async fn a_connection_whose_other_side_takes_nothing_for_long_ends() {
        const SLOW: u64 = 5;
        let (batched, mut other, _) = connection(1000);
        let mut protocol = batched.clone();
        let began = Instant::now();
        let speak = async {
            protocol.write_all(&[1; 10_000]).await.unwrap();
            std::future::pending::<()>().await;
        };
        let take = async {
            let mut taken = [0; 1000];
            for _ in 0..SLOW {
                sleep(MAX_STALL.mul_f32(0.9)).await;
                other.read_exact(&mut taken).await.unwrap();
            }
            std::future::pending::<()>().await;
        };
        let error = tokio::select! {
            driven = batched.drive(speak) => driven.unwrap_err(),
            () = take => unreachable!("it doesn't end"),
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_secs(), SLOW * 27 + 30);
    }
}
