//! Logs to stderr, human or JSON, that never block a call.

mod json;
mod writer;

use std::{
    io::{self, IsTerminal},
    panic::Location,
    time::Duration,
};

use json::JsonLines;
use tracing::Subscriber;
use tracing_subscriber::{
    Layer, Registry,
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt,
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt,
};
use writer::Lines;

/// How often it is looked whether lines were lost.
const LOSS_REPORT_EVERY: Duration = Duration::from_secs(10);

/// The target of panics, which no filter turns off.
const PANIC: &str = "panic";

/// The targets of what is ours.
const OURS: [&str; 2] = [env!("CARGO_CRATE_NAME"), "access"];

/// The target of switches of the filter, likewise.
const SWITCH: &str = "log_filter";

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
    /// Changes which lines there are.
    filter: reload::Handle<Targets, Registry>,
    /// Those that were asked for at the start.
    configured: Targets,
}

impl Logs {
    /// Logs from now on. A second call in a process changes nothing.
    #[must_use]
    pub fn start(options: Options) -> Self {
        let lines = Lines::to(io::stderr());
        let configured = options.filter.clone();
        let (layer, filter) = layer(options, lines.clone());
        let logs = Self {
            lines,
            filter,
            configured,
        };
        let _ = tracing_subscriber::registry().with(layer).try_init();
        std::panic::set_hook(Box::new(|panic| log_panic(panic.location())));
        logs
    }

    /// Has all of ours logged at debug, or as it was configured. The HTTP libraries would write a line for each
    /// frame.
    pub fn debug(&self, is_debugging: bool) {
        let mut filter = self.configured.clone();
        if is_debugging {
            for ours in OURS {
                filter = filter.with_target(ours, LevelFilter::DEBUG);
            }
        }
        // Fails if these aren't the process' logs, of which there is one.
        let _ = self.filter.reload(and_panics(filter));
        // Whatever the filter, since somebody waits for it.
        tracing::info!(target: SWITCH, debug = is_debugging, "the log filter is switched");
    }

    /// How many lines were lost so far.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lines.lost()
    }

    /// How many lines were lost, for whoever looks later.
    pub fn losses(&self) -> impl Fn() -> f64 + Send + Sync + use<> {
        let lines = self.lines.clone();
        #[expect(clippy::cast_precision_loss, reason = "nobody counts so far")]
        move || lines.lost() as f64
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

/// What writes the lines that `options` ask for, and what changes that.
fn layer<S>(options: Options, lines: Lines) -> (impl Layer<S>, reload::Handle<Targets, S>)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let is_terminal = io::stderr().is_terminal();
    let is_human = match options.format {
        Format::Auto => is_terminal,
        Format::Human => true,
        Format::Json => false,
    };
    let lines = if is_human {
        let human = fmt::layer().with_writer(lines);
        human.with_ansi(is_terminal).boxed()
    } else {
        JsonLines(lines).boxed()
    };
    let (filter, handle) = reload::Layer::new(and_panics(options.filter));
    (lines.with_filter(filter), handle)
}

/// The filter, which lets panics through in any case: a defect that nobody is told of stays. And what somebody
/// has asked for.
fn and_panics(filter: Targets) -> Targets {
    let filter = filter.with_target(PANIC, LevelFilter::ERROR);
    filter.with_target(SWITCH, LevelFilter::INFO)
}

/// Where a panic happened, without its message: that may quote what was being worked on.
fn log_panic(location: Option<&Location>) {
    let location = location.map(tracing::field::display);
    tracing::error!(target: PANIC, location, "panic");
}

#[cfg(test)]
mod tests {
    use std::{io::Write, sync::mpsc};

    use super::*;

    struct Sink(mpsc::Sender<String>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn panics_are_logged_whatever_the_filter() {
        for filter in ["off", "access=info", "panic=off", "off,panic=off", "info"] {
            let (sender, receiver) = mpsc::channel();
            let options = Options {
                format: Format::Json,
                filter: filter.parse().unwrap(),
            };
            let lines = Lines::to(Sink(sender));
            let (layer, _filter) = layer(options, lines.clone());
            let subscriber = tracing_subscriber::registry().with(layer);
            tracing::subscriber::with_default(subscriber, || log_panic(Some(Location::caller())));
            lines.finish();
            let line = receiver.try_recv().unwrap_or_default();
            assert!(line.contains("logs.rs"), "{filter}: {line}");
        }
    }
}
