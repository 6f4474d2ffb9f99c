//! The values of flags: times, numbers, sizes, files.

use std::time::Duration;

use crate::{lookup::Limit, tls::TrustAnchors};

/// No limit of Rocket.Chat is higher: each request in a window is kept in mind.
const MAX_REQUESTS: u32 = 10_000;

/// No time limit is longer: what is meant by more is a typing error.
const MAX_TIME: Duration = Duration::from_hours(24);

pub(crate) fn time(text: &str) -> Result<Duration, String> {
    match time_or_zero(text)? {
        Duration::ZERO => Err("must be more than nothing".to_owned()),
        time => Ok(time),
    }
}

pub(crate) fn time_or_zero(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text)
        .map_err(|_| "is not a time with its unit, like 250ms, 10s or 2m".to_owned())?;
    if time > MAX_TIME {
        return Err("is more than a day".to_owned());
    }
    Ok(time)
}

pub(super) fn yes_or_no(text: &str) -> Result<bool, String> {
    text.parse()
        .map_err(|_| "is neither true nor false".to_owned())
}

pub(super) fn size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("is not a number of bytes above 0, like 1048576".to_owned()),
        Ok(size) => Ok(size),
    }
}

/// Rocket.Chat's limit, or none.
pub(super) fn limit(text: &str) -> Result<Option<Limit>, String> {
    const FORM: &str = "is neither none nor a number of requests and a time, like 15/3s";
    if text == "none" {
        return Ok(None);
    }
    let (requests, span) = text.split_once('/').ok_or(FORM)?;
    match (requests.parse(), time(span)) {
        (Ok(1..=MAX_REQUESTS), Err(problem)) => Err(format!("has a time that {problem}")),
        (Ok(requests @ 1..=MAX_REQUESTS), Ok(span)) => Ok(Some(Limit { requests, span })),
        (Ok(_), _) => Err(format!("has a number that is not 1 to {MAX_REQUESTS}")),
        (Err(_), _) => Err(FORM.to_owned()),
    }
}

pub(super) fn count(text: &str, of: &str, max: usize) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=max).contains(&count) => Ok(count),
        _ => Err(format!("is not a number of {of}, 1 to {max}")),
    }
}

/// The size of something that travels in the head of a request, of which Node reads 16 KiB.
pub(super) fn size_in_head(text: &str) -> Result<usize, String> {
    match size(text)? {
        16_385.. => Err("is more than 16384, which is more than Rocket.Chat reads".to_owned()),
        size => Ok(size),
    }
}

pub(super) fn trust_anchors(path: &str) -> Result<TrustAnchors, String> {
    let pem = std::fs::read(path).map_err(|error| format!("can't be read: {error}"))?;
    TrustAnchors::from_pem(&pem)
}
