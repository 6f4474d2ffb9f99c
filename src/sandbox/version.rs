//! The versions of Rocket.Chat that can be played.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// A Rocket.Chat release, standing for all that answer alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Version {
    /// 5.0 to about 7.3, when the REST layer was Restivus: delayed 401s, the limit checked before
    /// the query, error texts with an ` [invalid-params]` suffix, 405 for a wrong method.
    V7_0,
    /// 8.3 to 8.8, a typed route in Hono: the query checked (and coerced) before the limit.
    #[default]
    V8_8,
    /// 8.9, which adds members, media fields and `chatAccess` to the answer.
    V8_9,
}

/// The text is none of `7.0`, `8.8` and `8.9`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownVersion(String);

impl Version {
    /// Whether `users` lists members, who may or may not have joined, and not participants.
    pub(super) fn has_members(self) -> bool {
        self == Self::V8_9
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V7_0 => "7.0",
            Self::V8_8 => "8.8",
            Self::V8_9 => "8.9",
        })
    }
}

impl FromStr for Version {
    type Err = UnknownVersion;

    fn from_str(text: &str) -> Result<Self, UnknownVersion> {
        [Self::V7_0, Self::V8_8, Self::V8_9]
            .into_iter()
            .find(|version| version.to_string() == text)
            .ok_or_else(|| UnknownVersion(text.to_owned()))
    }
}

impl fmt::Display for UnknownVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no Rocket.Chat version {:?} to play, only 7.0, 8.8 and 8.9",
            self.0
        )
    }
}

impl Error for UnknownVersion {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints() {
        for version in [Version::V7_0, Version::V8_8, Version::V8_9] {
            assert_eq!(version.to_string().parse(), Ok(version));
        }
        assert!("9.0".parse::<Version>().is_err());
    }
}
