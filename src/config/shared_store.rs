//! The flags for what replicas share.

use std::{env, fs};

use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates};
use url::Url;

use super::{Problems, is_argument};
use crate::{
    rocketchat::BaseUrl,
    store::{Namespace, Options, Secret, Seed},
    tls::TrustAnchors,
};

/// The variable of the URL, which may have a password in it: others can't see it.
const URL_VARIABLE: &str = "VIDEOCONF_SHARED_STORE";

/// The variable of the password.
const PASSWORD_VARIABLE: &str = "VIDEOCONF_SHARED_STORE_PASSWORD";

#[derive(Clone, clap::Args)]
#[expect(clippy::struct_field_names, reason = "they are the flags' names")]
pub(super) struct StoreFlags {
    /// Share Rocket.Chat's limit and its answers with other replicas through this Valkey or Redis (6.2 or later):
    /// redis://, rediss:// with TLS, or unix:// with a socket's path; itself, a Sentinel or a node of a cluster
    #[arg(long, env = URL_VARIABLE, value_name = "URL")]
    shared_store: Option<String>,

    /// The secret of all replicas, at least 32 bytes, with which what they share is sealed; required for that
    #[arg(long, env = "VIDEOCONF_SHARED_STORE_KEY_FILE", value_name = "FILE")]
    shared_store_key_file: Option<String>,

    /// The file with the store's password [default: VIDEOCONF_SHARED_STORE_PASSWORD, or none]
    #[arg(
        long,
        env = "VIDEOCONF_SHARED_STORE_PASSWORD_FILE",
        value_name = "FILE"
    )]
    shared_store_password_file: Option<String>,

    /// Trust only the authorities in this PEM file for a rediss:// store [default: the system's]
    #[arg(long, env = "VIDEOCONF_SHARED_STORE_CA", value_name = "FILE")]
    shared_store_ca: Option<String>,
}

impl StoreFlags {
    /// What is shared between those who ask the same Rocket.Chat; `None` without a store, or with problems.
    pub(super) fn check(
        &self,
        upstream: Option<&BaseUrl>,
        problems: &mut Problems,
    ) -> Option<Options> {
        let url = self.shared_store.as_ref();
        let url = url.map(|url| problems.check_secret("--shared-store", url, parse));
        let (key, password_file, ca) = (
            self.shared_store_key_file.as_ref(),
            self.shared_store_password_file.as_ref(),
            self.shared_store_ca.as_ref(),
        );
        let secret = key.map(|path| problems.check("--shared-store-key-file", path, secret));
        let password =
            password_file.map(|it| problems.check("--shared-store-password-file", it, password));
        let authorities = ca.map(|path| problems.check("--shared-store-ca", path, authorities));
        let Some(url) = url else {
            for (flag, is_good) in [
                ("--shared-store-key-file", matches!(secret, Some(Some(_)))),
                (
                    "--shared-store-password-file",
                    matches!(password, Some(Some(_))),
                ),
                ("--shared-store-ca", matches!(authorities, Some(Some(_)))),
            ] {
                if is_good {
                    problems.note(format!("{flag} needs --shared-store"));
                }
            }
            return None;
        };
        let url = url?;
        if key.is_none() {
            let what_to_do = "make one with openssl rand -base64 48, and give it to all replicas";
            return problems.missing("--shared-store-key-file", what_to_do);
        }
        let (mut info, primary) = url;
        let mut settings = info.redis_settings().clone();
        let password = match password {
            Some(password) => Some(password?),
            None => password_of_environment(problems),
        };
        if let Some(password) = password {
            if settings.password().is_some() {
                problems.note("--shared-store: has a password, and there is another one beside it");
                return None;
            }
            settings = settings.set_password(password);
            info = info.set_redis_settings(settings);
        }
        let client = match (authorities, info.addr()) {
            (Some(None), _) => return None,
            (Some(authorities), ConnectionAddr::TcpTls { .. }) => {
                let certificates = TlsCertificates {
                    client_tls: None,
                    root_cert: authorities,
                };
                Client::build_with_tls(info, certificates)
            }
            (Some(_), _) => {
                problems.note("--shared-store-ca needs a rediss:// URL as --shared-store");
                return None;
            }
            (None, _) => Client::open(info),
        };
        let client = client.map_err(|error| error.to_string());
        let client = problems.check_secret("--shared-store", "", |_| client);
        Some(Options {
            seed: Seed {
                client: client?,
                primary,
            },
            secret: secret??,
            namespace: Namespace::of(&upstream?.identity()),
        })
    }
}

fn password_of_environment(problems: &mut Problems) -> Option<String> {
    let password = env::var_os(PASSWORD_VARIABLE).filter(|it| !it.is_empty())?;
    let password = password.into_string();
    problems.check_secret(PASSWORD_VARIABLE, "", |_| {
        password.map_err(|_| "is not UTF-8".to_owned())
    })
}

/// Where the store is, and as whom it is used; and what a Sentinel calls it, if the URL says that.
fn parse(text: &str) -> Result<(ConnectionInfo, Option<String>), String> {
    const FORM: &str = "is not a URL like redis://host:6379, rediss://host:6379 or unix:///path";
    let mut url = Url::parse(text).map_err(|_| FORM)?;
    if !["redis", "rediss", "unix"].contains(&url.scheme()) {
        return Err(FORM.to_owned());
    }
    if url.password().is_some() && is_argument(text) {
        return Err(format!(
            "has a password, which every user of the machine could see: give it in --shared-store-password-file, or \
             the URL in {URL_VARIABLE}"
        ));
    }
    if url.query().is_some() {
        return Err("must not have a query".to_owned());
    }
    // To the library it would mean something else.
    let primary = url.fragment().map(str::to_owned);
    url.set_fragment(None);
    if url.scheme() == "unix" {
        if url.host().is_some() || url.path().len() < 2 {
            return Err(FORM.to_owned());
        }
    } else if url.host().is_none() {
        return Err(FORM.to_owned());
    }
    let info = url.into_connection_info();
    let info = info.map_err(|error| error.detail().unwrap_or(FORM).to_owned());
    Ok((info?, primary))
}

fn secret(path: &str) -> Result<Secret, String> {
    Secret::new(&read(path)?)
}

/// The first line.
fn password(path: &str) -> Result<String, String> {
    let text = String::from_utf8(read(path)?).map_err(|_| "is not UTF-8")?;
    match text.lines().next() {
        Some(password) if !password.is_empty() => Ok(password.to_owned()),
        _ => Err("has no password in its first line".to_owned()),
    }
}

fn authorities(path: &str) -> Result<Vec<u8>, String> {
    let pem = read(path)?;
    TrustAnchors::from_pem(&pem).map(|_| pem)
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("can't be read: {error}"))
}
