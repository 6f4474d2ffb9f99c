//! Who we are: a certificate with its key.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    Error, InconsistentKeys,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    sign::CertifiedKey,
};
use webpki::EndEntityCert;
use x509_cert::{Certificate, der::Decode};

use super::provider;

/// A certificate, those that lead from it to an authority, and its key.
#[derive(Clone)]
pub struct Identity {
    /// As TLS shows it.
    pub(crate) shown: Arc<CertifiedKey>,
    /// The moments between which the certificate is valid, if it is written as it should be.
    valid: Option<(SystemTime, SystemTime)>,
}

/// What of an identity is wrong, and why, in words for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// The certificate, or one of those behind it.
    Certificate(String),
    /// The key.
    Key(String),
}

impl Identity {
    /// Reads certificates and a key in PEM; the first certificate is that of the key.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, Unusable> {
        let chain = chain(certificates).map_err(Unusable::Certificate)?;
        let valid = valid(&chain[0]);
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
            Unusable::Key(match error {
                pem::Error::NoItemsFound => {
                    "has no private key in PEM, or only one with a password".to_owned()
                }
                _ => "is not a private key in PEM".to_owned(),
            })
        })?;
        let shown =
            CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
                Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    Unusable::Key("is not the key of the certificate".to_owned())
                }
                Error::InvalidCertificate(_) => {
                    Unusable::Certificate(format!("has a certificate that is none: {error}"))
                }
                _ => Unusable::Key(format!("has a key that can't be used: {error}")),
            })?;
        Ok(Self {
            shown: Arc::new(shown),
            valid,
        })
    }

    /// Until when the certificate is valid, as far as that can be read.
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        self.valid.map(|(_, to)| to)
    }

    /// From when on the certificate is valid, as far as that can be read.
    #[must_use]
    pub fn begins(&self) -> Option<SystemTime> {
        self.valid.map(|(from, _)| from)
    }

    /// Why nobody will accept the certificate at `now`, if that is so, in words for an operator.
    #[must_use]
    pub fn out_of_time(&self, now: SystemTime) -> Option<String> {
        let (from, to) = self.valid?;
        let date = humantime::format_rfc3339_seconds;
        if now < from {
            Some(format!("is not valid before {}", date(from)))
        } else if now > to {
            Some(format!("has expired at {}", date(to)))
        } else {
            None
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(|_| "is not a certificate in PEM".to_owned())?;
    if chain.is_empty() {
        return Err("has no certificate in PEM".to_owned());
    }
    // Of those behind the first the library takes any bytes.
    for certificate in &chain {
        let is_one = EndEntityCert::try_from(certificate);
        if let (Err(error), None) = (is_one, valid(certificate)) {
            return Err(format!("has a certificate that is none: {error}"));
        }
    }
    Ok(chain)
}

fn valid(certificate: &CertificateDer) -> Option<(SystemTime, SystemTime)> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let validity = certificate.tbs_certificate().validity();
    let moment = |since_1970: Duration| SystemTime::UNIX_EPOCH + since_1970;
    Some((
        moment(validity.not_before.to_unix_duration()),
        moment(validity.not_after.to_unix_duration()),
    ))
}
