//! `serve`: the facade before a Rocket.Chat.

use std::{future::Future, process::ExitCode};

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use super::{VERSION, block_on, check_config::check, fail, refuse};
use crate::{
    app,
    config::{Config, Flags, Problem},
    source::ConferenceSource,
    telemetry::logs::Logs,
};

pub(super) fn run(flags: &Flags, problems: Vec<Problem>) -> ExitCode {
    match check(flags, problems) {
        Ok((config, source)) => block_on(serve(config, source)),
        Err(problems) => refuse(&problems),
    }
}

async fn serve(config: Config, source: impl ConferenceSource) -> ExitCode {
    let listener = match TcpListener::bind(config.listen).await {
        Ok(listener) => listener,
        Err(error) => return fail(format_args!("can't listen on {}: {error}", config.listen)),
    };
    let shutdown = match shutdown_signal() {
        Ok(shutdown) => shutdown,
        Err(error) => return fail(format_args!("can't wait for signals: {error}")),
    };
    run_facade(listener, source, &config, shutdown).await;
    ExitCode::SUCCESS
}

/// Serves until `shutdown`, with logs from the first line to the last.
pub(super) async fn run_facade(
    listener: TcpListener,
    source: impl ConferenceSource,
    config: &Config,
    shutdown: impl Future<Output = ()>,
) {
    let logs = Logs::start(config.logs.clone());
    let listen = listener.local_addr().unwrap_or(config.listen);
    tracing::info!(%listen, version = VERSION, "serving");
    tokio::select! {
        () = app::serve(listener, source, config, shutdown) => {}
        () = logs.report_losses() => {}
    }
    tracing::info!(lost_log_lines = logs.lost(), "ended");
}

/// Ready at SIGTERM or SIGINT. A second one ends the process at once.
pub(super) fn shutdown_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut either = async move || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    Ok(async move {
        either().await;
        tokio::spawn(async move {
            either().await;
            std::process::exit(1);
        });
    })
}
