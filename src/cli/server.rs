//! Which facade a command calls, and how it knows that it is the right one.

use std::{fs, sync::Arc};

use http::uri::Authority;
use hyper_rustls::{DefaultServerNameResolver, FixedServerNameResolver, HttpsConnector};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::ServerName;
use tonic::transport::{Channel, Endpoint};

use crate::{
    config::{DEFAULT_LISTEN, Problems},
    tls::{self, Identity, TrustAnchors, Unusable},
};

/// What is spoken over TLS.
const ALPN: &[u8] = b"h2";

/// Which facade to ask, and how to know it.
#[derive(clap::Args)]
pub(super) struct ServerFlags {
    /// Where the facade listens; with https:// before it, TLS is spoken
    #[arg(long, env = "VIDEOCONF_SERVER", value_name = "ADDR:PORT")]
    #[arg(default_value = DEFAULT_LISTEN)]
    server: String,

    /// Speak TLS, and trust only the authorities in this PEM file [default: the system's]
    #[arg(long, env = "VIDEOCONF_TLS_CA", value_name = "FILE")]
    tls_ca: Option<String>,

    /// Speak TLS with a server that has a certificate for this name [default: the host's]
    #[arg(long, env = "VIDEOCONF_TLS_SERVER_NAME", value_name = "NAME")]
    tls_server_name: Option<String>,

    /// The client's certificate, in PEM, for a facade that asks for one
    #[arg(long, env = "VIDEOCONF_TLS_CLIENT_CERT", value_name = "FILE")]
    tls_cert: Option<String>,

    /// The key of that certificate, in PEM
    #[arg(long, env = "VIDEOCONF_TLS_CLIENT_KEY", value_name = "FILE")]
    tls_key: Option<String>,
}

/// A facade to be called.
pub(super) struct Server {
    endpoint: Endpoint,
    tls: Option<HttpsConnector<HttpConnector>>,
}

/// How the client's side of TLS is to be.
#[derive(Default)]
pub(super) struct TlsOptions {
    pub(super) trust_anchors: Option<TrustAnchors>,
    pub(super) server_name: Option<ServerName<'static>>,
    pub(super) identity: Option<Identity>,
}

impl Server {
    /// A server named by address or by host name, with its port.
    pub(super) fn new(server: &str, tls: Option<TlsOptions>) -> Result<Self, String> {
        let has_port = |authority: Authority| authority.port().is_some();
        if !server.parse().is_ok_and(has_port) {
            return Err("is not a host with a port, like 127.0.0.1:50051".to_owned());
        }
        let scheme = if tls.is_some() { "https" } else { "http" };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{server}"));
        Ok(Self {
            endpoint: endpoint.map_err(|error| error.to_string())?,
            tls: tls.map(TlsOptions::connector).transpose()?,
        })
    }

    /// A connection, which is opened by its first call.
    pub(super) fn connect(self) -> Channel {
        match self.tls {
            Some(tls) => self.endpoint.connect_with_connector_lazy(tls),
            None => self.endpoint.connect_lazy(),
        }
    }
}

impl TlsOptions {
    fn connector(self) -> Result<HttpsConnector<HttpConnector>, String> {
        let config = tls::client(ALPN, self.trust_anchors, self.identity)
            .map_err(|problem| format!("{problem} with --tls-ca"))?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        Ok(match self.server_name {
            Some(name) => HttpsConnector::new(
                tcp,
                config,
                true,
                Arc::new(FixedServerNameResolver::new(name)),
            ),
            None => HttpsConnector::new(
                tcp,
                config,
                true,
                Arc::new(DefaultServerNameResolver::default()),
            ),
        })
    }
}

impl ServerFlags {
    pub(super) fn check(&self, problems: &mut Problems) -> Option<Server> {
        let trust_anchors = self.tls_ca.as_ref();
        let trust_anchors = trust_anchors.map(|path| {
            problems.check("--tls-ca", path, |path| {
                TrustAnchors::from_pem(&read(path)?)
            })
        });
        let server_name = self.tls_server_name.as_ref();
        let server_name =
            server_name.map(|name| problems.check("--tls-server-name", name, server_name_from));
        let identity = self.identity(problems);
        let (server, is_https) = match self.server.strip_prefix("https://") {
            Some(server) => (server, true),
            None => (&*self.server, false),
        };
        let is_tls =
            is_https || trust_anchors.is_some() || server_name.is_some() || self.tls_cert.is_some();
        let tls = is_tls.then(|| TlsOptions {
            trust_anchors: trust_anchors.flatten(),
            server_name: server_name.flatten(),
            identity,
        });
        problems.check("--server", server, |server| Server::new(server, tls))
    }

    fn identity(&self, problems: &mut Problems) -> Option<Identity> {
        let (certificate, key) = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => (certificate, key),
            (Some(certificate), None) => {
                let problem = "needs its key, as --tls-key".to_owned();
                return problems.check("--tls-cert", certificate, |_| Err(problem));
            }
            (None, Some(key)) => {
                let problem = "needs its certificate, as --tls-cert".to_owned();
                return problems.check("--tls-key", key, |_| Err(problem));
            }
            (None, None) => return None,
        };
        let certificates = problems.check("--tls-cert", certificate, read);
        let pem = problems.check("--tls-key", key, read);
        match Identity::from_pem(&certificates?, &pem?) {
            Ok(identity) => Some(identity),
            Err(Unusable::Certificate(problem)) => {
                problems.check("--tls-cert", certificate, |_| Err(problem))
            }
            Err(Unusable::Key(problem)) => problems.check("--tls-key", key, |_| Err(problem)),
        }
    }
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("can't be read: {error}"))
}

fn server_name_from(name: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(name.to_owned())
        .map_err(|_| "is neither a host name nor an address".to_owned())
}
