//! Unpacking a body while it comes in, up to a limit.
//!
//! The library can unpack, but knows the names of codings only in lower case, stops after the first
//! member of a gzip file, and doesn't tell a broken packing from a broken connection.

use std::{
    io::{self, Write},
    mem,
};

use flate2::write::{DeflateDecoder, GzDecoder, ZlibDecoder};
use http::{HeaderMap, header::CONTENT_ENCODING};

/// How a gzip member begins.
const GZIP_MEMBER: [u8; 2] = [0x1f, 0x8b];

/// The low half of zlib's first byte. Raw deflate begins with a block, whose padding this would be.
const ZLIB: u8 = 8;

const TOO_LARGE: &str = "larger than the limit";

const BROKEN: &str = "content encoding broken";

/// A body as it comes in.
pub(in crate::rocketchat) struct Packed {
    coding: Coding,
    /// What may still come in.
    room: usize,
}

enum Coding {
    Identity(Limited),
    Gzip(Gzip),
    Deflate(Deflate),
}

/// HTTP means zlib's format by this name, and many servers send what the name says.
enum Deflate {
    /// Nothing came in yet that would tell.
    Either(Limited),
    Zlib(ZlibDecoder<Limited>),
    Raw(DeflateDecoder<Limited>),
}

/// The members of a gzip file, one after the other.
struct Gzip {
    /// This one or the one before.
    member: GzDecoder<Limited>,
    place: Place,
}

/// Where in a gzip file the next byte is.
enum Place {
    Member,
    /// After a whole member.
    Between,
    /// After the first byte of another one, it seems.
    Beginning,
    /// After the last member. Every reader of gzip ignores it.
    Padding,
}

/// What is unpacked so far. Writing more than the limit fails.
#[derive(Default)]
struct Limited {
    bytes: Vec<u8>,
    max_bytes: usize,
    is_exceeded: bool,
}

impl Packed {
    /// A body with these headers, of at most `max_bytes` when it is unpacked; `None` if its coding
    /// isn't understood, or if it has several.
    pub(in crate::rocketchat) fn new(headers: &HeaderMap, max_bytes: usize) -> Option<Self> {
        let limited = || Limited {
            max_bytes,
            ..Limited::default()
        };
        let mut coding = Coding::Identity(limited());
        for value in headers.get_all(CONTENT_ENCODING) {
            for name in value.to_str().ok()?.split(',') {
                let next = match name.trim().to_ascii_lowercase().as_str() {
                    "" | "identity" => continue,
                    "gzip" | "x-gzip" => Coding::Gzip(Gzip::new(limited())),
                    "deflate" => Coding::Deflate(Deflate::Either(limited())),
                    _ => return None,
                };
                let Coding::Identity(_) = coding else {
                    return None;
                };
                coding = next;
            }
        }
        Some(Self {
            coding,
            // Packing may add a little, but there is no end to members without content.
            room: max_bytes.saturating_add(max_bytes / 64 + 1024),
        })
    }

    /// Takes what came in.
    pub(in crate::rocketchat) fn push(&mut self, chunk: &[u8]) -> Result<(), &'static str> {
        self.room = self.room.checked_sub(chunk.len()).ok_or(TOO_LARGE)?;
        let pushed = match &mut self.coding {
            Coding::Identity(limited) => limited.write_all(chunk),
            Coding::Gzip(gzip) => gzip.push(chunk),
            Coding::Deflate(deflate) => deflate.push(chunk),
        };
        pushed.map_err(|_| self.problem())
    }

    /// The whole body, when all of it came in.
    pub(in crate::rocketchat) fn finish(mut self) -> Result<Vec<u8>, &'static str> {
        let finished = match &mut self.coding {
            Coding::Identity(_) => Ok(()),
            Coding::Gzip(gzip) => gzip.finish(),
            Coding::Deflate(deflate) => deflate.finish(),
        };
        match finished {
            Ok(()) => Ok(mem::take(self.limited()).bytes),
            Err(_) => Err(self.problem()),
        }
    }

    fn problem(&mut self) -> &'static str {
        if self.limited().is_exceeded {
            TOO_LARGE
        } else {
            BROKEN
        }
    }

    fn limited(&mut self) -> &mut Limited {
        match &mut self.coding {
            Coding::Identity(limited) => limited,
            Coding::Gzip(gzip) => gzip.member.get_mut(),
            Coding::Deflate(deflate) => deflate.limited(),
        }
    }
}

impl Gzip {
    fn new(limited: Limited) -> Self {
        Self {
            member: GzDecoder::new(limited),
            place: Place::Member,
        }
    }

