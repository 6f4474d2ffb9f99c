//! A thread that writes lines, and the bounded queue before it, so that nobody else ever waits for
//! a pipe.
//!
//! Not tracing-appender's: when its queue is full at the end, it prints to stdout, and hangs if
//! nobody reads that either.

use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

/// How many lines wait at most; more are lost and counted.
const MAX_WAITING: usize = 8192;

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
    waiting: VecDeque<Vec<u8>>,
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
            if let Some(line) = state.waiting.pop_front() {
                state.is_writing = true;
                return line;
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

impl Write for Lines {
    /// Takes a whole line, which is what the formatter writes at once.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        if state.waiting.len() < MAX_WAITING {
            state.waiting.push_back(line.to_vec());
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

    #[test]
    fn lines_that_nobody_takes_are_lost_and_counted() {
        let (sender, receiver) = mpsc::sync_channel(0);
        let mut lines = Lines::to(Rendezvous(sender));
        for number in 0..MAX_WAITING + 10 {
            lines.write_all(number.to_string().as_bytes()).unwrap();
        }
        // One may be in the writer's hands by now.
        let lost = usize::try_from(lines.lost()).unwrap();
        assert!((9..=10).contains(&lost), "{lost}");
        for number in 0..MAX_WAITING + 10 - lost {
            assert_eq!(receiver.recv().unwrap(), number.to_string().as_bytes());
        }
        lines.finish();
        assert!(receiver.try_recv().is_err(), "all others were written");
    }
}
