//! Certificates for the demo, made on the spot.

use std::{error::Error as StdError, fs, path::PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};
use tempfile::TempDir;
use tokio::net::lookup_host;

use crate::{
    server::{File, Files, Tls},
    tls::TrustAnchors,
};

/// The file with the authority's certificate.
const AUTHORITY: &str = "ca.pem";

/// Under which names the server is called.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Certificates in a folder that goes with this.
pub(super) struct Certificates {
    folder: TempDir,
    /// What the server speaks.
    pub(super) tls: Tls,
    /// Whom its clients trust.
    pub(super) trust_anchors: TrustAnchors,
}

impl Certificates {
    /// Makes an authority, and a certificate for a server that listens on `listen`.
    ///
    /// # Errors
    /// They can't be made or written.
    pub(super) async fn make(listen: &str) -> Result<Self, Box<dyn StdError>> {
        let mut params = CertificateParams::new([])?;
        params.distinguished_name = name("videoconf-facade demo CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

        let mut params = CertificateParams::new(names(listen).await)?;
        params.distinguished_name = name("videoconf-facade demo");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &authority)?;

        let folder = TempDir::with_prefix("videoconf-facade-")?;
        let write = |name: &str, pem: String| {
            let path = folder.path().join(name);
            let name = name.to_owned();
            fs::write(&path, pem).map(|()| File { name, path })
        };
        write(AUTHORITY, authority.pem())?;
        let tls = Tls::load(Files {
            certificate: write("cert.pem", certificate.pem())?,
            key: write("key.pem", key.serialize_pem())?,
            client_authorities: None,
        });
        Ok(Self {
            tls: tls.map_err(|problems| problems.join(", "))?,
            trust_anchors: TrustAnchors::from_pem(authority.pem().as_bytes())?,
            folder,
        })
    }

    /// Where the authority's certificate is.
    pub(super) fn authority(&self) -> PathBuf {
        self.folder.path().join(AUTHORITY)
    }
}

fn name(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

/// What the server may be called: all that is local, its name and its addresses.
async fn names(listen: &str) -> Vec<String> {
    let host = listen.rsplit_once(':').map_or(listen, |(host, _)| host);
    let mut names: Vec<_> = NAMES.map(str::to_owned).into();
    names.push(host.trim_matches(['[', ']']).to_owned());
    // What is wrong with it is told when it is listened on.
    let addresses = lookup_host(listen).await.into_iter().flatten();
    names.extend(addresses.map(|it| it.ip().to_string()));
    names.sort_unstable();
    names.dedup();
    names.retain(|name| CertificateParams::new([name.clone()]).is_ok());
    names
}
