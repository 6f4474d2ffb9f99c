//! The one TLS configuration for all that is spoken to: Rocket.Chat, and a proxy on the way.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, crypto::ring::default_provider};

use super::TrustAnchors;

/// What may be spoken over TLS, which is HTTP/1.1 as Node's server has it.
const ALPN: &[u8] = b"http/1.1";

/// Trusts `anchors`, or without them those of the system.
///
/// # Errors
/// The system has none, in words for an operator.
pub(super) fn config(anchors: Option<TrustAnchors>) -> Result<ClientConfig, String> {
    let anchors = match anchors {
        Some(anchors) => anchors.into_inner(),
        None => of_system()?,
    };
    Ok(with(anchors))
}

/// Trusts nobody, for a client that speaks no TLS. Spares the reading of the system's trust anchors.
pub(super) fn unused() -> ClientConfig {
    with(RootCertStore::empty())
}

fn with(anchors: RootCertStore) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for both versions")
        .with_root_certificates(anchors)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    config
}

fn of_system() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut anchors = RootCertStore::empty();
    // Stores hold oddities that nobody uses; what is left has to do.
    anchors.add_parsable_certificates(found.certs);
    if anchors.is_empty() {
        return Err("the system has no certificate authorities to trust: \
                    install its bundle of them, or name a file with --upstream-ca"
            .to_owned());
    }
    Ok(anchors)
}
