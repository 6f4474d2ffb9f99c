//! What stands in a store that replicas share: what is read of it is what is written of it, and that is read alike.

#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use prost::Message;
use videoconf_facade::store::fuzzing::{entry, said};

fuzz_target!(|bytes: &[u8]| {
    // Lines of an entry's fields.
    if let Ok(text) = str::from_utf8(bytes) {
        let fields = text.lines().filter_map(|line| line.split_once(' '));
        let fields: HashMap<_, _> = fields
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        if let Some(read) = entry(&fields) {
            for (name, value) in &read {
                let said = fields.get(name).expect("it is made up");
                assert_eq!(plain(value), plain(said), "{name}");
                assert!(value.len() <= 64, "{name} is long");
            }
            for (name, belongs_to) in [
                ("next", "reads"),
                ("status", "sent"),
                ("retry-after", "status"),
                ("limit", "status"),
                ("resets-after", "limit"),
            ] {
                let is_said = fields.contains_key(name) && read.contains_key(belongs_to);
                assert_eq!(read.contains_key(name), is_said, "{name}");
            }
            assert_eq!(entry(&read).as_ref(), Some(&read));
        }
    }
    // A value that was sealed.
    if let Some(read) = said(bytes) {
        assert!(read.len() <= bytes.len());
        assert_eq!(said(&read).as_ref(), Some(&read));
        check_value(bytes, &read);
    }
});

/// A number as all write it who write it well; no other field looks like one.
fn plain(value: &str) -> String {
    let digits = value.strip_prefix('+').unwrap_or(value);
    let digits = digits.trim_start_matches('0');
    let is_zero = digits.is_empty() && !value.is_empty();
    if is_zero { "0" } else { digits }.to_ascii_lowercase()
}

/// A value of the shelf, read by the library alone.
#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(uint64, tag = "1")]
    read_at: u64,
    #[prost(uint64, tag = "2")]
    wall: u64,
    #[prost(bytes = "vec", optional, tag = "3")]
    answer: Option<Vec<u8>>,
    #[prost(message, optional, tag = "4")]
    refusal: Option<Refusal>,
}

#[derive(Clone, PartialEq, Message)]
struct Refusal {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(string, optional, tag = "2")]
    error: Option<String>,
    #[prost(string, optional, tag = "3")]
    error_type: Option<String>,
}

/// What was read of these bytes is what they say.
fn check_value(bytes: &[u8], read: &[u8]) {
    let (Ok(said), Ok(read)) = (Value::decode(bytes), Value::decode(read)) else {
        panic!("it was read");
    };
    assert_eq!((read.read_at, read.wall), (said.read_at, said.wall));
    assert_ne!(read.answer.is_some(), read.refusal.is_some());
    // Of both, the last one counts, which can't be told here.
    if said.answer.is_some() && said.refusal.is_some() {
        return;
    }
    assert_eq!(read.answer, said.answer);
    if let (Some(read), Some(said)) = (read.refusal, said.refusal) {
        assert_eq!(read.kind, said.kind);
        // Only of these Rocket.Chat's own words are told.
        if matches!(read.kind, 1 | 3) {
            assert_eq!(read, said);
        } else {
            assert_eq!((read.error, read.error_type), (None, None));
        }
    }
}
