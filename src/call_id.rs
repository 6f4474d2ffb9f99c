//! Which conference is asked for: Rocket.Chat's `callId`, checked before anything is sent.

use std::fmt;

/// The id of a conference: not empty, within the configured length, no control characters. Beyond
/// that it is opaque, since Rocket.Chat promises no form.
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
            Self::ControlCharacter => f.write_str("has a control character"),
        }
    }
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
}
