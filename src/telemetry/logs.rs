//! Logs to stderr, human or JSON, that never block a call.

mod writer;

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use tracing_subscriber::{
    Layer, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};
use writer::Lines;

/// How often it is looked whether lines were lost.
const LOSS_REPORT_EVERY: Duration = Duration::from_secs(10);

/// What the lines look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Human on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// A line of text, in colour on a terminal.
    Human,
    /// A JSON object a line.
    Json,
}

/// How the process logs.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the lines look like.
    pub format: Format,
    /// Which lines there are: a level, or levels by target.
    pub filter: Targets,
}

/// Writes what is left when it is dropped.
#[derive(Debug)]
pub struct Logs {
    lines: Lines,
}

impl Logs {
    /// Logs from now on. A second call in a process changes nothing.
    #[must_use]
    pub fn start(options: Options) -> Self {
        let logs = Self {
            lines: Lines::to(io::stderr()),
        };
        let is_terminal = io::stderr().is_terminal();
        let is_human = match options.format {
            Format::Auto => is_terminal,
            Format::Human => true,
            Format::Json => false,
        };
        let lines = fmt::layer().with_writer(logs.lines.clone());
        let lines = if is_human {
            lines.with_ansi(is_terminal).boxed()
        } else {
            lines.json().flatten_event(true).boxed()
        };
        let _ = tracing_subscriber::registry()
            .with(lines.with_filter(options.filter))
            .try_init();
        log_panics();
        logs
    }

    /// How many lines were lost so far.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lines.lost()
    }

    /// Says now and then how many lines were lost. A report that is lost itself is one more to
    /// report.
    pub async fn report_losses(&self) {
        let mut reported = 0;
        loop {
            tokio::time::sleep(LOSS_REPORT_EVERY).await;
            self.report_loss(&mut reported);
        }
    }

    fn report_loss(&self, reported: &mut u64) {
        let lost = self.lost();
        if lost > *reported {
            tracing::warn!(lost, "log lines were lost, since nobody read them");
            *reported = lost;
        }
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.lines.finish();
    }
}

/// Where a panic happened, without its message: that may quote what was being worked on.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(tracing::field::display);
        tracing::error!(location, "panic");
    }));
}
