//! The body of a success: what serde_json can read comes through without loss, anything else is refused, and
//! the message is not much larger than the body.

#![no_main]

use libfuzzer_sys::fuzz_target;
use prost::Message;
use serde_json::Value;
use videoconf_facade::{
    proto::{
        Conference, EncodedGetInfoResponse,
        v1::{GetInfoResponse, VideoConference},
    },
    rocketchat::video_conference,
};

// Rebuilds the JSON of a message. The tests have it, too.
#[allow(dead_code)]
#[path = "../../tests/it/support/original.rs"]
mod original;

/// The most that a byte of JSON becomes. `0,` is a `Value` in a list: a tag and a length, a tag and a double.
const GROWTH: usize = 8;

fuzz_target!(|bytes: &[u8]| {
    translate(bytes);
    // Few inputs are an answer by themselves.
    translate(&[br#"{"_id":"x","success":true,"#, bytes, b"}"].concat());
    translate(&[br#"{"_id":"x","success":true,"new":"#, bytes, b"}"].concat());
});

fn translate(body: &[u8]) {
    let translated = video_conference(body);
    let json = serde_json::from_slice(body);
    match (translated, json) {
        (Ok(conference), Ok(original)) => {
            let differences = original::differences(&conference, &original);
            assert!(differences.is_empty(), "{differences:?}");
            encode(conference, body.len());
        }
        // Node's parser is more patient with two things.
        (Ok(conference), Err(problem)) => {
            let is_marked = body.starts_with(b"\xEF\xBB\xBF");
            let is_half = |it: &[u8]| {
                matches!(
                    it,
                    [
                        b'\\',
                        b'u',
                        b'd' | b'D',
                        b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F',
                    ]
                )
            };
            assert!(is_marked || body.windows(4).any(is_half), "{problem}");
            encode(conference, body.len());
        }
        (Err(_), Ok(original)) => assert!(!is_success(&original), "{original}"),
        (Err(_), Err(_)) => {}
    }
}

fn is_success(json: &Value) -> bool {
    json.is_object() && json["success"] == Value::Bool(true) && json["_id"].is_string()
}

/// What is sent is what the generated message would be.
fn encode(conference: VideoConference, body: usize) {
    let encoded = EncodedGetInfoResponse {
        video_conference: Some(Conference::encode(&conference)),
        read_at: None,
    };
    let plain = GetInfoResponse {
        video_conference: Some(conference),
        read_at: None,
    };
    let plain = plain.encode_to_vec();
    assert!(
        plain.len() <= body * GROWTH + 64,
        "{} of {body}",
        plain.len()
    );
    assert_eq!(encoded.encode_to_vec(), plain);
    assert_eq!(encoded.into_parts().0.concat(), plain);
}
