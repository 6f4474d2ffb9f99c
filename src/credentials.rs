//! Who asks: Rocket.Chat's user id and auth token, kept so that neither gets out by accident.

use std::fmt;

use http::HeaderValue;
use ring::{
    hmac::{self, HMAC_SHA256},
    rand::SystemRandom,
};

/// The metadata key, and Rocket.Chat's header, of the user's id.
pub const USER_ID: &str = "x-user-id";

/// The metadata key, and Rocket.Chat's header, of the auth token.
pub const AUTH_TOKEN: &str = "x-auth-token";

/// Both halves of what Rocket.Chat asks of a caller, checked for form only.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The user's `_id`.
    pub user_id: UserId,
    /// A login token or a personal access token of that user.
    pub auth_token: AuthToken,
}

/// A user's `_id`: printable ASCII, no space at either end.
#[derive(Clone)]
pub struct UserId(HeaderValue);

/// An auth token: printable ASCII, no space at either end, and a secret.
#[derive(Clone)]
pub struct AuthToken(HeaderValue);

/// Stands for credentials where they are compared or kept: who has it can't tell what it was made
/// of, and two pairs with the same one are the same pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 16]);

/// Makes fingerprints. Those of different keys have nothing to do with each other.
#[derive(Clone)]
pub struct FingerprintKey(hmac::Key);

/// Why a value can't be a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Absent, empty or nothing but spaces, which HTTP cuts off.
    Missing,
    /// The key is there more than once.
    Repeated,
    /// A byte outside 0x20 to 0x7E.
    NotPrintableAscii,
    /// A space at the beginning or the end. HTTP cuts it off, so that Rocket.Chat would see another
    /// value than we do: one that isn't recognised where its text comes back, and that counts as
    /// somebody else's wherever callers are told apart.
    Padded,
}

impl Problem {
    /// The problem in a few constant words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "absent or empty",
            Self::Repeated => "there more than once",
            Self::NotPrintableAscii => "has a byte outside 0x20 to 0x7E",
            Self::Padded => "begins or ends with a space",
        }
    }
}

impl UserId {
    /// Checks the form.
    ///
    /// # Errors
    /// Blank or padded, or a byte outside printable ASCII.
    pub fn new(value: HeaderValue) -> Result<Self, Problem> {
        checked(value).map(Self)
    }

    /// The value for Rocket.Chat.
    #[must_use]
    pub fn expose(&self) -> &HeaderValue {
        &self.0
    }
}

impl AuthToken {
    /// Checks the form.
    ///
    /// # Errors
    /// Blank or padded, or a byte outside printable ASCII.
    pub fn new(value: HeaderValue) -> Result<Self, Problem> {
        checked(value).map(Self)
    }

    /// The secret itself. Its only legitimate uses are the request to Rocket.Chat and a keyed hash.
    #[must_use]
    pub fn expose(&self) -> &HeaderValue {
        &self.0
    }

    /// `text` without this token, for text of somebody else that may quote it.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        match self.0.to_str() {
            Ok(token) => text.replace(token, "[redacted]"),
            Err(_) => text.to_owned(),
        }
    }
}

impl FingerprintKey {
    /// A key that nobody knows, for as long as the process lives.
    ///
    /// # Panics
    /// If the system has no random numbers, without which there is no TLS either.
    #[must_use]
    pub fn random() -> Self {
        let key = hmac::Key::generate(HMAC_SHA256, &SystemRandom::new());
        Self(key.expect("the system has random numbers"))
    }

    /// One that is made of a secret, for all who know that.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(HMAC_SHA256, secret))
    }

    /// What stands for `credentials`.
    #[must_use]
    pub fn fingerprint(&self, credentials: &Credentials) -> Fingerprint {
        let user_id = credentials.user_id.0.as_bytes();
        let mut hash = hmac::Context::with_key(&self.0);
        // With its length, or a piece of one value could count as a piece of the other.
        hash.update(&user_id.len().to_le_bytes());
        hash.update(user_id);
        hash.update(credentials.auth_token.0.as_bytes());
        let tag = hash.sign();
        let mut fingerprint = [0; 16];
        fingerprint.copy_from_slice(&tag.as_ref()[..16]);
        Fingerprint(fingerprint)
    }
}

impl Fingerprint {
    /// It, where replicas are told.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// One that a replica has told.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

/// Its beginning, for people who want to tell users apart.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut beginning = self.0.iter().take(4);
        beginning.try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserId([redacted])")
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey([redacted])")
    }
}

impl fmt::Debug for AuthToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthToken([redacted])")
    }
}

fn checked(mut value: HeaderValue) -> Result<HeaderValue, Problem> {
    let bytes = value.as_bytes();
    if bytes.iter().all(|byte| *byte == b' ') {
        return Err(Problem::Missing);
    }
    if !bytes.iter().all(|byte| (0x20..=0x7E).contains(byte)) {
        return Err(Problem::NotPrintableAscii);
    }
    if bytes.starts_with(b" ") || bytes.ends_with(b" ") {
        return Err(Problem::Padded);
    }
    // Keeps it out of HPACK's tables and of every `Debug` of a header map.
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_is_checked() {
        for (value, expected) in [
            (&b""[..], Err(Problem::Missing)),
            (b"  ", Err(Problem::Missing)),
            (b"a\tb", Err(Problem::NotPrintableAscii)),
            (b"caf\xc3\xa9", Err(Problem::NotPrintableAscii)),
            (b" ab", Err(Problem::Padded)),
            (b"ab ", Err(Problem::Padded)),
            (b"a b~", Ok(())),
        ] {
            let value = HeaderValue::from_bytes(value).unwrap();
            assert_eq!(UserId::new(value.clone()).map(|_| ()), expected);
            assert_eq!(AuthToken::new(value).map(|_| ()), expected);
        }
    }

    #[test]
    fn debug_output_and_foreign_text_have_no_token() {
        let token = AuthToken::new(HeaderValue::from_static("canary")).unwrap();
        assert!(!format!("{token:?} {:?}", token.expose()).contains("canary"));
        assert_eq!(token.redact("no canary here"), "no [redacted] here");
    }

    #[test]
    fn a_fingerprint_is_of_one_pair_and_one_key() {
        let credentials = |user_id, token| Credentials {
            user_id: UserId::new(HeaderValue::from_static(user_id)).unwrap(),
            auth_token: AuthToken::new(HeaderValue::from_static(token)).unwrap(),
        };
        let key = FingerprintKey::random();
        let of = |user_id, token| key.fingerprint(&credentials(user_id, token));
        assert_eq!(of("ab", "c"), of("ab", "c"));
        assert_ne!(of("ab", "c"), of("a", "bc"));
        assert_ne!(of("ab", "c"), of("ab", "d"));
        let other = FingerprintKey::random();
        assert_ne!(of("ab", "c"), other.fingerprint(&credentials("ab", "c")));
    }
}
