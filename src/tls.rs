//! TLS, as everybody here speaks it: the client of Rocket.Chat, the server, the command line.

mod anchors;
mod identity;
mod verifier;

use std::{error::Error, io, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    client::WebPkiServerVerifier,
    crypto::{CryptoProvider, ring},
    sign::SingleCertAndKey,
};

pub use anchors::TrustAnchors;
pub use identity::{Identity, Unusable};
use verifier::Verifier;

/// The one provider of cryptography.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// A client that speaks `protocol`, trusts `anchors`, or without them those of the system, and shows who
/// it is to whoever asks.
///
/// # Errors
/// The system has none, in words for an operator.
pub fn client(
    protocol: &[u8],
    anchors: Option<TrustAnchors>,
    identity: Option<Identity>,
) -> Result<ClientConfig, String> {
    let anchors = match anchors {
        Some(anchors) => anchors,
        None => TrustAnchors::of_system()?,
    };
    let by_authority =
        WebPkiServerVerifier::builder_with_provider(anchors.authorities.into(), provider());
    let verifier = Verifier {
        by_authority: by_authority.build().map_err(|error| error.to_string())?,
        given: anchors.given,
    };
    let mut config = trusting_nobody();
    config.alpn_protocols = vec![protocol.to_vec()];
    config
        .dangerous()
        .set_certificate_verifier(Arc::new(verifier));
    if let Some(identity) = identity {
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(identity.shown));
    }
    Ok(config)
}

/// Whether what failed is TLS, and not what is below it: the other side speaks none, or isn't trusted.
pub(crate) fn has_failed(error: &io::Error) -> bool {
    let cause = error.get_ref();
    cause.is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>)
}

/// Trusts nobody: enough for a client that speaks no TLS, and spares the reading of the system's trust
/// anchors.
pub(crate) fn trusting_nobody() -> ClientConfig {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for both versions")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}
