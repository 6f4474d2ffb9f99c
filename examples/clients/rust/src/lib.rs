//! A client of the facade.

mod credentials;
pub mod refusal;
mod retry;
mod tls;

use std::{error::Error as StdError, fmt, time::Duration};

use tonic::{
    Request,
    service::interceptor::InterceptedService,
    transport::{Endpoint, Uri},
};

pub use credentials::Credentials;
use proto::rocketchat::videoconference::v1::{
    GetInfoRequest, GetInfoResponse, video_conference_service_client::VideoConferenceServiceClient,
};
pub use refusal::Refusal;
pub use tls::tls_from_files;
// So that callers need no tonic of their own, which might be another version's.
pub use tonic::transport::{Channel, ClientTlsConfig};

/// What is generated from the protos.
#[allow(clippy::all)]
pub mod proto {
    pub mod rocketchat {
        pub mod videoconference {
            pub mod v1 {
                tonic::include_proto!("rocketchat.videoconference.v1");
            }
        }
    }
    pub mod grpc {
        pub mod health {
            pub mod v1 {
                tonic::include_proto!("grpc.health.v1");
            }
        }
    }

    /// The same, described.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.binpb"));
}

/// Where the facade is, and how it is spoken to.
#[derive(Default)]
pub struct Options {
    /// A host with its port.
    pub server: String,
    /// The `:authority` to send, and the name that the server's certificate is to be for.
    pub authority: Option<String>,
    /// TLS, if it is to be spoken: see [`tls_from_files`]. With `ClientTlsConfig::new().with_native_roots()`
    /// the system's authorities are trusted.
    pub tls: Option<ClientTlsConfig>,
}

/// A client. Clones share its connection; one for the whole program is enough.
#[derive(Clone)]
pub struct Client(VideoConferenceServiceClient<InterceptedService<Channel, Credentials>>);

/// Why options or credentials can't be used.
#[derive(Debug)]
pub struct Invalid(String);

/// A connection, which is opened by the first call and again whenever it is lost.
///
/// # Errors
/// The server is no host with a port, the authority no name, or a certificate or its key is none.
pub fn connect(options: Options) -> Result<Channel, Invalid> {
    let scheme = if options.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let mut endpoint = Endpoint::from(uri(scheme, "server", &options.server)?)
        .connect_timeout(Duration::from_secs(5))
        // No more often than once a minute, and only with calls under way: the facade pings, too.
        .http2_keep_alive_interval(Duration::from_secs(60))
        .keep_alive_while_idle(false);
    let authority = options.authority.as_deref();
    let origin = authority.map(|it| uri(scheme, "authority", it));
    let origin = origin.transpose()?;
    if let Some(mut tls) = options.tls {
        if let Some(host) = origin.as_ref().and_then(Uri::host) {
            // Certificates have no port, and no brackets around an address.
            tls = tls.domain_name(host.trim_matches(['[', ']']));
        }
        let tls = endpoint.tls_config(tls);
        endpoint = tls.map_err(|error| Invalid(format!("TLS: {}", with_causes(&error))))?;
    }
    if let Some(origin) = origin {
        endpoint = endpoint.origin(origin);
    }
    Ok(endpoint.connect_lazy())
}

impl Client {
    /// Calls on `channel` with `credentials`. Clients of other users may have clones of the channel.
    #[must_use]
    pub fn new(channel: Channel, credentials: Credentials) -> Self {
        Self(VideoConferenceServiceClient::with_interceptor(
            channel,
            credentials,
        ))
    }

    /// Gets a conference, within `timeout`, from an answer that is at most `max_age` old. What may go
    /// better later is tried again, as the service config says it, which tonic doesn't read.
    ///
    /// # Errors
    /// The facade refuses, or can't be reached.
    pub async fn get_info(
        &self,
        call_id: &str,
        max_age: Option<Duration>,
        timeout: Duration,
    ) -> Result<GetInfoResponse, Refusal> {
        let message = GetInfoRequest {
            call_id: call_id.to_owned(),
            max_age: max_age.and_then(|it| it.try_into().ok()),
        };
        let answer = retry::within(timeout, async |left| {
            let mut request = Request::new(message.clone());
            request.set_timeout(left);
            self.0.clone().get_info(request).await
        });
        Ok(answer.await.map_err(Refusal::from)?.into_inner())
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Invalid {}

/// The URI of a host, perhaps with a port, and nothing more: a path would be left out without a word.
fn uri(scheme: &str, option: &str, host: &str) -> Result<Uri, Invalid> {
    let uri: Option<Uri> = format!("{scheme}://{host}").parse().ok();
    uri.filter(|uri| uri.authority().is_some_and(|it| it.as_str() == host))
        .ok_or_else(|| Invalid(format!("{option} {host:?} isn't HOST or HOST:PORT")))
}

fn with_causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
