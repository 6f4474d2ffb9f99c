//! `serve`: the facade before a Rocket.Chat.

use std::{io, net::SocketAddr, process::ExitCode, time::Duration};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{VERSION, block_on, check_config::facade, fail, operator, refuse, service_manager};
use crate::{
    app::{self, Facade, Telemetry},
    config::{Config, Flags, LISTENING_IN_CLEAR, Problems},
    metrics::names,
    server::{Listeners, MAX_ADMIN_CONNECTIONS, Tls},
    source::ConferenceSource,
    store,
    telemetry::{self, Outbox, Started, logs::Logs},
};

/// The signal that has everything logged, and then as before.
const DEBUG: SignalKind = SignalKind::user_defined1();

/// How long that goes on, unless the signal comes once more: it is a line for each call.
const DEBUG_FOR: Duration = Duration::from_mins(10);

/// The signals that ask for the end.
struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
}

pub(super) fn run(flags: &Flags, settings: Value, problems: Problems) -> ExitCode {
    match flags.check(problems) {
        Ok(config) => block_on(serve(config, settings)),
        Err(problems) => refuse(&problems),
    }
}

async fn serve(mut config: Config, settings: Value) -> ExitCode {
    let Started {
        instruments,
        prometheus,
        outbox,
    } = telemetry::start(
        &config.otlp,
        config.admin_listen.is_some(),
        &mut config.warnings,
    );
    let facade = match facade(&config, &instruments) {
        Ok(facade) => facade,
        Err(problems) => return refuse(&problems),
    };
    if let Some(options) = &config.shared_store
        && let Err(problem) = store::check(options).await
    {
        let mut problems = Problems::default();
        problems.note(format!("--shared-store: {} {problem}", options.address()));
        return refuse(&problems.into_vec());
    }
    let listeners = match Listeners::inherited() {
        Ok(None) => match Listeners::bind(config.listen.as_str(), config.reuse_port).await {
            Ok(listeners) => listeners,
            Err(error) => return fail(format_args!("can't listen on {}: {error}", config.listen)),
        },
        Ok(Some(listeners)) => {
            warn_if_open(&listeners, &mut config);
            listeners
        }
        Err(error) => return fail(format_args!("can't use a socket of LISTEN_FDS: {error}")),
    };
    let admin = match operator::admin(&config, prometheus, settings, None).await {
        Ok(admin) => admin,
        Err(problem) => return fail(problem),
    };
    let telemetry = Telemetry { instruments, admin };
    let hangups = match signal(SignalKind::hangup()) {
        Ok(hangups) => hangups,
        Err(error) => return fail(format_args!("can't wait for signals: {error}")),
    };
    let end = CancellationToken::new();
    tokio::select! {
        exit = run_facade(listeners, facade, &config, telemetry, outbox, &end) => exit,
        () = reload_at(hangups, config.tls.as_ref()) => ExitCode::FAILURE,
    }
}

/// Warns of sockets that weren't looked at with the rest of the configuration, and not of an address that
/// isn't used.
fn warn_if_open(listeners: &Listeners, config: &mut Config) {
    config.warnings.retain(|it| it != LISTENING_IN_CLEAR);
    let is_open = |address: &SocketAddr| !address.ip().is_loopback();
    if config.tls.is_none() && listeners.addresses().iter().any(is_open) {
        config.warnings.push(LISTENING_IN_CLEAR.to_owned());
    }
}

/// Has the certificate renewed at each of `hangups`, as long as there are any.
async fn reload_at(mut hangups: Signal, tls: Option<&Tls>) {
    while hangups.recv().await.is_some() {
        if let Some(tls) = tls {
            tls.reload();
        } else {
            tracing::info!("there is no certificate to reload");
        }
    }
}

/// Serves until a signal or `end`, with logs from the first line to the last. A second signal ends
/// it at once.
pub(super) async fn run_facade(
    listeners: Listeners,
    facade: Facade<impl ConferenceSource>,
    config: &Config,
    telemetry: Telemetry,
    outbox: Outbox,
    end: &CancellationToken,
) -> ExitCode {
    let signals = EndSignals::listen().and_then(|it| Ok((it, signal(DEBUG)?)));
    let (mut signals, mut switches) = match signals {
        Ok(signals) => signals,
        Err(error) => return fail(format_args!("can't wait for signals: {error}")),
    };
    let logs = Logs::start(config.logs.clone());
    let limit = raise_file_limit();
    for listen in listeners.addresses() {
        let tls = config.tls.as_ref().map_or("off", Tls::mode);
        tracing::info!(%listen, tls, version = VERSION, "serving");
    }
    for listen in telemetry
        .admin
        .iter()
        .flat_map(|it| it.listeners.addresses())
    {
        tracing::info!(%listen, "serving operators");
    }
    for (what, receiver) in config.otlp.receivers() {
        let protocol = receiver.protocol.as_str();
        tracing::info!(receiver = receiver.origin(), protocol, "sending {what}");
    }
    telemetry
        .instruments
        .metrics
        .count(&names::LOG_LINES_LOST, logs.losses());
    for warning in &config.warnings {
        tracing::warn!(%warning, "the configuration is odd");
    }
    if let Some(limit) = limit
        && limit < needed_files(config)
    {
        tracing::warn!(
            limit,
            "fewer open files are allowed than --max-connections may need"
        );
    }

    service_manager::ready();
    let switching = async {
        while switches.recv().await.is_some() {
            logs.debug(true);
            let _ = timeout(DEBUG_FOR, switches.recv()).await;
            logs.debug(false);
        }
    };
    let second_signal = async {
        signals.next().await;
        service_manager::stopping();
        end.cancel();
        signals.next().await;
    };
    let served = async {
        app::serve(listeners, facade, config, telemetry, end.cancelled()).await;
        outbox.finish().await;
    };
    let exit = tokio::select! {
        () = served => ExitCode::SUCCESS,
        () = second_signal => ExitCode::FAILURE,
        () = switching => ExitCode::FAILURE,
        () = logs.report_losses() => ExitCode::FAILURE,
        () = service_manager::live() => ExitCode::FAILURE,
    };
    tracing::info!(lost_log_lines = logs.lost(), "ended");
    exit
}

/// What the process opens beside connections, roughly.
const OTHER_FILES: usize = 64;

/// How many files may be open if there are as many connections and reads as may be.
fn needed_files(config: &Config) -> u64 {
    let reads = config.allowance.max_reads_in_flight;
    let admin = config
        .admin_listen
        .as_ref()
        .map_or(0, |_| MAX_ADMIN_CONNECTIONS);
    (config.connections.max_connections + reads + admin + OTHER_FILES) as u64
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
