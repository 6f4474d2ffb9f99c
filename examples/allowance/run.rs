//! One run: a fresh sandbox, a fresh facade before it, and the clients.

use std::{
    future,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
};

use clap::Parser;
use tempfile::NamedTempFile;
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
pub enum Stack<'a> {
    /// What the facade has there.
    Facade {
        /// How many there are.
        replicas: u32,
        /// Where they share what they know.
        shared_store: Option<&'a str>,
    },
    /// A read for every caller.
    Without,
}

#[derive(Parser)]
struct Serve {
    #[command(flatten)]
    flags: Flags,
}

/// Makes a run on a runtime of its own, so that nothing of it goes on in the next one.
pub fn run(stack: Stack<'_>, load: &Load, progress: &mut Progress) -> Result<Measured, String> {
    let name = match stack {
        Stack::Facade { .. } => "facade",
        Stack::Without => "without",
    };
    let what = format!("{} calls, {name}", load.calls);
    let runtime = Runtime::new().map_err(|error| format!("no runtime: {error}"))?;
    let measured = runtime.block_on(progress.during(&what, load.length(), measure(stack, *load)));
    runtime.shutdown_background();
    measured
}

async fn measure(stack: Stack<'_>, load: Load) -> Result<Measured, String> {
    let options = Options {
        any_call: true,
        ..Options::default()
    };
    let sandbox = Sandbox::start(LISTEN.into(), options)
        .await
        .map_err(|error| format!("the sandbox can't listen: {error}"))?;
    let url = sandbox.url();
    let mut addresses = Vec::new();
    match stack {
        Stack::Facade {
            replicas,
            shared_store,
        } => {
            let key = key_file().map_err(|error| format!("can't write a key file: {error}"))?;
            let key = key.path().to_string_lossy();
            let store = shared_store.map(|url| ["--shared-store", url, KEY_FLAG, &key]);
            for _ in 0..replicas {
                let config = config(&url, store.as_ref().map_or(&[], |it| &it[..]))?;
                addresses.push(serve(app::facade(&config, &Instruments::off())?, config).await?);
            }
        }
        Stack::Without => {
            let config = config(&url, &[])?;
            let client = Client::new(config.upstream.clone())?;
            let Instruments { metrics, tracer } = Instruments::off();
            let attempts = Attempts::new(&metrics, &INFO);
            let spans = Requests::new(tracer, &INFO, config.upstream.base_url.target(&INFO));
            let source = Direct::new(Observed::new(client, attempts, spans));
            addresses.push(serve(source, config).await?);
        }
    }
    let outcomes = clients::ask(&addresses, load).await?;
    Ok(Measured::new(&outcomes, load.fill(), &sandbox.windows()))
}

/// What replicas share a secret by.
const KEY_FLAG: &str = "--shared-store-key-file";

/// A secret for one run.
fn key_file() -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new()?;
    write!(
        file,
        "{:032x}{:032x}",
        fastrand::u128(..),
        fastrand::u128(..)
    )?;
    Ok(file)
}

/// The configuration of `serve` with its defaults, and `flags`.
fn config(upstream_url: &str, flags: &[&str]) -> Result<Config, String> {
    let serve = ["serve", "--upstream-url", upstream_url];
    let serve =
        Serve::try_parse_from(serve.iter().chain(flags)).map_err(|error| error.to_string())?;
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
