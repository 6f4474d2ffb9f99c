//! A caller's trace: what is passed on is a trace context by W3C's grammar, the one that was said, and the same
//! when it is read once more.

#![no_main]

use std::collections::HashSet;

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use videoconf_facade::trace::TraceContext;

fuzz_target!(|bytes: &[u8]| {
    let mut said = HeaderMap::new();
    for line in bytes.split(|it| *it == b'\n') {
        // No parent has such a sign, and each entry of a state one.
        let name = if line.contains(&b'=') {
            "tracestate"
        } else {
            "traceparent"
        };
        let Ok(value) = HeaderValue::from_bytes(line) else {
            continue;
        };
        if !line.is_empty() {
            said.append(HeaderName::from_static(name), value);
        }
    }
    let context = TraceContext::read(&said);
    let mut passed_on = HeaderMap::new();
    context.write(&mut passed_on);
    assert_eq!(context.is_none(), passed_on.is_empty());
    assert_eq!(context.is_none(), context.trace_id().is_none());
    if context.is_none() {
        return;
    }
    let text = |headers: &HeaderMap, name| {
        headers
            .get(name)
            .map(|it| it.to_str().expect("text").to_owned())
    };
    let (parent, heard) = (text(&passed_on, "traceparent"), text(&said, "traceparent"));
    let (parent, heard) = (parent.expect("a parent"), heard.expect("a parent"));
    assert_eq!(parent.len(), 55);
    assert!(
        parent.starts_with("00-") && parent[3..53] == heard[3..53],
        "{heard} {parent}"
    );
    assert!(["00", "01"].contains(&&parent[53..]), "{parent}");
    assert!(
        parent
            .bytes()
            .all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f' | b'-'))
    );
    assert_ne!(&parent[3..35], "0".repeat(32));
    assert_ne!(&parent[36..52], "0".repeat(16));
    if let Some(state) = text(&passed_on, "tracestate") {
        assert!(is_state(&state), "{state}");
        // Entry by entry as they were said, and none is made up.
        let heard: Vec<_> = said
            .get_all("tracestate")
            .iter()
            .map(|it| it.to_str().expect("text"))
            .flat_map(|it| it.split(','))
            .map(|it| it.trim_matches([' ', '\t']))
            .filter(|it| !it.is_empty())
            .collect();
        assert_eq!(state.split(',').collect::<Vec<_>>(), heard);
    }

    let mut again = HeaderMap::new();
    TraceContext::read(&passed_on).write(&mut again);
    assert_eq!(again, passed_on);
});

/// What W3C's Trace Context has as a list of entries, with nothing that may be left out.
fn is_state(text: &str) -> bool {
    let entries: Vec<_> = text.split(',').map(|it| it.split_once('=')).collect();
    let is_entry = |entry: &Option<(&str, &str)>| {
        let Some((key, value)) = entry else {
            return false;
        };
        let is_letter = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit();
        let is_key = (1..=256).contains(&key.len())
            && is_letter(key.as_bytes()[0])
            && key
                .bytes()
                .all(|it| is_letter(it) || b"_-*/@".contains(&it));
        let is_value = (1..=256).contains(&value.len())
            && !value.ends_with(' ')
            && value
                .bytes()
                .all(|it| matches!(it, b' '..=b'~') && it != b',' && it != b'=');
        is_key && is_value
    };
    let keys: HashSet<_> = entries.iter().flatten().map(|(key, _)| key).collect();
    text.len() <= 512
        && entries.len() <= 32
        && entries.iter().all(is_entry)
        && keys.len() == entries.len()
}
