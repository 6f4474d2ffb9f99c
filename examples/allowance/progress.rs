//! How far the runs have got: a bar on a terminal, else a line for each of them.

use std::{
    io::{self, IsTerminal, Write},
    pin::pin,
    time::Duration,
};

use tokio::time::{Instant, interval};

const DRAW_EVERY: Duration = Duration::from_millis(250);

/// How many characters the bar has.
const WIDTH: u32 = 30;

/// All runs, and those that are done.
pub struct Progress {
    total: Duration,
    done: Duration,
    is_terminal: bool,
}

impl Progress {
    /// For runs that take `total` together.
    pub fn new(total: Duration) -> Self {
        Self {
            total,
            done: Duration::ZERO,
            is_terminal: io::stderr().is_terminal(),
        }
    }

    /// Shows that `what` is going on, which takes about as long as `length`, until `work` is ready.
    pub async fn during<T>(
        &mut self,
        what: &str,
        length: Duration,
        work: impl Future<Output = T>,
    ) -> T {
        if !self.is_terminal {
            say(&format!("{what}: {} s\n", length.as_secs()));
        }
        let started = Instant::now();
        let mut ticks = interval(DRAW_EVERY);
        let mut work = pin!(work);
        let result = loop {
            tokio::select! {
                result = &mut work => break result,
                _ = ticks.tick(), if self.is_terminal => {
                    self.draw(what, started.elapsed().min(length));
                }
            }
        };
        self.done += length;
        if self.is_terminal {
            say("\r\x1b[K");
        }
        result
    }

    fn draw(&self, what: &str, elapsed: Duration) {
        let left = self.total.saturating_sub(self.done + elapsed).as_secs();
        let share = (self.done + elapsed).div_duration_f64(self.total);
        let bar: String = (0..WIDTH)
            .map(|at| {
                if f64::from(at) < share * f64::from(WIDTH) {
                    '#'
                } else {
                    '.'
                }
            })
            .collect();
        say(&format!(
            "\r[{bar}] {what}, {}:{:02} left\x1b[K",
            left / 60,
            left % 60
        ));
    }
}

/// If nobody reads it, so be it.
fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
