//! The server's side of TLS, with the certificate that its files have at the moment.

mod files;

use std::{
    io,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use rustls::{
    ServerConfig,
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::SingleCertAndKey,
};
use tokio::{net::TcpStream, sync::Notify, task::spawn_blocking, time::sleep};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::tls::{self, Identity, TrustAnchors, Unusable};
use files::{Contents, Fingerprint};
pub use files::{File, Files};

/// How often the files are read. They aren't watched, since they may be links that are swapped, or on
/// another machine.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a client may speak, as gRPC has it, and as browsers do.
const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// What connections are secured with. Clones are the same.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    files: Files,
    /// What was in them at the beginning.
    loaded: Fingerprint,
    current: RwLock<Current>,
    hurry: Notify,
}

/// What is used for new connections.
#[derive(Clone)]
struct Current {
    /// For gRPC alone.
    http2: Arc<ServerConfig>,
    /// For browsers, too.
    any_http: Arc<ServerConfig>,
    identity: Identity,
}

/// What was seen in the files.
struct Looks {
    judged: Fingerprint,
    last: Fingerprint,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// Everything that is wrong with them, in words for an operator.
    pub fn load(files: Files) -> Result<Self, Vec<String>> {
        let contents = files.read();
        Ok(Self(Arc::new(Inner {
            current: RwLock::new(Current::new(&files, &contents)?),
            loaded: contents.fingerprint(),
            files,
            hurry: Notify::new(),
        })))
    }

