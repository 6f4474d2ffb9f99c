//! Which conference is asked for: Rocket.Chat's `callId`, checked before anything is sent.

use std::fmt;

/// The longest id as a URL has it. Node, which Rocket.Chat runs on, takes 16 KiB of a request before
/// its body, and answers 431 beyond that; the rest is for credentials and the way to the endpoint.
const MAX_BYTES_IN_URL: usize = 15_000;

/// The id of a conference: not empty, within the configured length, fit for a URL, no control
/// characters. Beyond that it is opaque, since Rocket.Chat promises no form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CallId(String);

/// Why a text can't be a call id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Rocket.Chat would answer 400 after a look into its database.
    Empty,
    /// More bytes of UTF-8 than the limit.
    TooLong {
        /// The limit, in bytes.
        max_bytes: usize,
    },
    /// More bytes than a URL may have, once each byte that isn't plain takes three.
    TooLongInUrl,
    /// C0, DEL or C1.
    ControlCharacter,
}

impl CallId {
    /// Checks `text`, which may have up to `max_bytes` bytes of UTF-8.
    ///
    /// # Errors
    /// The first problem in the order of [`Problem`].
    pub fn new(text: String, max_bytes: usize) -> Result<Self, Problem> {
        if text.is_empty() {
            Err(Problem::Empty)
        } else if text.len() > max_bytes {
            Err(Problem::TooLong { max_bytes })
        } else if bytes_in_url(&text) > MAX_BYTES_IN_URL {
            Err(Problem::TooLongInUrl)
        } else if text.chars().any(char::is_control) {
            Err(Problem::ControlCharacter)
        } else {
            Ok(Self(text))
        }
    }

    /// The id as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty"),
            Self::TooLong { max_bytes } => write!(f, "is longer than {max_bytes} bytes"),
            Self::TooLongInUrl => write!(
                f,
                "takes more than {MAX_BYTES_IN_URL} bytes in a URL, where each byte beyond plain ASCII takes three"
            ),
            Self::ControlCharacter => f.write_str("has a control character"),
        }
    }
}

fn bytes_in_url(text: &str) -> usize {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if is_plain(byte) { 1 } else { 3 })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks() {
        let too_long = Problem::TooLong { max_bytes: 4 };
        for (text, expected) in [
            ("", Err(Problem::Empty)),
            ("abcd", Ok(())),
            ("abcde", Err(too_long)),
            ("ééé", Err(too_long)),
            ("a\0", Err(Problem::ControlCharacter)),
            ("a\u{7f}", Err(Problem::ControlCharacter)),
            ("\u{85}", Err(Problem::ControlCharacter)),
            ("é &", Ok(())),
        ] {
            assert_eq!(
                CallId::new(text.to_owned(), 4).map(|_| ()),
                expected,
                "{text:?}"
            );
        }
    }
    #[test]
    fn what_no_url_can_hold_is_refused() {
        for (text, expected) in [
            ("a".repeat(15_000), Ok(())),
            ("a".repeat(15_001), Err(Problem::TooLongInUrl)),
            ("é".repeat(2_500), Ok(())),
            ("é".repeat(2_501), Err(Problem::TooLongInUrl)),
        ] {
            let bytes = text.len();
            assert_eq!(CallId::new(text, 20_000).map(|_| ()), expected, "{bytes}");
        }
    }
}
