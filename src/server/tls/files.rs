//! The files that the server's TLS is made of.

use std::{fs, path::PathBuf};

use ring::digest::{Context, SHA256, SHA256_OUTPUT_LEN};

/// Where the parts are, in PEM.
#[derive(Clone, Debug)]
pub struct Files {
    /// The server's certificate, and those that lead from it to an authority.
    pub certificate: File,
    /// Its key.
    pub key: File,
    /// Those who vouch for clients. Without them clients need no certificate.
    pub client_authorities: Option<File>,
}

/// A file.
#[derive(Clone, Debug)]
pub struct File {
    /// What an operator knows it by.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// What was in the files at a moment, or why they couldn't be read.
pub(super) struct Contents {
    pub(super) certificate: Content,
    pub(super) key: Content,
    pub(super) client_authorities: Option<Content>,
}

pub(super) type Content = Result<Vec<u8>, String>;

/// Stands for contents, so that the key isn't kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; SHA256_OUTPUT_LEN]);

impl Files {
    pub(super) fn read(&self) -> Contents {
        Contents {
            certificate: self.certificate.read(),
            key: self.key.read(),
            client_authorities: self.client_authorities.as_ref().map(File::read),
        }
    }
}

impl File {
    fn read(&self) -> Content {
        fs::read(&self.path).map_err(|error| format!("can't be read: {error}"))
    }

    /// What is wrong with it, for an operator.
    pub(crate) fn problem(&self, what: &str) -> String {
        format!("{}: {what}", self.name)
    }
}

impl Contents {
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let all = [&self.certificate, &self.key];
        let mut digest = Context::new(&SHA256);
        for content in all.into_iter().chain(&self.client_authorities) {
            let (kind, bytes) = match content {
                Ok(bytes) => (0, &bytes[..]),
                Err(problem) => (1, problem.as_bytes()),
            };
            digest.update(&[kind]);
            digest.update(&bytes.len().to_be_bytes());
            digest.update(bytes);
        }
        let digest = digest.finish();
        Fingerprint(digest.as_ref().try_into().expect("its own length"))
    }
}