    /// Whether clients need a certificate, in a word or two for an operator.
    #[must_use]
    pub fn mode(&self) -> &'static str {
        match self.0.files.client_authorities {
            Some(_) => "mutual",
            None => "on",
        }
    }

    /// Why no client will accept the certificate, if that is so, in words for an operator.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let Current { identity, .. } = self.current();
        let problem = identity.out_of_time(SystemTime::now())?;
        Some(self.0.files.certificate.problem(&problem))
    }

    /// When the certificate that is used at the moment expires, if that can be told.
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        self.current().identity.expires()
    }

    /// Has the files looked at now.
    pub fn reload(&self) {
        self.0.hurry.notify_one();
    }

    /// Takes what is new in the files, for connections that come then. What can't be used is reported, and
    /// what there was goes on. Doesn't end.
    pub async fn follow_files(&self) {
        let mut looks = Looks::after(self.0.loaded);
        let mut again_at = None::<SystemTime>;
        loop {
            let is_asked_for = tokio::select! {
                () = self.0.hurry.notified() => true,
                () = sleep(LOOK_EVERY) => false,
            };
            let inner = self.0.clone();
            let Ok(contents) = spawn_blocking(move || inner.files.read()).await else {
                continue;
            };
            let is_valid_now = again_at.is_some_and(|at| at <= SystemTime::now());
            if looks.is_to_be_judged(contents.fingerprint(), is_asked_for || is_valid_now) {
                again_at = self.take(&contents);
            }
        }
    }

    /// Uses what was read, if it is any better than what there is. Else it may be from a moment on.
    fn take(&self, contents: &Contents) -> Option<SystemTime> {
        let now = SystemTime::now();
        let files = &self.0.files;
        let is_out_of_time = |current: &Current| current.identity.out_of_time(now);
        let (problems, again_at) = match Current::new(files, contents) {
            Err(problems) => (problems, None),
            Ok(new) => match is_out_of_time(&new) {
                Some(problem) if is_out_of_time(&self.current()).is_none() => {
                    let begins = new.identity.begins().filter(|begins| *begins > now);
                    (vec![files.certificate.problem(&problem)], begins)
                }
                _ => {
                    self.renew(new);
                    return None;
                }
            },
        };
        for problem in problems {
            tracing::error!(%problem, "the certificate can't be renewed, the old one stays");
        }
        again_at
    }

    fn renew(&self, new: Current) {
        let expires = new.identity.expires();
        let expires = expires.map(|it| humantime::format_rfc3339_seconds(it).to_string());
        tracing::info!(expires, "the certificate is renewed");
        let mut current = self
            .0
            .current
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = new;
    }

    /// Speaks TLS on `stream`, and within it HTTP/2, or HTTP/1 if that is allowed.
    ///
    /// # Errors
    /// The client doesn't, or not as it should, which it has been told. The stream comes back for its end.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
        http1: bool,
    ) -> Result<TlsStream<TcpStream>, (io::Error, TcpStream)> {
        let Current {
            http2, any_http, ..
        } = self.current();
        let acceptor = TlsAcceptor::from(if http1 { any_http } else { http2 });
        acceptor.accept(stream).into_fallible().await
    }

    fn current(&self) -> Current {
        let current = self.0.current.read();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Looks {
    fn after(judged: Fingerprint) -> Self {
        Self {
            judged,
            last: judged,
        }
    }

    /// Whether `seen` is to be judged now. Files are written one after the other, so what is new has to hold
    /// still from one look to the next, unless somebody says that it is there.
    fn is_to_be_judged(&mut self, seen: Fingerprint, is_asked_for: bool) -> bool {
        let is_still = std::mem::replace(&mut self.last, seen) == seen;
        let is_time = is_asked_for || (is_still && seen != self.judged);
        if is_time {
            self.judged = seen;
        }
        is_time
    }
}

impl Current {
    fn new(files: &Files, contents: &Contents) -> Result<Self, Vec<String>> {
        let verifier = match (&files.client_authorities, &contents.client_authorities) {
            (Some(file), Some(content)) => verifier(content).map_err(|it| vec![file.problem(&it)]),
            _ => Ok(WebPkiClientVerifier::no_client_auth()),
        };
        match (identity(files, contents), verifier) {
            (Ok(identity), Ok(verifier)) => {
                let config = |protocols| Arc::new(config(&identity, verifier.clone(), protocols));
                Ok(Self {
                    http2: config(&[HTTP2]),
                    any_http: config(&[HTTP2, HTTP1]),
                    identity,
                })
            }
            (identity, verifier) => {
                let problems = identity.err().into_iter().chain(verifier.err());
                Err(problems.flatten().collect())
            }
        }
    }
}

fn identity(files: &Files, contents: &Contents) -> Result<Identity, Vec<String>> {
    match (&contents.certificate, &contents.key) {
        (Ok(certificate), Ok(key)) => Identity::from_pem(certificate, key).map_err(|unusable| {
            vec![match unusable {
                Unusable::Certificate(problem) => files.certificate.problem(&problem),
                Unusable::Key(problem) => files.key.problem(&problem),
            }]
        }),
        (certificate, key) => {
            let read = [(&files.certificate, certificate), (&files.key, key)];
            let problems = read.into_iter().filter_map(|(file, content)| {
                let problem = content.as_ref().err()?;
                Some(file.problem(problem))
            });
            Err(problems.collect())
        }
    }
}

fn verifier(authorities: &Result<Vec<u8>, String>) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let anchors = TrustAnchors::from_pem(authorities.as_ref().map_err(String::clone)?)?;
    let roots = Arc::new(anchors.authorities);
    WebPkiClientVerifier::builder_with_provider(roots, tls::provider())
        .build()
        .map_err(|error| error.to_string())
}

fn config(
    identity: &Identity,
    verifier: Arc<dyn ClientCertVerifier>,
    protocols: &[&[u8]],
) -> ServerConfig {
    let mut config = ServerConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for both versions")
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity.shown.clone())));
    config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
    // Connections last, so that there is little to gain by resuming one, and a client whose certificate
    // has expired, or isn't trusted any more, could.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_judged_once_when_they_hold_still() {
        let of = |text: &str| {
            let content = || Ok(text.as_bytes().to_vec());
            let contents = Contents {
                certificate: content(),
                key: content(),
                client_authorities: None,
            };
            contents.fingerprint()
        };
        let mut looks = Looks::after(of("old"));
        for (seen, is_asked_for, expected) in [
            ("old", false, false),
            ("half", false, false),
            ("new", false, false),
            ("new", false, true),
            ("new", false, false),
            ("half", false, false),
            ("new", false, false),
            ("new", false, false),
            ("old", false, false),
            ("old", false, true),
            ("new", true, true),
            ("new", false, false),
            ("new", true, true),
        ] {
            let is_time = looks.is_to_be_judged(of(seen), is_asked_for);
            assert_eq!(is_time, expected, "{seen}");
        }
    }
}
