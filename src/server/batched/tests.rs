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

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
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
    let stall = MAX_STALL.as_secs();
    assert_eq!(began.elapsed().as_secs(), stall * 9 / 10 * SLOW + stall);
}
