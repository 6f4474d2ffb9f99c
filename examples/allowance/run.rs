//! One run: a fresh sandbox, a fresh facade before it, and the clients.

use std::{
    future,
    net::{Ipv4Addr, SocketAddr},
};

use clap::Parser;
use tokio::{net::TcpListener, runtime::Runtime};
use videoconf_facade::{
    app::{self, Facade, Telemetry},
    config::{Config, Flags, Problems},
    lookup::{Direct, Observed},
    metrics::Attempts,
    rocketchat::Client,
    route::INFO,
    sandbox::{Options, Sandbox},
    source::ConferenceSource,
    telemetry::Instruments,
    trace::Requests,
};

use super::{
    clients::{self, Load},
    measured::Measured,
    progress::Progress,
};

/// A free port that no other machine can reach.
const LISTEN: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// What stands between the callers and Rocket.Chat.
#[derive(Clone, Copy)]
pub enum Stack {
    /// What the facade has there.
    Facade,
    /// A read for every caller.
    Without,
}

#[derive(Parser)]
struct Serve {
    #[command(flatten)]
    flags: Flags,
}

/// Makes a run on a runtime of its own, so that nothing of it goes on in the next one.
pub fn run(stack: Stack, load: &Load, progress: &mut Progress) -> Result<Measured, String> {
    let name = match stack {
        Stack::Facade => "facade",
        Stack::Without => "without",
    };
    let what = format!("{} calls, {name}", load.calls);
    let runtime = Runtime::new().map_err(|error| format!("no runtime: {error}"))?;
    let measured = runtime.block_on(progress.during(&what, load.length(), measure(stack, *load)));
    runtime.shutdown_background();
    measured
}

async fn measure(stack: Stack, load: Load) -> Result<Measured, String> {
    let options = Options {
        any_call: true,
        ..Options::default()
    };
    let sandbox = Sandbox::start(LISTEN.into(), options)
        .await
        .map_err(|error| format!("the sandbox can't listen: {error}"))?;
    let config = config(&sandbox.url())?;
    let address = match stack {
        Stack::Facade => serve(app::facade(&config, &Instruments::off())?, config).await,
        Stack::Without => {
            let client = Client::new(config.upstream.clone())?;
            let Instruments { metrics, tracer } = Instruments::off();
            let attempts = Attempts::new(&metrics, &INFO);
            let spans = Requests::new(tracer, &INFO, config.upstream.base_url.target(&INFO));
            serve(Direct::new(Observed::new(client, attempts, spans)), config).await
        }
    }?;
    let outcomes = clients::ask(address, load).await?;
    Ok(Measured::new(&outcomes, load.fill(), &sandbox.windows()))
}

/// The configuration of `serve` with its defaults.
fn config(upstream_url: &str) -> Result<Config, String> {
    let serve = Serve::try_parse_from(["serve", "--upstream-url", upstream_url])
        .map_err(|error| error.to_string())?;
    serve.flags.check(Problems::default()).map_err(|problems| {
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        problems.join("; ")
    })
}

/// Serves for as long as the runtime lasts.
async fn serve<S: ConferenceSource>(
    facade: impl Into<Facade<S>> + Send + 'static,
    config: Config,
) -> Result<SocketAddr, String> {
    let cant_listen = |error| format!("the facade can't listen: {error}");
    let listener = TcpListener::bind(LISTEN).await.map_err(cant_listen)?;
    let address = listener.local_addr().map_err(cant_listen)?;
    tokio::spawn(async move {
        app::serve(
            listener,
            facade,
            &config,
            Telemetry::off(),
            future::pending(),
        )
        .await;
    });
    Ok(address)
}
