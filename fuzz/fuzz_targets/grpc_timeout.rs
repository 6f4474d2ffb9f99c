//! `grpc-timeout`: it is what the protocol's grammar makes of it, or none, and never beyond the ceiling.

#![no_main]

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use tokio::time::Instant;
use videoconf_facade::deadline::{Deadline, Limit};

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    let headers = HeaderMap::from_iter([("grpc-timeout".parse().unwrap(), value)]);
    let arrived = Instant::now();
    for ceiling in [
        Duration::from_millis(1),
        Duration::from_secs(10),
        Duration::from_hours(24),
    ] {
        let deadline = Deadline::of_call(&headers, arrived, ceiling);
        let expected = match nanos(bytes) {
            Some(nanos) if nanos <= ceiling.as_nanos() => (nanos, Limit::Caller),
            _ => (ceiling.as_nanos(), Limit::Server),
        };
        assert_eq!((deadline.at - arrived).as_nanos(), expected.0);
        assert_eq!(deadline.limit, expected.1);
    }
});

/// One to eight digits and a unit, by hand.
fn nanos(text: &[u8]) -> Option<u128> {
    let (unit, digits) = text.split_last()?;
    let unit: u128 = match unit {
        b'H' => 3_600_000_000_000,
        b'M' => 60_000_000_000,
        b'S' => 1_000_000_000,
        b'm' => 1_000_000,
        b'u' => 1_000,
        b'n' => 1,
        _ => return None,
    };
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    digits
        .iter()
        .try_fold(0, |number: u128, digit| match digit {
            b'0'..=b'9' => Some(number * 10 + u128::from(digit - b'0')),
            _ => None,
        })
        .map(|number| number * unit)
}
