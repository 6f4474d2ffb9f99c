//! Whether the other side's certificate is trusted.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use webpki::EndEntityCert;

use super::anchors::Given;

/// Trusts what the library trusts, and certificates that were given themselves. The library takes
/// those for authorities only, so that it refuses what `openssl req -x509` makes for a server.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) by_authority: Arc<WebPkiServerVerifier>,
    pub(super) given: Given,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.by_authority.verify_server_cert(
            certificate,
            intermediates,
            name,
            ocsp_response,
            now,
        );
        let Err(Error::InvalidCertificate(error)) = &verified else {
            return verified;
        };
        let is_authority = is_authority(error);
        // The library looks at the certificate's time before it asks who vouches for it. For what it is
        // meant doesn't matter: it was given for this.
        if (is_authority || is_unvouched(error)) && self.given.contains(certificate) {
            verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
            return Ok(ServerCertVerified::assertion());
        }
        if is_authority && vouches_for_itself(certificate) {
            return Err(CertificateError::UnknownIssuer.into());
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_authority
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_authority
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_authority.supported_verify_schemes()
    }
}

/// Whether the library's complaint is that the certificate is an authority's.
fn is_authority(error: &CertificateError) -> bool {
    let CertificateError::Other(error) = error else {
        return false;
    };
    matches!(
        error.0.downcast_ref(),
        Some(webpki::Error::CaUsedAsEndEntity)
    )
}

/// Whether the library's complaint is about who vouches for the certificate, and how.
fn is_unvouched(error: &CertificateError) -> bool {
    matches!(
        error,
        // The second one if its issuer has the name of somebody who is trusted.
        CertificateError::UnknownIssuer
            | CertificateError::BadSignature
            | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
    )
}

fn vouches_for_itself(certificate: &CertificateDer<'_>) -> bool {
    EndEntityCert::try_from(certificate).is_ok_and(|it| it.issuer() == it.subject())
}