    fn push(&mut self, mut chunk: &[u8]) -> io::Result<()> {
        while let Some(byte) = chunk.first() {
            self.place = match self.place {
                Place::Member => {
                    let written = self.member.write(chunk)?;
                    chunk = &chunk[written..];
                    if written > 0 {
                        Place::Member
                    } else {
                        self.member.try_finish()?;
                        Place::Between
                    }
                }
                Place::Between if *byte == GZIP_MEMBER[0] => {
                    chunk = &chunk[1..];
                    Place::Beginning
                }
                Place::Beginning if *byte == GZIP_MEMBER[1] => {
                    self.member = GzDecoder::new(mem::take(self.member.get_mut()));
                    self.member.write_all(&GZIP_MEMBER[..1])?;
                    Place::Member
                }
                Place::Between | Place::Beginning | Place::Padding => {
                    self.place = Place::Padding;
                    return Ok(());
                }
            };
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        match self.place {
            Place::Member => self.member.try_finish(),
            Place::Between | Place::Beginning | Place::Padding => Ok(()),
        }
    }
}

impl Deflate {
    fn push(&mut self, mut chunk: &[u8]) -> io::Result<()> {
        while let Some(byte) = chunk.first() {
            let written = match self {
                Self::Either(limited) if byte & 0xf == ZLIB => {
                    *self = Self::Zlib(ZlibDecoder::new(mem::take(limited)));
                    continue;
                }
                Self::Either(limited) => {
                    *self = Self::Raw(DeflateDecoder::new(mem::take(limited)));
                    continue;
                }
                Self::Zlib(decoder) => decoder.write(chunk)?,
                Self::Raw(decoder) => decoder.write(chunk)?,
            };
            if written == 0 {
                // What follows the end is padding here, too.
                return Ok(());
            }
            chunk = &chunk[written..];
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Either(_) => Err(io::ErrorKind::UnexpectedEof.into()),
            Self::Zlib(decoder) => decoder.try_finish(),
            Self::Raw(decoder) => decoder.try_finish(),
        }
    }

    fn limited(&mut self) -> &mut Limited {
        match self {
            Self::Either(limited) => limited,
            Self::Zlib(decoder) => decoder.get_mut(),
            Self::Raw(decoder) => decoder.get_mut(),
        }
    }
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.max_bytes {
            self.is_exceeded = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };
    use http::HeaderValue;

    use super::*;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn deflate(text: &str) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn raw_deflate(text: &str, level: Compression) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), level);
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    /// Comes out the same in pieces of any size.
    #[track_caller]
    fn unpacked(coding: &'static str, packed: &[u8]) -> Result<String, &'static str> {
        let headers = [(CONTENT_ENCODING, HeaderValue::from_static(coding))];
        let headers = headers.into_iter().collect();
        let in_pieces = |size| {
            let mut body = Packed::new(&headers, 100).unwrap();
            for chunk in packed.chunks(size) {
                body.push(chunk)?;
            }
            body.finish().map(|bytes| String::from_utf8(bytes).unwrap())
        };
        let whole = in_pieces(packed.len().max(1));
        for size in 1..8 {
            assert_eq!(in_pieces(size), whole, "{size}");
        }
        whole
    }

    #[test]
    fn all_members_count_and_no_padding() {
        let two = [gzip("ab"), gzip(""), gzip("cd")].concat();
        assert_eq!(unpacked("gzip", &two).as_deref(), Ok("abcd"));
        let padding = [
            &[0; 512][..],
            b"\0",
            b"junk",
            b"\x1f",
            b"\x1f\0\x1f\x8b",
            b"\0\x8b\x08",
        ];
        for padding in padding {
            let padded = [&two[..], padding].concat();
            assert_eq!(unpacked("gzip", &padded).as_deref(), Ok("abcd"));
            let padded = [&deflate("ab")[..], padding].concat();
            assert_eq!(unpacked("deflate", &padded).as_deref(), Ok("ab"));
        }
    }

    #[test]
    fn deflate_is_read_in_both_forms() {
        for text in ["", "a", "abcabcabc", "{\"_id\":\"x\"}"] {
            for level in [
                Compression::none(),
                Compression::fast(),
                Compression::best(),
            ] {
                let raw = raw_deflate(text, level);
                assert_eq!(unpacked("deflate", &raw).as_deref(), Ok(text), "{raw:?}");
                let padded = [&raw[..], b"\0junk"].concat();
                assert_eq!(unpacked("deflate", &padded).as_deref(), Ok(text));
            }
        }
        let raw = raw_deflate("abcabcabc", Compression::best());
        for broken in [
            &b""[..],
            &raw[..raw.len() - 1],
            &deflate("ab")[..5],
            b"\xff\xff",
        ] {
            assert_eq!(unpacked("deflate", broken), Err(BROKEN), "{broken:?}");
        }
    }

    #[test]
    fn a_broken_member_is_broken() {
        let whole = gzip("ab");
        let (first, second) = (gzip("ab"), gzip("cd"));
        let cut = [&first[..], &second[..second.len() - 3]].concat();
        let mut wrong = whole.clone();
        wrong[whole.len() - 5] ^= 1;
        for packed in [
            &b""[..],
            b"junk",
            &whole[..whole.len() - 1],
            &cut,
            &wrong,
            &[&wrong[..], b"\0"].concat(),
        ] {
            assert_eq!(unpacked("gzip", packed), Err(BROKEN), "{packed:?}");
        }
    }

    #[test]
    fn both_sides_are_bounded() {
        for (length, expected) in [(100, Ok(())), (101, Err(TOO_LARGE))] {
            let text = "a".repeat(length);
            assert_eq!(unpacked("gzip", &gzip(&text)).map(drop), expected);
            assert_eq!(unpacked("deflate", &deflate(&text)).map(drop), expected);
            assert_eq!(unpacked("identity", text.as_bytes()).map(drop), expected);
        }
        assert_eq!(unpacked("gzip", &gzip("").repeat(100)), Err(TOO_LARGE));
        let padded = [&gzip("a")[..], &[0; 2000]].concat();
        assert_eq!(unpacked("gzip", &padded), Err(TOO_LARGE));
    }
}
