//! When it makes sense to ask again, as far as an answer says it.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};

/// After a failed connection, or a status of passing trouble without a `Retry-After`.
pub(super) const UNAVAILABLE: Duration = Duration::from_secs(1);

/// One window of Rocket.Chat's limit for this endpoint, for a 429 that doesn't say when it ends.
const RATE_LIMITED: Duration = Duration::from_secs(3);

/// No caller is told to stay away for longer, whatever an answer says.
const MAX: Duration = Duration::from_secs(60);

/// After a status of passing trouble.
pub(super) fn while_unavailable(headers: &HeaderMap) -> Duration {
    retry_after(headers).unwrap_or(UNAVAILABLE).min(MAX)
}

/// After a 429.
pub(super) fn while_rate_limited(headers: &HeaderMap) -> Duration {
    rate_limit_reset(headers)
        .or_else(|| retry_after(headers))
        .unwrap_or(RATE_LIMITED)
        .min(MAX)
}

/// A header that is a number.
pub(super) fn number<N: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Option<N> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// Until Rocket.Chat's window ends. `X-RateLimit-Reset` is in epoch milliseconds by its clock, so
/// it is compared to its `Date`; `Date` is cut to the second, which errs towards too long.
fn rate_limit_reset(headers: &HeaderMap) -> Option<Duration> {
    let reset = Duration::from_millis(number(headers, "x-ratelimit-reset")?);
    let now = sent_at(headers)
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()?;
    // One that has passed says nothing about the refusal at hand.
    reset.checked_sub(now).filter(|left| !left.is_zero())
}

/// `Retry-After`, which proxies send: seconds, or a date by the sender's clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    match number(headers, header::RETRY_AFTER.as_str()) {
        Some(seconds) => Some(Duration::from_secs(seconds)),
        None => date(headers, header::RETRY_AFTER)?
            .duration_since(sent_at(headers))
            .ok(),
    }
}

/// When the answer was sent, by the sender's clock if it says so.
fn sent_at(headers: &HeaderMap) -> SystemTime {
    date(headers, header::DATE).unwrap_or_else(SystemTime::now)
}

fn date(headers: &HeaderMap, name: header::HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const DATE: &str = "Mon, 23 Nov 2026 10:00:00 GMT";
    const DATE_MILLIS: u64 = 1_795_428_000_000;

    fn headers(headers: &[(&'static str, &str)]) -> HeaderMap {
        headers
            .iter()
            .map(|(name, value)| {
                let name = header::HeaderName::from_static(name);
                (name, HeaderValue::from_str(value).unwrap())
            })
            .collect()
    }

    #[test]
    fn after_a_429() {
        let reset = |millis: u64| (DATE_MILLIS + millis).to_string();
        for (name, value, has_date, millis) in [
            ("x-other", String::new(), true, 3000),
            ("x-ratelimit-reset", reset(1234), true, 1234),
            ("x-ratelimit-reset", reset(0), true, 3000),
            ("x-ratelimit-reset", reset(86_400_000), true, 60_000),
            ("x-ratelimit-reset", "soon".to_owned(), true, 3000),
            ("x-ratelimit-reset", "-1".to_owned(), false, 3000),
            ("x-ratelimit-reset", "1".to_owned(), false, 3000),
            ("retry-after", "7".to_owned(), false, 7000),
            ("retry-after", "99999999999".to_owned(), false, 60_000),
            (
                "retry-after",
                "Mon, 23 Nov 2026 10:00:05 GMT".to_owned(),
                true,
                5000,
            ),
            ("retry-after", "later".to_owned(), true, 3000),
        ] {
            let mut headers = headers(&[(name, &value)]);
            if has_date {
                headers.insert(header::DATE, HeaderValue::from_static(DATE));
            }
            let expected = Duration::from_millis(millis);
            assert_eq!(while_rate_limited(&headers), expected, "{name}: {value}");
        }
    }

    #[test]
    fn after_a_status_of_passing_trouble() {
        for (value, seconds) in [("5", 5), ("0", 0), ("600", 60), ("soon", 1)] {
            let wait = while_unavailable(&headers(&[("retry-after", value)]));
            assert_eq!(wait, Duration::from_secs(seconds), "{value}");
        }
        assert_eq!(while_unavailable(&HeaderMap::new()), UNAVAILABLE);
    }
}
