//! Certificate authorities of the tests' own, and TLS in front of the sandbox.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring::default_provider,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

/// An authority that nobody knows yet.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

impl Pair {
    /// New files with the certificate and the key.
    pub fn files(&self) -> (String, String) {
        (pem_file(&self.certificate), pem_file(&self.key))
    }
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).expect("a certificate"),
        }
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A new file with the certificate in PEM.
    pub fn file(&self) -> String {
        pem_file(&self.pem())
    }

    /// A certificate with these contents, and its key.
    pub fn issue(&self, params: &CertificateParams) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// A certificate for `name`, a host name or an address, and its key.
    pub fn issue_for(&self, name: &str) -> Pair {
        self.issue(&CertificateParams::new([name.to_owned()]).expect("a name"))
    }

    /// TLS for `name`, a host name or an address, before `upstream`. Lasts as long as the test.
    pub async fn serve(&self, name: &str, upstream: SocketAddr) -> SocketAddr {
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        self.serve_with(params, upstream).await
    }

    /// The same with all of a certificate's contents.
    pub async fn serve_with(&self, params: CertificateParams, upstream: SocketAddr) -> SocketAddr {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        serve_tls(&certificate, &key, upstream).await
    }
}

/// TLS with this certificate before `upstream`. Lasts as long as the test.
pub async fn serve_tls(
    certificate: &Certificate,
    key: &KeyPair,
    upstream: SocketAddr,
) -> SocketAddr {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a certificate with its key");
    let acceptor = TlsAcceptor::from(Arc::new(config));

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that goes away is its own business.
                if let Ok(mut client) = acceptor.accept(socket).await {
                    let mut server = TcpStream::connect(upstream).await?;
                    copy_bidirectional(&mut client, &mut server).await?;
                }
                std::io::Result::Ok(())
            });
        }
    });
    address
}

/// A new file with this content.
pub fn pem_file(content: &str) -> String {
    static FILES: AtomicUsize = AtomicUsize::new(0);
    let number = FILES.fetch_add(1, Ordering::Relaxed);
    let name = format!("{}-{number}.pem", std::process::id());
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).expect("a file");
    path.into_os_string().into_string().expect("UTF-8")
}
