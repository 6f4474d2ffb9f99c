//! `serve`: the facade before a Rocket.Chat.

use std::{io, process::ExitCode};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{VERSION, block_on, check_config::check, fail, refuse};
use crate::{
    app,
    config::{Config, Flags, Problems},
    server::Listeners,
    source::ConferenceSource,
    telemetry::logs::Logs,
};

/// The signals that ask for the end.
struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
}

pub(super) fn run(flags: &Flags, problems: Problems) -> ExitCode {
    match check(flags, problems) {
        Ok((config, source)) => block_on(serve(config, source)),
        Err(problems) => refuse(&problems),
    }
}

async fn serve(config: Config, source: impl ConferenceSource) -> ExitCode {
    match Listeners::bind(config.listen.as_str()).await {
        Ok(listeners) => run_facade(listeners, source, &config, &CancellationToken::new()).await,
        Err(error) => fail(format_args!("can't listen on {}: {error}", config.listen)),
    }
}

/// Serves until a signal or `end`, with logs from the first line to the last. A second signal ends
/// it at once.
pub(super) async fn run_facade(
    listeners: Listeners,
    source: impl ConferenceSource,
    config: &Config,
    end: &CancellationToken,
) -> ExitCode {
    let mut signals = match EndSignals::listen() {
        Ok(signals) => signals,
        Err(error) => return fail(format_args!("can't wait for signals: {error}")),
    };
    let logs = Logs::start(config.logs.clone());
    for listen in listeners.addresses() {
        tracing::info!(%listen, version = VERSION, "serving");
    }
    for warning in &config.warnings {
        tracing::warn!(%warning, "the configuration is odd");
    }
    if let Some(limit) = raise_file_limit()
        && limit < needed_files(config)
    {
        tracing::warn!(
            limit,
            "fewer open files are allowed than --max-connections may need"
        );
    }

    let second_signal = async {
        signals.next().await;
        end.cancel();
        signals.next().await;
    };
    let exit = tokio::select! {
        () = app::serve(listeners, source, config, end.cancelled()) => ExitCode::SUCCESS,
        () = second_signal => ExitCode::FAILURE,
        () = logs.report_losses() => ExitCode::FAILURE,
    };
    tracing::info!(lost_log_lines = logs.lost(), "ended");
    exit
}

/// What the process opens beside connections, roughly.
const OTHER_FILES: usize = 64;

/// How many files may be open if there are as many connections and reads as may be.
fn needed_files(config: &Config) -> u64 {
    let reads = config.allowance.max_reads_in_flight;
    (config.connections.max_connections + reads + OTHER_FILES) as u64
}

/// Raises the limit on open files as far as we may, since shells and service managers set a low one for
/// the sake of old programs. `None` if there is none.
fn raise_file_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

impl EndSignals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
