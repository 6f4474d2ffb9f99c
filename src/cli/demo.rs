//! `demo`: the facade before the embedded stand-in for Rocket.Chat, and one call through it.

mod certificates;
mod invitation;

use std::{net::Ipv4Addr, process::ExitCode, time::Duration};

use http::HeaderValue;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{
    block_on, fail,
    get_info::{self, Call},
    operator, refuse, say,
    serve::run_facade,
    server::{Server, TlsOptions},
};
use crate::{
    app::{self, Telemetry},
    config::{CommonFlags, DEFAULT_LISTEN, Listen, Problems},
    credentials::{AuthToken, Credentials, UserId},
    proto::v1::GetInfoRequest,
    sandbox::{self, CALLS, Sandbox, USERS, Version},
    server::Listeners,
    telemetry::{self, Started},
};
use certificates::Certificates;
use invitation::invitation;

/// For the one call of the demo.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where operators look at a demo, if that is free.
const DEFAULT_ADMIN_LISTEN: &str = "127.0.0.1:9464";

/// Any free port.
const FREE_PORT: &str = "127.0.0.1:0";

#[derive(clap::Args)]
pub(super) struct Flags {
    /// Leave after the one call
    #[arg(long)]
    once: bool,

    /// Speak TLS, with certificates that are made on the spot
    #[arg(long)]
    tls: bool,

    /// The Rocket.Chat to stand in for: 7.0, 8.8 or 8.9
    #[arg(long, env = "VIDEOCONF_SANDBOX_VERSION", value_name = "VERSION")]
    #[arg(default_value = "8.8")]
    sandbox_version: String,

    /// The address or host name to listen on [default: 127.0.0.1:50051 if it is free, else a free port]
    #[arg(long, env = "VIDEOCONF_LISTEN", value_name = "ADDR:PORT")]
    listen: Option<String>,

    #[command(flatten)]
    common: CommonFlags,
}

pub(super) fn run(flags: &Flags, settings: Value, problems: Problems) -> ExitCode {
    block_on(demo(flags, settings, problems))
}

async fn demo(flags: &Flags, settings: Value, mut problems: Problems) -> ExitCode {
    let version = problems.check("--sandbox-version", &flags.sandbox_version, version);
    let options = sandbox::Options {
        version: version.unwrap_or_default(),
        ..sandbox::Options::default()
    };
    let sandbox = match Sandbox::start((Ipv4Addr::LOCALHOST, 0).into(), options).await {
        Ok(sandbox) => sandbox,
        Err(error) => return fail(format_args!("the sandbox can't listen: {error}")),
    };
    let listen = match &flags.listen {
        Some(listen) => listen,
        // Out of the way of a facade that may be running, since nobody will ask for the port.
        None if flags.once => FREE_PORT,
        None => DEFAULT_LISTEN,
    };
    let certificates = if flags.tls {
        match Certificates::make(listen).await {
            Ok(certificates) => Some(certificates),
            Err(error) => return fail(format_args!("can't make certificates: {error}")),
        }
    } else {
        None
    };
    let tls = certificates.as_ref().map(|it| it.tls.clone());
    let config = flags
        .common
        .check_with(problems, listen, tls, &sandbox.url());
    let mut config = match config {
        Ok(config) => config,
        Err(problems) => return refuse(&problems),
    };
    let is_anywhere = config.admin_listen.is_none() && !flags.once;
    if is_anywhere {
        config.admin_listen = Listen::parse(DEFAULT_ADMIN_LISTEN).ok();
    }
    let Started {
        instruments,
        prometheus,
        outbox,
    } = telemetry::start(
        &config.otlp,
        config.admin_listen.is_some(),
        &mut config.warnings,
    );
    let facade = match app::facade(&config, &instruments) {
        Ok(facade) => facade,
        Err(problem) => return fail(problem),
    };
    let bound = match Listeners::bind(config.listen.as_str(), config.reuse_port).await {
        Err(_) if flags.listen.is_none() => Listeners::bind(FREE_PORT, false).await,
        bound => bound,
    };
    let listeners = match bound {
        Ok(listeners) => listeners,
        Err(error) => return fail(format_args!("can't listen on {}: {error}", config.listen)),
    };
    let otherwise = is_anywhere.then_some(FREE_PORT);
    let admin = match operator::admin(&config, prometheus, settings, otherwise).await {
        Ok(admin) => admin,
        Err(problem) => return fail(problem),
    };
    let for_operators = admin.as_ref().map(|it| it.listeners.addresses());
    let for_operators = for_operators.and_then(|it| it.first().copied());
    let telemetry = Telemetry { instruments, admin };
    let address = listeners.addresses().first().map(ToString::to_string);
    let address = address.unwrap_or_else(|| config.listen.to_string());

    let end = CancellationToken::new();
    if let Ok(mut hangups) = signal(SignalKind::hangup()) {
        let end = end.clone();
        // Its terminal is gone. The certificates are to go, too.
        tokio::spawn(async move {
            hangups.recv().await;
            end.cancel();
        });
    }
    say(format_args!("Rocket.Chat's stand-in: {}", sandbox.url()));
    say(format_args!("The facade:             {address}"));
    if let Some(address) = for_operators {
        say(format_args!("For operators:          http://{address}/"));
    }
    say("");
    let show = async {
        let shown = show_call(&address, certificates.as_ref(), flags.once).await;
        if flags.once {
            end.cancel();
        }
        shown
    };
    let (served, shown) = tokio::join!(
        run_facade(listeners, facade, &config, telemetry, outbox, &end),
        show
    );
    if flags.once { shown } else { served }
}

/// Makes a call; the conference goes to stdout, everything else to stderr.
async fn show_call(address: &str, certificates: Option<&Certificates>, once: bool) -> ExitCode {
    let (user, call) = (&USERS[0], &CALLS[0]);
    if !once {
        say(invitation(address, certificates));
    }
    let tls = certificates.map(|it| TlsOptions {
        trust_anchors: Some(it.trust_anchors.clone()),
        ..TlsOptions::default()
    });
    let (Ok(server), Ok(user_id), Ok(auth_token)) = (
        Server::new(address, tls),
        UserId::new(HeaderValue::from_static(user.id)),
        AuthToken::new(HeaderValue::from_static(user.token)),
    ) else {
        return fail("the sandbox's first user can't be used");
    };
    let answer = Call {
        server,
        timeout: TIMEOUT,
        request: GetInfoRequest {
            call_id: call.id.to_owned(),
            max_age: None,
        },
        credentials: Credentials {
            user_id,
            auth_token,
        },
    }
    .send()
    .await;
    get_info::show(&answer)
}

fn version(text: &str) -> Result<Version, String> {
    text.parse()
        .map_err(|_| "is not one of 7.0, 8.8, 8.9".to_owned())
}
