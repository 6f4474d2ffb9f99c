//! Wiring: the two stacks, each written once, and the server that they make.

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tower::ServiceBuilder;

use crate::{
    api,
    config::Config,
    lookup::{Observed, Retry},
    proto,
    rocketchat::Client,
    server::{
        self, Drain,
        layers::{Around, CatchPanic, EndAtDeadline, EndWithDrain, Observe, RequestId},
    },
    source::ConferenceSource,
};

/// The source stack: everything between a lookup and Rocket.Chat, outermost first.
///
/// # Errors
/// The TLS backend refuses its configuration.
pub fn source(config: &Config) -> Result<impl ConferenceSource + use<>, String> {
    // The one for all of the process. Who comes second changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::new(config.upstream.clone())?;

    let source = Observed::new(client); // innermost, since each attempt counts
    let source = Retry::new(source); // outside of the attempts that it adds
    Ok(source)
}

/// Serves `source` on `listener` until `shutdown` is ready and the calls in flight have ended.
pub async fn serve(
    listener: TcpListener,
    source: impl ConferenceSource,
    config: &Config,
    shutdown: impl Future<Output = ()>,
) {
    let drain = Drain {
        timeout: config.drain_timeout,
        over: CancellationToken::new(),
    };
    let (health, health_service) = server::health(&[proto::SERVICE_NAME]).await;

    let mut routes = Routes::builder();
    routes
        .add_service(api::service(source, config.api))
        .add_service(health_service);
    server::reflection(
        &mut routes,
        // The second one lets tools print the details of errors.
        &[
            proto::FILE_DESCRIPTOR_SET,
            tonic_types::pb::FILE_DESCRIPTOR_SET,
        ],
    );

    // The request stack: what stands around every RPC, outermost first.
    let max_bytes = config.max_request_id_bytes;
    let over = drain.over.clone();
    let ceiling = config.request_timeout;
    let stack = ServiceBuilder::new()
        .layer(Around(RequestId { max_bytes })) // first, so that every line and answer has the id
        .layer(Around(Observe)) // sees every end of a call, whoever brings it about
        .layer(Around(CatchPanic)) // turns a defect below into one failed call
        .layer(Around(EndWithDrain { over })) // a status for calls that outlast the server
        .layer(Around(EndAtDeadline { ceiling })) // innermost: layers take of the caller's time too
        .service(routes.routes().prepare());

    server::serve(listener, stack, health, drain, shutdown).await;
}
