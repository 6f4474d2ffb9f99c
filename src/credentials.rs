//! Who asks: Rocket.Chat's user id and auth token, kept so that neither gets out by accident.

use std::fmt;

use http::HeaderValue;

/// The metadata key, and Rocket.Chat's header, of the user's id.
pub const USER_ID: &str = "x-user-id";

/// The metadata key, and Rocket.Chat's header, of the auth token.
pub const AUTH_TOKEN: &str = "x-auth-token";

/// Both halves of what Rocket.Chat asks of a caller, checked for form only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user's `_id`.
    pub user_id: UserId,
    /// A login token or a personal access token of that user.
    pub auth_token: AuthToken,
}

/// A user's `_id`: printable ASCII, not blank.
#[derive(Clone, PartialEq, Eq)]
pub struct UserId(HeaderValue);

/// An auth token: printable ASCII, not blank, and a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthToken(HeaderValue);

/// Why a value can't be a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Absent, empty or nothing but spaces, which HTTP cuts off.
    Missing,
    /// The key is there more than once.
    Repeated,
    /// A byte outside 0x20 to 0x7E.
    NotPrintableAscii,
}

impl Problem {
    /// The problem in a few constant words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "absent or empty",
            Self::Repeated => "there more than once",
            Self::NotPrintableAscii => "has a byte outside 0x20 to 0x7E",
        }
    }
}

impl UserId {
    /// Checks the form.
    ///
    /// # Errors
    /// Blank, or a byte outside printable ASCII.
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
    /// Blank, or a byte outside printable ASCII.
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

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserId([redacted])")
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
            (b" ~", Ok(())),
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
}
