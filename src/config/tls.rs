//! The flags that say with what callers' connections are secured.

use super::{Problems, problem::place};
use crate::server::{File, Files, Tls};

#[derive(Clone, clap::Args)]
#[expect(clippy::struct_field_names, reason = "they are the flags' names")]
pub(super) struct TlsFlags {
    /// Speak TLS with the certificate in this PEM file, and those behind it; renewed when the file changes
    #[arg(long, env = "VIDEOCONF_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<String>,

    /// The certificate's key, in PEM
    #[arg(long, env = "VIDEOCONF_TLS_KEY", value_name = "FILE")]
    tls_key: Option<String>,

    /// Serve only clients with a certificate of the authorities in this PEM file
    #[arg(long, env = "VIDEOCONF_TLS_CLIENT_CA", value_name = "FILE")]
    tls_client_ca: Option<String>,
}

impl TlsFlags {
    /// `None` without a certificate, or with problems.
    pub(super) fn check(&self, problems: &mut Problems) -> Option<Tls> {
        let certificate = file(problems, "--tls-cert", self.tls_cert.as_deref());
        let key = file(problems, "--tls-key", self.tls_key.as_deref());
        let client_authorities = file(problems, "--tls-client-ca", self.tls_client_ca.as_deref());
        let (certificate, key) = match (certificate, key, &client_authorities) {
            (Some(certificate), Some(key), _) => (certificate, key),
            (Some(certificate), None, _) => {
                problems.note(certificate.problem("needs its key, as --tls-key"));
                return None;
            }
            (None, Some(key), _) => {
                problems.note(key.problem("needs its certificate, as --tls-cert"));
                return None;
            }
            (None, None, Some(authorities)) => {
                problems.note(authorities.problem("needs --tls-cert and --tls-key"));
                return None;
            }
            (None, None, None) => return None,
        };
        let tls = Tls::load(Files {
            certificate,
            key,
            client_authorities,
        });
        tls.map_err(|found| found.into_iter().for_each(|it| problems.note(it)))
            .ok()
    }
}

fn file(problems: &mut Problems, flag: &str, path: Option<&str>) -> Option<File> {
    problems.check(flag, path?, |path| {
        Ok(File {
            name: place(flag, path),
            path: path.into(),
        })
    })
}
