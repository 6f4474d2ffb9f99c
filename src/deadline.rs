//! Until when a call may take: the caller's `grpc-timeout` under the server's ceiling.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

/// gRPC's header of the time that a caller leaves for the call.
const GRPC_TIMEOUT: &str = "grpc-timeout";

/// The moment at which a call ends at the latest, and whose limit that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// When.
    pub at: Instant,
    /// Whose.
    pub limit: Limit,
}

/// Who set a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The caller, by `grpc-timeout`.
    Caller,
    /// The server, by its ceiling.
    Server,
}

impl Deadline {
    /// The deadline of a call with `headers` that arrived at `arrived`. A `grpc-timeout` that can't
    /// be read counts as none; the ceiling holds in any case.
    #[must_use]
    pub fn of_call(headers: &HeaderMap, arrived: Instant, ceiling: Duration) -> Self {
        let timeout = headers.get(GRPC_TIMEOUT).and_then(parse_timeout);
        match timeout {
            Some(timeout) if timeout <= ceiling => Self {
                at: arrived + timeout,
                limit: Limit::Caller,
            },
            _ => Self {
                at: arrived + ceiling,
                limit: Limit::Server,
            },
        }
    }

    /// What is left of it.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }
}

impl Limit {
    /// Whose limit, in a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Server => "server",
        }
    }
}

/// Reads "1 to 8 digits and a unit" of gRPC's HTTP/2 protocol.
fn parse_timeout(value: &HeaderValue) -> Option<Duration> {
    let (digits, unit) = value
        .as_bytes()
        .split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b"H" => Duration::from_secs(number * 3600),
        b"M" => Duration::from_secs(number * 60),
        b"S" => Duration::from_secs(number),
        b"m" => Duration::from_millis(number),
        b"u" => Duration::from_micros(number),
        b"n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_the_protocol_says() {
        for (text, expected) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("250m", Some(Duration::from_millis(250))),
            ("5u", Some(Duration::from_micros(5))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("0n", Some(Duration::ZERO)),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("100000000n", None),
            ("", None),
            ("S", None),
            ("1", None),
            ("1s", None),
            ("-1S", None),
            ("+1S", None),
            ("1.5S", None),
            (" 1S", None),
        ] {
            let value = HeaderValue::from_str(text).unwrap();
            assert_eq!(parse_timeout(&value), expected, "{text:?}");
        }
    }

    #[test]
    fn the_smaller_of_timeout_and_ceiling_holds() {
        let arrived = Instant::now();
        let ceiling = Duration::from_secs(10);
        for (timeout, seconds, limit) in [
            (Some("1S"), 1, Limit::Caller),
            (Some("1M"), 10, Limit::Server),
            (Some("soon"), 10, Limit::Server),
            (None, 10, Limit::Server),
        ] {
            let headers = timeout
                .map(|value| {
                    (
                        http::HeaderName::from_static(GRPC_TIMEOUT),
                        value.parse().unwrap(),
                    )
                })
                .into_iter()
                .collect();
            let deadline = Deadline::of_call(&headers, arrived, ceiling);
            let at = arrived + Duration::from_secs(seconds);
            assert_eq!(deadline, Deadline { at, limit }, "{timeout:?}");
        }
    }
}
