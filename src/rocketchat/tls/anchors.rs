//! Who is trusted.

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

/// The certificates that may vouch for Rocket.Chat: those of authorities, and its own.
#[derive(Clone)]
pub struct TrustAnchors {
    /// What vouches for other certificates.
    pub(super) authorities: RootCertStore,
    /// All of them whole, since each is trusted itself, too.
    pub(super) certificates: Vec<CertificateDer<'static>>,
}

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
        if anchors.certificates.is_empty() {
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
        if anchors.certificates.is_empty() {
            return Err(
                "the system has no certificate authorities to trust: install a bundle of \
                        them (ca-certificates), or name a file with --upstream-ca"
                    .to_owned(),
            );
        }
        Ok(anchors)
    }

    fn none() -> Self {
        Self {
            authorities: RootCertStore::empty(),
            certificates: Vec::new(),
        }
    }

    fn add(&mut self, certificate: CertificateDer<'static>) -> Result<(), rustls::Error> {
        self.authorities.add(certificate.clone())?;
        self.certificates.push(certificate);
        Ok(())
    }
}
