//! Reading the head of an answer, once, for everybody who needs something of it.

use std::{
    str::FromStr,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderName, StatusCode, header};

use crate::exchange::{Head, RateLimit};

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Reads the head with this status and these headers.
pub(super) fn read(status: StatusCode, headers: &HeaderMap) -> Head {
    Head {
        status: status.as_u16(),
        rate_limit: rate_limit(headers),
        retry_after: retry_after(headers),
    }
}

/// `X-RateLimit-Reset` is in epoch milliseconds by Rocket.Chat's clock, so it is compared to its
/// `Date`; `Date` is cut to the second, which errs towards too long.
fn rate_limit(headers: &HeaderMap) -> Option<RateLimit> {
    if ![LIMIT, REMAINING, RESET]
        .iter()
        .any(|name| headers.contains_key(name))
    {
        return None;
    }
    let reset = number(headers, &RESET);
    let resets_after = || {
        let reset = Duration::from_millis(reset?);
        let now = sent_at(headers)
            .duration_since(SystemTime::UNIX_EPOCH)
            .ok()?;
        Some(reset.saturating_sub(now))
    };
    Some(RateLimit {
        limit: number(headers, &LIMIT),
        remaining: number(headers, &REMAINING),
        reset,
        resets_after: resets_after(),
    })
}

/// `Retry-After`, which proxies send: seconds, or a date by the sender's clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    match number(headers, &header::RETRY_AFTER) {
        Some(seconds) => Some(Duration::from_secs(seconds)),
        None => date(headers, &header::RETRY_AFTER)?
            .duration_since(sent_at(headers))
            .ok(),
    }
}

/// When the answer was sent, by its sender's clock if it says so.
fn sent_at(headers: &HeaderMap) -> SystemTime {
    date(headers, &header::DATE).unwrap_or_else(SystemTime::now)
}

fn number<N: FromStr>(headers: &HeaderMap, name: &HeaderName) -> Option<N> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const DATE: &str = "Mon, 23 Nov 2026 10:00:00 GMT";
    const DATE_MILLIS: u64 = 1_795_428_000_000;

    fn head(lines: &[(&'static str, &str)]) -> Head {
        let headers = lines
            .iter()
            .map(|(name, value)| {
                let name = HeaderName::from_static(name);
                (name, HeaderValue::from_str(value).unwrap())
            })
            .collect();
        read(StatusCode::OK, &headers)
    }

    #[test]
    fn a_head_without_a_limit_says_nothing_of_one() {
        assert_eq!(head(&[("date", DATE)]).rate_limit, None);
        let some = head(&[("x-ratelimit-remaining", "many")]).rate_limit;
        assert_eq!(some, Some(RateLimit::default()), "it is there, unreadable");
    }

    #[test]
    fn limits_are_read_by_the_clock_of_their_sender() {
        let reset = |millis: u64| (DATE_MILLIS + millis).to_string();
        let limit = |reset: &str, remaining: &str| {
            let head = head(&[
                ("date", DATE),
                ("x-ratelimit-limit", "15"),
                ("x-ratelimit-remaining", remaining),
                ("x-ratelimit-reset", reset),
            ]);
            let RateLimit {
                limit,
                remaining,
                resets_after,
                ..
            } = head.rate_limit.unwrap();
            assert_eq!(limit, Some(15));
            (remaining, resets_after.map(|after| after.as_millis()))
        };
        assert_eq!(limit(&reset(1234), "3"), (Some(3), Some(1234)));
        assert_eq!(limit(&reset(0), "0"), (Some(0), Some(0)));
        assert_eq!(limit("1", "-1"), (None, Some(0)), "it is over");
        assert_eq!(limit("Infinity", "Infinity"), (None, None));
        assert_eq!(limit("soon", " 7 "), (Some(7), None));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        for (value, seconds) in [
            ("7", Some(7)),
            ("0", Some(0)),
            ("Mon, 23 Nov 2026 10:00:05 GMT", Some(5)),
            ("Mon, 23 Nov 2026 09:00:00 GMT", None),
            ("-1", None),
            ("later", None),
        ] {
            let head = head(&[("date", DATE), ("retry-after", value)]);
            assert_eq!(
                head.retry_after,
                seconds.map(Duration::from_secs),
                "{value}"
            );
        }
    }
}
