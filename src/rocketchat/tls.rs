//! The one TLS configuration for all that is spoken to: Rocket.Chat, and a proxy on the way.

mod anchors;
mod verifier;

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore, client::WebPkiServerVerifier, crypto::ring::default_provider,
};

pub use anchors::TrustAnchors;
use verifier::Verifier;

/// What may be spoken over TLS, which is HTTP/1.1 as Node's server has it.
const ALPN: &[u8] = b"http/1.1";

/// Trusts `anchors`, or without them those of the system.
///
/// # Errors
/// The system has none, in words for an operator.
pub(super) fn config(anchors: Option<TrustAnchors>) -> Result<ClientConfig, String> {
    let anchors = match anchors {
        Some(anchors) => anchors,
        None => TrustAnchors::of_system()?,
    };
    let by_authority = WebPkiServerVerifier::builder_with_provider(
        Arc::new(anchors.authorities),
        Arc::new(default_provider()),
    );
    let verifier = Verifier {
        by_authority: by_authority.build().map_err(|error| error.to_string())?,
        given: anchors.given,
    };
    let mut config = trusting_nobody();
    config.alpn_protocols = vec![ALPN.to_vec()];
    config
        .dangerous()
        .set_certificate_verifier(Arc::new(verifier));
    Ok(config)
}

/// Trusts nobody: enough for a client that speaks no TLS, and spares the reading of the system's trust
/// anchors.
pub(super) fn trusting_nobody() -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for both versions")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}
