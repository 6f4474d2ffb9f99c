//! A thread that writes lines, and the bounded queue before it, so that nobody else ever waits for
//! a pipe.
//!
//! Not tracing-appender's: when its queue is full at the end, it prints to stdout, and hangs if
//! nobody reads that either. And it wakes its thread for each line.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

/// How many bytes of lines wait at most, those that are being written included; more lines are lost
/// and counted. In bytes, since some are a hundred times as long as others.
const MAX_WAITING: usize = 4 * 1024 * 1024;

/// What is kept for them while somebody reads.
const AT_EASE: usize = 64 * 1024;

/// The pause after a write. To wake a thread and to write costs more than a line does, so many share
/// it; after a rest, a line is written at once.
const PAUSE: Duration = Duration::from_millis(10);

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
    /// Whole lines, one behind the other.
    waiting: Vec<u8>,
    /// How many bytes are being written.
    writing: usize,
    /// Whether the writer has to be told of a line.
    is_idle: bool,
    lost: u64,
}

impl Lines {
    /// Writes lines to `sink`, on a thread that lives as long as the process.
    pub(super) fn to(mut sink: impl Write + Send + 'static) -> Self {
        let queue = Arc::<Queue>::default();
        let lines = Self(Arc::clone(&queue));
        thread::spawn(move || {
            let mut lines = Vec::new();
            loop {
                queue.take(&mut lines);
                let lost = write(&mut sink, &lines);
                queue.written(lost);
                thread::sleep(PAUSE);
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
        let is_busy = |state: &mut State| state.in_all() > 0;
        let _ = self
            .0
            .changed
            .wait_timeout_while(self.0.lock(), LAST_LINES, is_busy);
    }
}

impl Queue {
    /// Waits for lines, and puts them in the place of `lines`, which have been written.
    fn take(&self, lines: &mut Vec<u8>) {
        lines.clear();
        // What a stall took is given back.
        lines.shrink_to(AT_EASE);
        let mut state = self.lock();
        while state.waiting.is_empty() {
            state.is_idle = true;
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.is_idle = false;
        mem::swap(lines, &mut state.waiting);
        state.writing = lines.len();
    }

    /// What was taken has been written, but for some lines.
    fn written(&self, lost: u64) {
        let mut state = self.lock();
        state.writing = 0;
        state.lost += lost;
        drop(state);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How many bytes aren't written yet.
    fn in_all(&self) -> usize {
        self.waiting.len() + self.writing
    }

    /// Whether `length` more bytes may wait; then there is memory for them.
    fn has_room_for(&mut self, length: usize) -> bool {
        if self.in_all() + length > MAX_WAITING {
            return false;
        }
        let needed = self.waiting.len() + length;
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
}

/// Writes `lines`, and says how many of them were lost. A sink that is closed is nobody's fault, and
/// there is no other place to say it.
fn write(sink: &mut impl Write, lines: &[u8]) -> u64 {
    let mut rest = lines;
    while !rest.is_empty() {
        match sink.write(rest) {
            Ok(0) => break,
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Somebody who shares the pipe has made it so, and it is full.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
            Err(_) => break,
        }
    }
    rest.split_inclusive(|byte| *byte == b'\n').count() as u64
}

impl Write for Lines {
    /// Takes a whole line, which is what the formatter writes at once.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        if state.has_room_for(line.len()) {
            state.waiting.extend_from_slice(line);
            if mem::take(&mut state.is_idle) {
                self.0.changed.notify_all();
            }
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

    /// A pipe that doesn't block, is full every other time, and takes little; then a disk that is full.
    struct Reluctant {
        written: Arc<Mutex<Vec<u8>>>,
        is_full: bool,
    }

    impl Write for Reluctant {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut written = self.written.lock().unwrap();
            if written.len() >= 1000 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.is_full = !self.is_full;
            if self.is_full {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let taken = bytes.len().min(100);
            written.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_lost_to_errors_only_and_counted() {
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let mut sink = Reluctant {
            written: Arc::clone(&written),
            is_full: false,
        };
        let line = |number: usize| format!("{number:09}\n").into_bytes();
        let lines: Vec<u8> = (0..70).flat_map(line).collect();
        assert_eq!(write(&mut sink, &lines), 0);
        assert_eq!(*written.lock().unwrap(), lines);
        assert_eq!(write(&mut sink, &lines), 40);
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
            let all = too_many(length);
            lines.write_all(&all[0]).unwrap();
            while !lines.0.lock().waiting.is_empty() {
                thread::yield_now();
            }
            for line in &all[1..] {
                lines.write_all(line).unwrap();
            }
            lines.write_all(&vec![b'x'; MAX_WAITING + 1]).unwrap();
            assert_eq!(lines.lost(), 2, "lines of {length} bytes");
            assert!(lines.0.lock().waiting.capacity() <= MAX_WAITING);

            assert_eq!(receiver.recv().unwrap(), all[0]);
            assert_eq!(receiver.recv().unwrap(), all[1..all.len() - 1].concat());
            lines.write_all(b"last\n").unwrap();
            assert_eq!(receiver.recv().unwrap(), b"last\n");
            lines.finish();
            assert!(receiver.try_recv().is_err(), "all others were written");
            assert!(lines.0.lock().waiting.capacity() <= AT_EASE, "given back");
        }
    }
}
