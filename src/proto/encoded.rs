//! The answer of `GetInfo` as it travels: encoded once when it was read, however often it is sent.

use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::{
    DecodeError, Message,
    encoding::{DecodeContext, WireType, encode_key, encode_varint, encoded_len_varint, message},
};
use prost_types::Timestamp;

use super::v1::VideoConference;

/// The numbers of `GetInfoResponse`'s fields.
const VIDEO_CONFERENCE: u32 = 1;
const READ_AT: u32 = 2;

/// A video conference, encoded. Clones share the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Conference {
    encoded: Bytes,
    has_ended: bool,
}

/// A `GetInfoResponse` around a conference that is encoded already. Bytes for bytes it is what the
/// generated message would be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EncodedGetInfoResponse {
    /// The conference.
    pub video_conference: Option<Conference>,
    /// When Rocket.Chat was asked.
    pub read_at: Option<Timestamp>,
}

/// An encoded message in parts, one after the other. Clones share the bytes. Among the extensions of an
/// answer it is what is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts(pub [Bytes; 3]);

impl EncodedGetInfoResponse {
    /// The encoded message, without a copy of the conference.
    #[must_use]
    pub fn into_parts(self) -> Parts {
        let mut before = BytesMut::new();
        let mut after = BytesMut::new();
        let conference = self.video_conference.map(|it| it.encoded);
        if let Some(conference) = &conference {
            encode_key(VIDEO_CONFERENCE, WireType::LengthDelimited, &mut before);
            encode_varint(conference.len() as u64, &mut before);
        }
        if let Some(read_at) = &self.read_at {
            message::encode(READ_AT, read_at, &mut after);
        }
        Parts([
            before.freeze(),
            conference.unwrap_or_default(),
            after.freeze(),
        ])
    }
}

impl Conference {
    /// Encodes `conference`.
    #[must_use]
    pub fn encode(conference: &VideoConference) -> Self {
        Self {
            encoded: conference.encode_to_vec().into(),
            has_ended: conference.ended_at.is_some(),
        }
    }

    /// One that was encoded elsewhere. `None` if it isn't a conference.
    #[must_use]
    pub fn from_encoded(encoded: Bytes) -> Option<Self> {
        let conference = VideoConference::decode(encoded.clone()).ok()?;
        Some(Self {
            encoded,
            has_ended: conference.ended_at.is_some(),
        })
    }

    /// The encoded message.
    #[must_use]
    pub fn encoded(&self) -> &Bytes {
        &self.encoded
    }

    /// Whether it is over, so that it will hardly change any more.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }
}

/// Shows no content: `url` may be a secret.
impl fmt::Debug for Conference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conference")
            .field("bytes", &self.encoded.len())
            .field("has_ended", &self.has_ended)
            .finish_non_exhaustive()
    }
}

impl Message for EncodedGetInfoResponse {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        if let Some(Conference { encoded, .. }) = &self.video_conference {
            encode_key(VIDEO_CONFERENCE, WireType::LengthDelimited, buf);
            encode_varint(encoded.len() as u64, buf);
            buf.put_slice(encoded);
        }
        if let Some(read_at) = &self.read_at {
            message::encode(READ_AT, read_at, buf);
        }
    }

    fn encoded_len(&self) -> usize {
        let conference = self.video_conference.as_ref().map_or(0, |conference| {
            let length = conference.encoded.len();
            // Keys of fields below 16 take one byte.
            1 + encoded_len_varint(length as u64) + length
        });
        let read_at = self.read_at.as_ref();
        conference + read_at.map_or(0, |read_at| message::encoded_len(READ_AT, read_at))
    }

    /// A server only sends it.
    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        prost::encoding::skip_field(wire_type, tag, buf, context)
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::GetInfoResponse;

    #[test]
    fn it_is_what_the_generated_message_would_be() {
        let ended = VideoConference {
            id: "x".repeat(200),
            url: Some("https://example.org".to_owned()),
            ended_at: Some(Timestamp::default()),
            ..VideoConference::default()
        };
        let read_at = Timestamp {
            seconds: 1_795_428_000,
            nanos: 7,
        };
        for conference in [VideoConference::default(), ended] {
            let encoded = EncodedGetInfoResponse {
                video_conference: Some(Conference::encode(&conference)),
                read_at: Some(read_at),
            };
            let generated = GetInfoResponse {
                video_conference: Some(conference),
                read_at: Some(read_at),
            };
            assert_eq!(encoded.encode_to_vec(), generated.encode_to_vec());
            assert_eq!(encoded.encoded_len(), generated.encoded_len());
            let Parts(parts) = encoded.into_parts();
            assert_eq!(parts.concat(), generated.encode_to_vec());
        }
    }
}
