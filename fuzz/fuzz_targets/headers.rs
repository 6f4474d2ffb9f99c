//! The head of an answer: what it says of the limit and of coming again is what stands there, or it isn't said.

#![no_main]

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use libfuzzer_sys::fuzz_target;
use videoconf_facade::rocketchat::fuzzing;

mod http_answer;

fuzz_target!(|bytes: &[u8]| {
    // Any headers will do.
    let answer = [b"HTTP/1.1 429 \r\n", bytes, b"\r\n\r\n"].concat();
    let Some((_, headers, _)) = http_answer::read(&answer) else {
        return;
    };
    let head = fuzzing::head(StatusCode::TOO_MANY_REQUESTS, &headers);
    let [limit, remaining, reset] =
        ["limit", "remaining", "reset"].map(|it| format!("x-ratelimit-{it}"));
    let is_limited = [&limit, &remaining, &reset]
        .into_iter()
        .any(|it| headers.contains_key(it));
    assert_eq!(head.rate_limit.is_some(), is_limited);

    let said = head.rate_limit.unwrap_or_default();
    assert_eq!(
        said.limit,
        number(&headers, &limit).and_then(|it| it.try_into().ok())
    );
    assert_eq!(
        said.remaining,
        number(&headers, &remaining).and_then(|it| it.try_into().ok())
    );
    assert_eq!(said.reset, number(&headers, &reset));
    match (said.reset, said.resets_after) {
        (Some(reset), Some(after)) => assert!(after <= Duration::from_millis(reset)),
        // A clock before 1970.
        (Some(_), None) => assert!(headers.contains_key("date")),
        (None, after) => assert_eq!(after, None),
    }
    match number(&headers, "retry-after") {
        Some(seconds) => assert_eq!(head.retry_after, Some(Duration::from_secs(seconds))),
        // A date, which ends in its zone.
        None => assert!(
            head.retry_after.is_none()
                || text(&headers, "retry-after").is_some_and(|it| it.len() > 20)
        ),
    }
});

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A number by its digits, as far as it is one.
fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    let text = text(headers, name)?.trim();
    let digits = text.strip_prefix('+').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    let add = |number: u64, digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    digits.bytes().try_fold(0, add)
}
