//! Who is trusted.

use std::collections::HashSet;

use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

/// The certificates that may vouch for another side: those of authorities, and its own.
#[derive(Clone)]
pub struct TrustAnchors {
    /// What vouches for other certificates.
    pub(crate) authorities: RootCertStore,
    /// The certificates themselves.
    pub(super) given: Given,
}

/// Certificates that are trusted whole, by their SHA-256: a system's bundle has 200 KB of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Given(HashSet<[u8; SHA256_OUTPUT_LEN]>);

impl TrustAnchors {
    /// Reads one or more certificates in PEM.
    ///
    /// # Errors
    /// What is wrong with them, in words for an operator.
    pub fn from_pem(pem: &[u8]) -> Result<Self, String> {
        let mut anchors = Self::none();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| "is not a certificate in PEM".to_owned())?;
            anchors
                .add(certificate)
                .map_err(|error| format!("has a certificate that is none: {error}"))?;
        }
        if anchors.authorities.is_empty() {
            return Err("has no certificate in PEM".to_owned());
        }
        Ok(anchors)
    }

    /// Those of the system.
    ///
    /// # Errors
    /// It has none, in words for an operator.
    pub(super) fn of_system() -> Result<Self, String> {
        let mut anchors = Self::none();
        for certificate in rustls_native_certs::load_native_certs().certs {
            // Stores hold oddities that nobody uses; what is left has to do.
            let _ = anchors.add(certificate);
        }
        if anchors.authorities.is_empty() {
            let problem = "the system has no certificate authorities to trust: install a bundle \
                           (ca-certificates), or name a file of them";
            return Err(problem.to_owned());
        }
        Ok(anchors)
    }

    fn none() -> Self {
        Self {
            authorities: RootCertStore::empty(),
            given: Given::default(),
        }
    }

    fn add(&mut self, certificate: CertificateDer<'static>) -> Result<(), rustls::Error> {
        let fingerprint = fingerprint(&certificate);
        self.authorities.add(certificate)?;
        self.given.0.insert(fingerprint);
        Ok(())
    }
}

impl Given {
    /// Whether `certificate` is one of them.
    pub(super) fn contains(&self, certificate: &CertificateDer) -> bool {
        self.0.contains(&fingerprint(certificate))
    }
}

fn fingerprint(certificate: &CertificateDer) -> [u8; SHA256_OUTPUT_LEN] {
    let digest = digest(&SHA256, certificate);
    digest.as_ref().try_into().expect("its own length")
}
