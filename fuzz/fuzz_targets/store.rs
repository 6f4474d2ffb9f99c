//! What stands in a store that replicas share: what is read of it is what is written of it, and that is read alike.

#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
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
                assert!(fields.contains_key(name), "{name} is made up");
                assert!(value.len() <= 64, "{name} is long");
            }
            assert_eq!(entry(&read).as_ref(), Some(&read));
        }
    }
    // A value that was sealed.
    if let Some(read) = said(bytes) {
        assert!(read.len() <= bytes.len());
        assert_eq!(said(&read).as_ref(), Some(&read));
    }
});
