//! What the tests share: a running facade, its clients, and the command as a process.

pub mod authority;
pub mod collector;
pub mod fake;
pub mod ledger;
pub mod original;
pub mod process;
pub mod proxy;
pub mod raw;

pub mod tls;

use std::{
    net::{Ipv4Addr, SocketAddr},
    panic::Location,
    time::Duration,
};

use clap::Parser;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::timeout};
use tonic::{Request, Status, metadata::MetadataValue, transport::Channel};
use videoconf_facade::{
    app::{self, Telemetry},
    config::{Config, Flags, Problems},
    error::Error,
    proto::{
        Conference,
        v1::{
            GetInfoRequest, GetInfoResponse,
            video_conference_service_client::VideoConferenceServiceClient,
        },
    },
    query::{Caller, Query},
    route::Info,
    sandbox::{Options, Reply, Sandbox, USERS},
    source::{Answer, ConferenceSource, Lookup},
    telemetry::Instruments,
};

/// The path of the method on the wire.
pub const GET_INFO: &str = "/rocketchat.videoconference.v1.VideoConferenceService/GetInfo";

/// A conference as small as it may be.
pub const SMALLEST: &str = r#"{"_id":"x","success":true}"#;

/// What takes longer won't happen any more, even on a machine that is busy with other things.
pub const BOUND: Duration = Duration::from_secs(60);

/// A facade on a free port of this process.
pub struct Facade {
    pub address: SocketAddr,
    shutdown: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    flags: Flags,
}

/// Answers nobody, for this reason.
pub struct Failing(pub Error);

impl Lookup<Info> for Failing {
    async fn find(&self, _: &Query<Info>, _: &Caller) -> Result<Answer<Conference>, Error> {
        Err(self.0.clone())
    }
}

/// The configuration that `flags` make, checked as `serve` checks it.
pub fn config(flags: &[&str]) -> Config {
    let arguments = ["serve"].iter().chain(flags);
    let arguments = Arguments::try_parse_from(arguments).expect("flags that exist");
    match arguments.flags.check(Problems::default()) {
        Ok(config) => config,
        Err(problems) => panic!("{problems:?}"),
    }
}

/// The stand-in, without Rocket.Chat's limit, which would be in the way of many tests.
pub async fn sandbox() -> Sandbox {
    let options = Options {
        rate_limit: false,
        ..Options::default()
    };
    Sandbox::start((Ipv4Addr::LOCALHOST, 0).into(), options)
        .await
        .expect("a free port")
}

impl Facade {
    /// Before `sandbox`, with the defaults, but for the allowance, which many tests would use up.
    pub async fn before(sandbox: &Sandbox) -> Self {
        Self::with(&["--upstream-url", &sandbox.url(), "--upstream-limit", "none"]).await
    }

    /// With the flags of `serve`.
    pub async fn with(flags: &[&str]) -> Self {
        let config = config(flags);
        let facade = app::facade(&config, &Instruments::off()).expect("a client");
        Self::serve(facade, config).await
    }

    /// Before any source.
    pub async fn around(source: impl ConferenceSource) -> Self {
        Self::serve(source, config(&["--upstream-url", "http://unused"])).await
    }

    /// Before any source, with a configuration.
    pub async fn serve<S: ConferenceSource>(
        facade: impl Into<app::Facade<S>> + Send + 'static,
        config: Config,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (shutdown, asked) = oneshot::channel();
        let served = tokio::spawn(async move {
            // A test that ends without asking drops the sender, which is as good.
            app::serve(listener, facade, &config, Telemetry::off(), async {
                let _ = asked.await;
            })
            .await;
        });
        Self {
            address,
            shutdown: Some(shutdown),
            served,
        }
    }

    /// Asks the facade to end; it does so in the background.
    pub fn begin_shutdown(&mut self) {
        if let Some(shutdown) = self.shutdown.take() {
            let _ = shutdown.send(());
        }
    }

    /// Waits until the facade has ended.
    pub async fn ended(&mut self) {
        (&mut self.served).await.expect("an end without a panic");
    }

    /// A stock client on a connection of its own.
    pub fn client(&self) -> VideoConferenceServiceClient<Channel> {
        VideoConferenceServiceClient::new(self.channel())
    }

    /// A connection of its own.
    pub fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address))
            .expect("a URL")
            .connect_lazy()
    }

    /// Asks for `call_id` as the sandbox's first user.
    pub async fn get(&self, call_id: &str) -> Result<GetInfoResponse, Status> {
        self.client()
            .get_info(as_user(request(call_id)))
            .await
            .map(tonic::Response::into_inner)
    }

    /// Asks for any conference, which `sandbox` answers with `reply`.
    pub async fn get_scripted(
        &self,
        sandbox: &Sandbox,
        reply: Reply,
    ) -> Result<GetInfoResponse, Status> {
        sandbox.script(reply);
        self.get("scripted").await
    }
}

/// The outcome of `future`, which must not take for ever: so a test fails where it would hang.
#[track_caller]
pub fn soon<T>(future: impl Future<Output = T>) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move {
        timeout(BOUND, future)
            .await
            .unwrap_or_else(|_| panic!("still waiting at {caller}"))
    }
}

/// A request for `call_id`, answered by a read of its own: most tests are about reads.
pub fn request(call_id: &str) -> GetInfoRequest {
    GetInfoRequest {
        max_age: Some(prost_types::Duration::default()),
        ..any_age(call_id)
    }
}

/// A request for `call_id` and no more.
pub fn any_age(call_id: &str) -> GetInfoRequest {
    GetInfoRequest {
        call_id: call_id.to_owned(),
        max_age: None,
    }
}

/// `message` with the credentials of the sandbox's first user.
pub fn as_user<T>(message: T) -> Request<T> {
    with_metadata(
        message,
        &[("x-user-id", USERS[0].id), ("x-auth-token", USERS[0].token)],
    )
}

/// `message` with `metadata`, repeated keys included.
pub fn with_metadata<T>(message: T, metadata: &[(&'static str, &str)]) -> Request<T> {
    let mut request = Request::new(message);
    for (key, value) in metadata {
        let value = MetadataValue::try_from(value.as_bytes()).expect("a header value");
        request.metadata_mut().append(*key, value);
    }
    request
}
