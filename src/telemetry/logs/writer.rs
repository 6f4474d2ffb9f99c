//! A thread that writes lines, and the bounded queue before it, so that nobody else ever waits for
//! a pipe.
//!
//! Not tracing-appender's: when its queue is full at the end, it prints to stdout, and hangs if
//! nobody reads that either.

use std::{
    collections::VecDeque,
    io::{self, BufRead, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

/// How many bytes of lines wait at most; more lines are lost and counted. In bytes, since some are
/// a hundred times as long as others.
const MAX_WAITING: usize = 4 * 1024 * 1024;

/// What is kept for them while somebody reads.
const AT_EASE: usize = 64 * 1024;

/// How long the end waits for the last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Takes lines and never waits. Clones share the queue.
#[derive(Clone, Debug)]
pub(super) struct Lines(Arc<Queue>);

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    /// Something was put in, or the last of it was written.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Whole lines, one behind the other, so that its capacity is all that they take.
    waiting: VecDeque<u8>,
    is_writing: bool,
    lost: u64,
}

impl Lines {
    /// Writes lines to `sink`, on a thread that lives as long as the process.
    pub(super) fn to(mut sink: impl Write + Send + 'static) -> Self {
        let queue = Arc::<Queue>::default();
        let lines = Self(Arc::clone(&queue));
        thread::spawn(move || {
            loop {
                let line = queue.next();
                // A sink that is closed is nobody's fault, and there is no other place to say it.
                let _ = sink.write_all(&line);
            }
        });
        lines
    }

    /// How many lines were lost so far.
    pub(super) fn lost(&self) -> u64 {
        self.0.lock().lost
    }

    /// Waits until all lines are written, but not for ever.
    pub(super) fn finish(&self) {
        let is_busy = |state: &mut State| state.is_writing || !state.waiting.is_empty();
        let _ = self
            .0
            .changed
            .wait_timeout_while(self.0.lock(), LAST_LINES, is_busy);
    }
}

impl Queue {
    /// The next line to write; the one before has been written.
    fn next(&self) -> Vec<u8> {
        let mut state = self.lock();
        state.is_writing = false;
        loop {
            if !state.waiting.is_empty() {
                state.is_writing = true;
                return state.next_line();
            }
            self.changed.notify_all();
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether `length` more bytes may wait; then there is memory for them.
    fn has_room_for(&mut self, length: usize) -> bool {
        let needed = self.waiting.len() + length;
        if needed > MAX_WAITING {
            return false;
        }
        if needed > self.waiting.capacity() {
            // In two steps and no more, since doubling could end beyond the limit.
            let enough = if needed > AT_EASE {
                MAX_WAITING
            } else {
                AT_EASE
            };
            self.waiting.reserve_exact(enough - self.waiting.len());
        }
        true
    }

    /// Takes the next line out. What a stall took is given back with its last line.
    fn next_line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        // Reading from memory can't fail.
        let _ = self.waiting.read_until(b'\n', &mut line);
        if self.waiting.is_empty() {
            self.waiting.shrink_to(AT_EASE);
        }
        line
    }
}

impl Write for Lines {
    /// Takes a whole line, which is what the formatter writes at once.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        if state.has_room_for(line.len()) {
            state.waiting.extend(line);
            self.0.changed.notify_all();
        } else {
            state.lost += 1;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Gives on what is written, as soon as somebody takes it.
    struct Rendezvous(mpsc::SyncSender<Vec<u8>>);

    impl Write for Rendezvous {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Lines of `length` bytes, one more than can wait.
    fn too_many(length: usize) -> Vec<Vec<u8>> {
        let line = |number: usize| format!("{number:0width$}\n", width = length - 1).into_bytes();
        (0..=MAX_WAITING / length).map(line).collect()
    }

    #[test]
    fn bytes_that_nobody_takes_are_bounded_and_lost_lines_counted() {
        for length in [64, 4096, 32 * 1024] {
            let (sender, receiver) = mpsc::sync_channel(0);
            let mut lines = Lines::to(Rendezvous(sender));
            // Once the writer is busy with its first line, the rest has to wait.
            lines.write_all(b"first\n").unwrap();
            while !lines.0.lock().waiting.is_empty() {
                thread::yield_now();
            }
            let all = too_many(length);
            for line in &all {
                lines.write_all(line).unwrap();
            }
            lines.write_all(&vec![b'x'; MAX_WAITING + 1]).unwrap();
            assert_eq!(lines.lost(), 2, "lines of {length} bytes");
            assert!(lines.0.lock().waiting.capacity() <= MAX_WAITING);

            assert_eq!(receiver.recv().unwrap(), b"first\n");
            for line in &all[..all.len() - 1] {
                assert_eq!(receiver.recv().unwrap(), *line);
            }
            lines.finish();
            assert!(receiver.try_recv().is_err(), "all others were written");
            assert!(lines.0.lock().waiting.capacity() <= AT_EASE, "given back");
        }
    }
}
