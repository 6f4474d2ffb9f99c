//! The coding of a body: whatever pieces it comes in, the same comes out, within the limit; what a plain reader
//! of gzip and zlib can read is read, and what was packed comes out whole or, with its end cut off, not at all.

#![no_main]

use std::io::{Read, Write};

use flate2::{
    Compression,
    read::{MultiGzDecoder, ZlibDecoder},
    write::{GzEncoder, ZlibEncoder},
};
use http::{HeaderMap, HeaderValue, header::CONTENT_ENCODING};
use libfuzzer_sys::fuzz_target;
use videoconf_facade::rocketchat::fuzzing;

const MAX_BYTES: usize = 4096;

fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, packed)) = bytes.split_first() else {
        return;
    };
    let size = usize::from(choice / 4) % 16 + 1;
    let coding = ["identity", "gzip", "deflate", "X-GZip"][usize::from(choice) % 4];
    let whole = unpacked(coding, packed, packed.len().max(1));
    // What is too large may be broken, too.
    assert_eq!(unpacked(coding, packed, size).ok(), whole.clone().ok());
    if let Ok(body) = &whole {
        assert!(body.len() <= MAX_BYTES && body.capacity() <= 2 * MAX_BYTES);
    }
    let mut plain = Vec::new();
    let is_plain = match coding {
        "identity" => Read::read_to_end(&mut { packed }, &mut plain),
        "deflate" => ZlibDecoder::new(packed)
            .take(65_536)
            .read_to_end(&mut plain),
        _ => MultiGzDecoder::new(packed)
            .take(65_536)
            .read_to_end(&mut plain),
    };
    // Beyond the limit it is refused, and beyond that of the reader it isn't known.
    if is_plain.is_ok() && packed.len() <= MAX_BYTES && !packed.is_empty() {
        match &whole {
            Ok(body) => assert_eq!(*body, plain),
            Err(problem) => assert!(plain.len() > MAX_BYTES, "{coding}: {problem}"),
        }
    }
    if coding != "identity" && packed.len() <= MAX_BYTES {
        let packed = pack(coding, packed, Compression::new(u32::from(choice) % 10));
        assert_eq!(unpacked(coding, &packed, size).as_deref(), Ok(&bytes[1..]));
        let cut = packed.len() - 1 - usize::from(choice) % 4;
        assert!(unpacked(coding, &packed[..cut], size).is_err());
    }
});

fn unpacked(coding: &'static str, packed: &[u8], size: usize) -> Result<Vec<u8>, &'static str> {
    let headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(coding))]);
    fuzzing::unpacked(&headers, packed.chunks(size), MAX_BYTES).expect("a known coding")
}

fn pack(coding: &str, plain: &[u8], level: Compression) -> Vec<u8> {
    let packed = if coding == "deflate" {
        let mut encoder = ZlibEncoder::new(Vec::new(), level);
        encoder.write_all(plain).and_then(|()| encoder.finish())
    } else {
        let mut encoder = GzEncoder::new(Vec::new(), level);
        encoder.write_all(plain).and_then(|()| encoder.finish())
    };
    packed.expect("a Vec takes all")
}
