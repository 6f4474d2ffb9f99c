//! What TLS needs, from files.

use std::fs;

use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use super::Invalid;

/// Trusts the authorities in `ca` and nobody else, and shows the certificate in `own`, which has its key
/// beside it. All are PEM.
///
/// # Errors
/// A file can't be read, or has no certificate.
pub fn tls_from_files(ca: &str, own: Option<(&str, &str)>) -> Result<ClientTlsConfig, Invalid> {
    let config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(certificates(ca)?));
    let Some((certificate, key)) = own else {
        return Ok(config);
    };
    let own = Identity::from_pem(certificates(certificate)?, read(key)?);
    Ok(config.identity(own))
}

fn certificates(path: &str) -> Result<Vec<u8>, Invalid> {
    let pem = read(path)?;
    // tonic is content with none, and then every handshake fails.
    if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
        return Err(Invalid(format!("{path}: no certificate in it")));
    }
    Ok(pem)
}

fn read(path: &str) -> Result<Vec<u8>, Invalid> {
    fs::read(path).map_err(|error| Invalid(format!("{path}: {error}")))
}
