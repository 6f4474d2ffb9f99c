//! The secret of the key file, and what is made of it: nothing else that is written to the store tells who or what
//! it is about.

use std::fmt;

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, KeyType, Prk, Salt},
    rand::{SecureRandom, SystemRandom},
};

use crate::{
    credentials::FingerprintKey,
    replicas::{KeyId, Tag, TagKey},
};

/// A shorter one could be guessed.
const MIN_BYTES: usize = 32;

/// What keys are made with, so that others who use the same secret have others.
const SALT: &[u8] = b"videoconf-facade:1";

/// The secret that replicas share.
#[derive(Clone)]
pub struct Secret(Prk);

/// The length of a key, in bytes.
struct Length(usize);

impl Secret {
    /// The secret in a file: all of it, but for white space at the end.
    ///
    /// # Errors
    /// It is too short, in words for an operator.
    pub fn new(file: &[u8]) -> Result<Self, String> {
        let secret = file.trim_ascii_end();
        if secret.len() < MIN_BYTES {
            return Err(format!(
                "has fewer than {MIN_BYTES} bytes: make one with openssl rand -base64 48"
            ));
        }
        Ok(Self(Salt::new(HKDF_SHA256, SALT).extract(secret)))
    }

    /// Makes fingerprints that all replicas understand.
    #[must_use]
    pub fn fingerprints(&self) -> FingerprintKey {
        FingerprintKey::new(&self.key(&[b"fingerprints"]))
    }

    /// Makes tags that all replicas understand.
    #[must_use]
    pub fn tags(&self) -> TagKey {
        TagKey::new(&self.key(&[b"tags"]))
    }

    /// Tells it from others.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId(u64::from_be_bytes(self.key(&[b"id"])))
    }

    /// Seals what is kept for `tag` under `name`: it can't be read, changed, or put elsewhere without this secret.
    ///
    /// # Panics
    /// If the system has no random numbers, without which there is no TLS either.
    pub(super) fn seal(&self, tag: Tag, name: &str, open: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new()
            .fill(&mut nonce)
            .expect("the system has random numbers");
        let mut sealed = open.to_vec();
        self.of(tag)
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(name),
                &mut sealed,
            )
            .expect("it isn't gigabytes");
        [&nonce, &sealed[..]].concat()
    }

    /// What was sealed; `None` if it wasn't, or not with this secret, or for something else.
    pub(super) fn unseal(&self, tag: Tag, name: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut open = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self
            .of(tag)
            .open_in_place(nonce, Aad::from(name), &mut open)
            .ok()?
            .len();
        open.truncate(length);
        Some(open)
    }

    /// Each entry has a key of its own, so that what is written anew for years never meets a nonce twice.
    fn of(&self, tag: Tag) -> LessSafeKey {
        let key = self.key::<32>(&[b"answer", &tag.0]);
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).expect("32 bytes"))
    }

    fn key<const N: usize>(&self, purpose: &[&[u8]]) -> [u8; N] {
        let mut key = [0; N];
        self.0
            .expand(purpose, Length(N))
            .and_then(|it| it.fill(&mut key))
            .expect("a length that HKDF has");
        key
    }
}

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: Tag = Tag([7; 16]);

    fn secret(byte: u8) -> Secret {
        Secret::new(&[byte; 32]).expect("long enough")
    }

    #[test]
    fn one_that_is_too_short_is_refused() {
        assert!(Secret::new(&[b'x'; 32]).is_ok());
        for short in [&b""[..], &[b'x'; 31], &[b' '; 40], b"x\n"] {
            assert!(Secret::new(short).is_err());
        }
    }

    /// Editors end files with a line's end.
    #[test]
    fn white_space_at_the_end_is_none_of_it() {
        let with = Secret::new(&[&[b'x'; 32], &b" \r\n"[..]].concat());
        assert_eq!(with.expect("long enough").id(), secret(b'x').id());
    }

    #[test]
    fn what_is_sealed_is_read_with_the_same_secret_only() {
        let sealed = secret(1).seal(TAG, "name", b"open");
        let open = Some(b"open".to_vec());
        assert_eq!(secret(1).unseal(TAG, "name", &sealed), open);
        assert_eq!(secret(2).unseal(TAG, "name", &sealed), None);
        assert_eq!(secret(1).unseal(Tag([8; 16]), "name", &sealed), None);
        assert_eq!(secret(1).unseal(TAG, "other", &sealed), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(secret(1).unseal(TAG, "name", &changed), None, "{at}");
            assert_eq!(secret(1).unseal(TAG, "name", &sealed[..at]), None, "{at}");
        }
        assert!(sealed.windows(4).all(|it| it != b"open"));
    }

    #[test]
    fn nothing_is_sealed_twice_alike() {
        let seal = || secret(1).seal(TAG, "name", b"open");
        assert_ne!(seal(), seal());
    }

    #[test]
    fn it_is_not_shown() {
        assert_eq!(format!("{:?}", secret(b'x')), "Secret([redacted])");
    }
}
