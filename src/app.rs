//! Wiring: the two stacks, each written once, and the server that they make.

use std::future::pending;

use prost_types::FileDescriptorSet;
use tonic::service::Routes;
use tower::ServiceBuilder;

use crate::{
    api,
    config::Config,
    lookup::{
        Allowance, Answers, Bounded, Breaker, Budget, Cache, Coalesce, Observed, Remember, Retry,
    },
    proto,
    rocketchat::Client,
    route::Parameters,
    server::{
        self, AccessLog, Drain, Listeners, Methods, Protocols, Rpcs,
        layers::{
            Admit, CatchPanic, EndAtDeadline, EndWithDrain, GrpcOnly, Layer, Observe, RequestId,
            Web,
        },
    },
    source::{ConferenceSource, Lookup, Upstream},
};

/// What reflection shows of ours. The second one lets tools print the details of errors.
const DESCRIPTOR_SETS: &[&[u8]] = &[
    proto::FILE_DESCRIPTOR_SET,
    tonic_types::pb::FILE_DESCRIPTOR_SET,
];

/// What reflection shows, for tools that don't ask.
#[must_use]
pub fn descriptor_set() -> FileDescriptorSet {
    FileDescriptorSet {
        file: server::files(DESCRIPTOR_SETS),
    }
}

/// Everything between a caller and Rocket.Chat.
///
/// # Errors
/// TLS is to be spoken and the system has no trust anchors.
pub fn source(config: &Config) -> Result<impl ConferenceSource + use<>, String> {
    let client = Client::new(config.upstream.clone())?;
    Ok(lookup(client, config))
}

/// The source stack of one route, before whatever asks Rocket.Chat, innermost first.
pub fn lookup<P: Parameters, U: Upstream<P>>(
    client: U,
    config: &Config,
) -> impl Lookup<P> + use<P, U> {
    let allowance = Allowance::new(config.allowance);
    let answers = Answers::new(config.max_cache_bytes, config.freshness.stale_for);

    let source = Observed::new(client); // innermost, since each attempt counts
    let source = Bounded::new(source, config.request_timeout); // from when it is sent
    let source = Budget::new(source, allowance); // one unit an attempt, so inside of retry
    let source = Retry::new(source); // outside of the attempts that it adds
    let source = Breaker::new(source); // what isn't tried isn't repeated
    let source = Remember::new(source, answers.clone()); // inside of who may leave
    let source = Coalesce::new(source); // here callers end and reads begin
    Cache::new(source, answers, config.freshness) // outermost: no read is the best one
}

/// Serves `source` on `listeners` until `shutdown` is ready and the calls in flight have ended.
pub async fn serve(
    listeners: impl Into<Listeners>,
    source: impl ConferenceSource,
    config: &Config,
    shutdown: impl Future<Output = ()>,
) {
    let drain = Drain::new(config.shutdown_notice, config.drain_timeout);
    let (health, health_service) = server::health(&[api::SERVICE_NAME]);

    let mut routes = Routes::builder();
    routes
        .add_service(api::service(source, config.api))
        .add_service(health_service);
    let files = server::files(DESCRIPTOR_SETS);
    server::reflection(&mut routes, &files);
    let methods = Methods::new(&files);
    drop(files); // large when it is decoded

    // The request stack: what stands around every RPC, outermost first.
    let max_bytes = config.max_request_id_bytes;
    let log = AccessLog::new(methods);
    let ceiling = config.request_timeout;
    let stack = ServiceBuilder::new()
        .layer(Layer(RequestId { max_bytes })) // first, so that every line and answer has the id
        .layer(Layer(Web::new(config.web_origins.as_ref()))) // inside there is gRPC only
        .layer(Layer(Observe::new(log.clone()))) // sees every end of a call, whoever brings it about
        .layer(Layer(GrpcOnly)) // what isn't a call costs nothing
        .layer(Layer(CatchPanic)) // turns a defect below into one failed call
        .layer(Layer(Admit::new(config.max_in_flight))) // before anything that waits
        .layer(Layer(EndWithDrain::new(&drain))) // a status for calls that outlast the server
        .layer(Layer(EndAtDeadline { ceiling })) // innermost: layers take of the caller's time too
        .service(Rpcs::new(routes.routes()));

    let protocols = Protocols {
        tls: config.tls.clone(),
        http1: config.web_origins.is_some(),
    };
    let renewal = async {
        match &config.tls {
            Some(tls) => tls.follow_files().await,
            None => pending().await,
        }
    };
    let bounds = config.connections;
    tokio::select! {
        () = server::serve(listeners.into(), protocols, stack, bounds, health, drain, shutdown) => {}
        () = renewal => {}
        () = log.report_left_out() => {}
    }
}
