//! The client's side of TLS.

use std::{io, net::SocketAddr, sync::Arc};

use hyper_rustls::{DefaultServerNameResolver, HttpsConnector};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore, SupportedProtocolVersion,
        crypto::ring::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
        version::{TLS12, TLS13},
    },
};
use tonic::transport::{Channel, Endpoint};

use super::authority::{Authority, Pair};

/// A client that trusts `authority`, and shows `identity` if it is asked who it is.
pub fn client(authority: &Authority, identity: Option<&Pair>) -> ClientConfig {
    client_of(&[&TLS12, &TLS13], authority, identity)
}

/// The same in these versions of TLS.
pub fn client_of(
    versions: &[&'static SupportedProtocolVersion],
    authority: &Authority,
    identity: Option<&Pair>,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots
        .add(certificate(&authority.pem()))
        .expect("an authority");
    let builder = ClientConfig::builder_with_provider(default_provider().into())
        .with_protocol_versions(versions)
        .expect("versions")
        .with_root_certificates(roots);
    let mut config = match identity {
        Some(pair) => {
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
            builder
                .with_client_auth_cert(vec![certificate(&pair.certificate)], key)
                .expect("a pair")
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// The first certificate in `pem`.
pub fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}

/// A connection to `address`, which is called `localhost`.
pub async fn connect(
    address: SocketAddr,
    config: ClientConfig,
) -> io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config))
        .connect(name, socket)
        .await
}

/// A stock client's connection to `address`, which is called `localhost`.
pub fn channel(address: SocketAddr, config: ClientConfig) -> Channel {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    let name = Arc::new(DefaultServerNameResolver::default());
    let connector = HttpsConnector::new(tcp, config, true, name);
    Endpoint::from_shared(format!("https://localhost:{}", address.port()))
        .expect("a URL")
        .connect_with_connector_lazy(connector)
}
