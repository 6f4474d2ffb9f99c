//! What Rocket.Chat said, as bytes that other replicas read.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use prost::{Message, Oneof};

use crate::{
    error::{Error, UpstreamText},
    route::Route,
};

/// Something that was said, and when it was asked for.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Said {
    /// By the store's clock, in microseconds since 1970.
    #[prost(uint64, tag = "1")]
    pub(super) read_at: u64,
    /// By the reader's, for those who want to know the time of day; likewise.
    #[prost(uint64, tag = "2")]
    wall: u64,
    #[prost(oneof = "What", tags = "3, 4")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, Oneof)]
enum What {
    /// As the answer itself has it.
    #[prost(bytes = "bytes", tag = "3")]
    Answer(Bytes),
    #[prost(message, tag = "4")]
    Refusal(Refusal),
}

#[derive(Clone, PartialEq, Message)]
struct Refusal {
    #[prost(enumeration = "Kind", tag = "1")]
    kind: i32,
    #[prost(string, optional, tag = "2")]
    error: Option<String>,
    #[prost(string, optional, tag = "3")]
    error_type: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
enum Kind {
    Unknown = 0,
    InvalidParams = 1,
    CallNotFoundOrNotVisible = 2,
    UpstreamRejected = 3,
    CredentialsRejected = 4,
    CallNotFound = 5,
}

impl Said {
    /// What was said to what was asked at `read_at`, by the store's clock, and at `wall`. `None` if it is nothing that
    /// others are told.
    pub(super) fn new(
        said: &Result<Bytes, Error>,
        read_at: Duration,
        wall: SystemTime,
    ) -> Option<Self> {
        let what = match said {
            Ok(answer) => What::Answer(answer.clone()),
            Err(error) => What::Refusal(Refusal::of(error)?),
        };
        Some(Self {
            read_at: micros(read_at),
            wall: micros(wall.duration_since(UNIX_EPOCH).unwrap_or_default()),
            what: Some(what),
        })
    }

    /// When it was asked for, by the reader's clock.
    pub(super) fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(self.wall)
    }

    /// What was said to what was asked of `route`; `None` if this version doesn't know that.
    pub(super) fn into_said(self, route: &'static Route) -> Option<Result<Bytes, Error>> {
        match self.what? {
            What::Answer(answer) => Some(Ok(answer)),
            What::Refusal(refusal) => Some(Err(refusal.into_error(route)?)),
        }
    }
}

impl Refusal {
    fn of(error: &Error) -> Option<Self> {
        let (kind, text) = match error {
            Error::InvalidParams { text, .. } => (Kind::InvalidParams, Some(text)),
            Error::CallNotFoundOrNotVisible => (Kind::CallNotFoundOrNotVisible, None),
            Error::UpstreamRejected(text) => (Kind::UpstreamRejected, Some(text)),
            Error::CredentialsRejected => (Kind::CredentialsRejected, None),
            Error::CallNotFound => (Kind::CallNotFound, None),
            _ => return None,
        };
        let text = text.cloned().unwrap_or_default();
        Some(Self {
            kind: kind.into(),
            error: text.error,
            error_type: text.error_type,
        })
    }

    fn into_error(self, route: &'static Route) -> Option<Error> {
        let kind = self.kind();
        let text = UpstreamText {
            error: self.error,
            error_type: self.error_type,
        };
        Some(match kind {
            Kind::Unknown => return None,
            Kind::InvalidParams => Error::InvalidParams { route, text },
            Kind::CallNotFoundOrNotVisible => Error::CallNotFoundOrNotVisible,
            Kind::UpstreamRejected => Error::UpstreamRejected(text),
            Kind::CredentialsRejected => Error::CredentialsRejected,
            Kind::CallNotFound => Error::CallNotFound,
        })
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::INFO;

    const READ_AT: Duration = Duration::from_micros(1_795_428_000_000_007);

    fn round_trip(said: &Result<Bytes, Error>) -> Option<Result<Bytes, Error>> {
        let wall = UNIX_EPOCH + Duration::from_micros(77);
        let bytes = Said::new(said, READ_AT, wall)?.encode_to_vec();
        let read = Said::decode(&bytes[..]).expect("what was written");
        assert_eq!(read.read_at, micros(READ_AT));
        assert_eq!(read.wall(), wall);
        read.into_said(&INFO)
    }

    #[test]
    fn nothing_is_lost() {
        let text = UpstreamText {
            error: Some("must have required property".to_owned()),
            error_type: None,
        };
        for said in [
            Ok(Bytes::new()),
            Ok(Bytes::from_static(b"\0\xff")),
            Err(Error::InvalidParams {
                route: &INFO,
                text: text.clone(),
            }),
            Err(Error::CallNotFoundOrNotVisible),
            Err(Error::UpstreamRejected(UpstreamText {
                error: Some(String::new()),
                error_type: Some("error-x".to_owned()),
            })),
            Err(Error::UpstreamRejected(UpstreamText::default())),
            Err(Error::CredentialsRejected),
            Err(Error::CallNotFound),
        ] {
            assert_eq!(round_trip(&said), Some(said));
        }
    }

    /// Whatever isn't remembered here isn't told to others.
    #[test]
    fn what_does_not_hold_for_a_moment_is_told_to_nobody() {
        for error in [
            Error::Overloaded,
            Error::Forbidden(UpstreamText::default()),
            Error::UpstreamFailed { http_status: 500 },
            Error::UpstreamEndpointMissing { http_status: 404 },
        ] {
            assert!(!error.is_worth_remembering());
            assert_eq!(round_trip(&Err(error)), None);
        }
    }

    #[test]
    fn what_a_version_to_come_says_is_nothing() {
        for (kind, expected) in [(5, true), (6, false), (0, false)] {
            let refusal = Refusal {
                kind,
                ..Refusal::default()
            };
            let said = Said {
                what: Some(What::Refusal(refusal)),
                ..Said::default()
            };
            assert_eq!(said.into_said(&INFO).is_some(), expected, "{kind}");
        }
        assert_eq!(Said::default().into_said(&INFO), None);
    }
}
