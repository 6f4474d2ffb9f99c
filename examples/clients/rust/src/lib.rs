//! A client of the facade.

pub mod refusal;
mod retry;

use std::time::Duration;

use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Error, Identity},
};

use proto::rocketchat::videoconference::v1::{
    GetInfoRequest, GetInfoResponse, video_conference_service_client::VideoConferenceServiceClient,
};
pub use refusal::Refusal;

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
#[derive(Debug, Default)]
pub struct Options {
    /// A host with its port.
    pub server: String,
    /// The `:authority` to send, and the name that the server's certificate is to be for.
    pub authority: Option<String>,
    /// TLS, if it is to be spoken.
    pub tls: Option<Tls>,
}

/// Certificates and keys, in PEM.
#[derive(Debug)]
pub struct Tls {
    /// The authorities to trust.
    pub ca: Vec<u8>,
    /// The client's own certificate and key.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// A Rocket.Chat user's id and auth token, which go with each call.
#[derive(Clone)]
pub struct Credentials {
    user_id: MetadataValue<Ascii>,
    auth_token: MetadataValue<Ascii>,
}

/// A client. Clones share its connection; one for the whole program is enough.
#[derive(Clone)]
pub struct Client(VideoConferenceServiceClient<InterceptedService<Channel, Credentials>>);

/// A connection, which is opened by the first call and again whenever it is lost.
///
/// # Errors
/// The server is no host with a port, or the certificates are none.
pub fn connect(options: Options) -> Result<Channel, Error> {
    let scheme = if options.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let mut endpoint = Endpoint::from_shared(format!("{scheme}://{}", options.server))?
        .connect_timeout(Duration::from_secs(5))
        // No more often than once a minute, and only with calls under way: the facade pings, too.
        .http2_keep_alive_interval(Duration::from_secs(60))
        .keep_alive_while_idle(false);
    if let Some(authority) = &options.authority {
        let origin = format!("{scheme}://{authority}");
        endpoint = endpoint.origin(origin.parse().expect("a name that makes a URI"));
    }
    if let Some(tls) = options.tls {
        let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(tls.ca));
        if let Some((certificate, key)) = tls.identity {
            config = config.identity(Identity::from_pem(certificate, key));
        }
        if let Some(authority) = options.authority {
            config = config.domain_name(authority);
        }
        endpoint = endpoint.tls_config(config)?;
    }
    Ok(endpoint.connect_lazy())
}

impl Client {
    /// Calls on `channel` with `credentials`.
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

impl Credentials {
    /// The credentials of a user.
    ///
    /// # Errors
    /// They have bytes that no metadata can have.
    pub fn new(
        user_id: &str,
        auth_token: &str,
    ) -> Result<Self, tonic::metadata::errors::InvalidMetadataValue> {
        let mut auth_token: MetadataValue<Ascii> = auth_token.parse()?;
        // Keeps it out of debug output, and out of HTTP/2's tables of headers.
        auth_token.set_sensitive(true);
        Ok(Self {
            user_id: user_id.parse()?,
            auth_token,
        })
    }
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert("x-user-id", self.user_id.clone());
        metadata.insert("x-auth-token", self.auth_token.clone());
        Ok(request)
    }
}
