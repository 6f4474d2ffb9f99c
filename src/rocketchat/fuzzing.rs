//! Doors for fuzzers to the parsers of what Rocket.Chat says, which are private otherwise.

use http::{HeaderMap, HeaderValue, StatusCode, Uri};

use super::{BaseUrl, Proxy, body::packing::Packed, failure, head};
use crate::{
    credentials::AuthToken,
    error::Error,
    exchange::Head,
    route::{INFO, Route},
};

/// What an answer's head says.
#[must_use]
pub fn head(status: StatusCode, headers: &HeaderMap) -> Head {
    head::read(status, headers)
}

/// What a refusal means, for a caller with `token`.
#[must_use]
pub fn refusal(head: &Head, body: &[u8], token: &AuthToken) -> Error {
    failure::refusal(&INFO, head, body, token)
}

/// A body that comes in `chunks`, unpacked; `None` if its coding isn't known.
pub fn unpacked<'a>(
    headers: &HeaderMap,
    chunks: impl IntoIterator<Item = &'a [u8]>,
    max_bytes: usize,
) -> Option<Result<Vec<u8>, &'static str>> {
    let mut body = Packed::new(headers, max_bytes)?;
    let pushed = chunks.into_iter().try_for_each(|chunk| body.push(chunk));
    Some(pushed.and_then(|()| body.finish()))
}

/// The URL of `route` below `base`, with one parameter.
#[must_use]
pub fn url(base: &BaseUrl, route: &Route, key: &'static str, value: &str) -> Option<Uri> {
    base.method(route.name, [(key, value)])
}

/// Where a proxy is, and as whom it is used.
#[must_use]
pub fn proxy(proxy: &Proxy) -> (&Uri, Option<&HeaderValue>) {
    (proxy.uri(), proxy.authorization())
}
