//! Where Rocket.Chat is and how it is reached, checked before anything is sent.

use std::{fmt::Write, net::IpAddr};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;

/// Everything but RFC 3986's unreserved characters. A space becomes `%20`, not `+`, which every
/// reader of queries understands.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The root of a Rocket.Chat server: `http` or `https`, perhaps with a path prefix.
#[derive(Clone, Debug)]
pub struct BaseUrl(Url);

/// A proxy on the way to Rocket.Chat. May hold credentials, so it has no `Debug`.
#[derive(Clone)]
pub struct Proxy {
    inner: reqwest::Proxy,
    /// Its URL without credentials.
    origin: String,
}

impl BaseUrl {
    /// Reads a URL, with or without a path prefix and trailing slashes.
    ///
    /// # Errors
    /// What is wrong with it, in words for an operator.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut url = http_url(text)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not contain credentials; callers bring their own".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("must not have a query or a fragment".to_owned());
        }
        // "//api" misses Rocket.Chat's API and falls through to its web app.
        let prefix = url.path().trim_end_matches('/').to_owned();
        url.set_path(&prefix);
        Ok(Self(url))
    }

    /// Whether TLS is spoken.
    pub(super) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Its scheme, host and port.
    pub(super) fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// Whether others on the way can read what is sent there, tokens included.
    #[must_use]
    pub fn is_readable_on_the_way(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        let is_loopback = host == "localhost" || address.is_ok_and(|it| it.is_loopback());
        !self.is_https() && !is_loopback
    }

    /// The URL of an API method, with its parameters.
    pub(super) fn method<'a>(
        &self,
        name: &str,
        query: impl IntoIterator<Item = (&'static str, &'a str)>,
    ) -> Url {
        let mut url = self.0.clone();
        let prefix = self.0.path().trim_end_matches('/');
        url.set_path(&format!("{prefix}/api/v1/{name}"));
        let mut text = String::new();
        for (key, value) in query {
            let separator = if text.is_empty() { "" } else { "&" };
            let value = utf8_percent_encode(value, ENCODED);
            // Writing to a String can't fail.
            let _ = write!(text, "{separator}{key}={value}");
        }
        url.set_query(
            Some(&text)
                .filter(|text| !text.is_empty())
                .map(String::as_str),
        );
        url
    }
}

impl Proxy {
    /// Reads the URL of an HTTP proxy.
    ///
    /// # Errors
    /// What is wrong with it, in words for an operator.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = http_url(text)?;
        let origin = url.origin().ascii_serialization();
        reqwest::Proxy::all(url)
            .map(|inner| Self { inner, origin })
            .map_err(|_| "is not the URL of a proxy".to_owned())
    }

    /// Whether TLS is spoken to it.
    pub(super) fn is_https(&self) -> bool {
        self.origin.starts_with("https:")
    }

    /// Its scheme, host and port.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    pub(super) fn into_inner(self) -> reqwest::Proxy {
        self.inner
    }
}

/// A URL that the client can call.
fn http_url(text: &str) -> Result<Url, String> {
    let scheme = text.trim().split_once("://").map(|(scheme, _)| scheme);
    let is_http = |scheme: &str| {
        ["http", "https"]
            .iter()
            .any(|it| scheme.eq_ignore_ascii_case(it))
    };
    // The parser would say of quotes around it, as environment files have them, that a base is missing.
    if !scheme.is_some_and(is_http) {
        return Err("must begin with http:// or https://".to_owned());
    }
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    // Of hosts, the client's own type of URLs accepts less.
    if url.as_str().parse::<http::Uri>().is_err() || url.port() == Some(0) {
        return Err("has a host or a port that can't be called".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_and_slashes() {
        for (base, expected) in [
            ("http://chat", "http://chat/api/v1/m?callId=x"),
            ("http://chat/", "http://chat/api/v1/m?callId=x"),
            ("https://chat:8443//", "https://chat:8443/api/v1/m?callId=x"),
            ("http://chat/a/b", "http://chat/a/b/api/v1/m?callId=x"),
            ("http://chat/a/b/", "http://chat/a/b/api/v1/m?callId=x"),
        ] {
            let url = BaseUrl::parse(base).unwrap().method("m", [("callId", "x")]);
            assert_eq!(url.as_str(), expected, "{base}");
        }
    }

    #[test]
    fn values_are_encoded_whole() {
        let base = BaseUrl::parse("http://chat").unwrap();
        assert_eq!(base.method("m", []).as_str(), "http://chat/api/v1/m");
        let url = base.method("m", [("callId", "a b&c=d?x#y%2F+é'"), ("n", "1")]);
        assert_eq!(
            url.query(),
            Some("callId=a%20b%26c%3Dd%3Fx%23y%252F%2B%C3%A9%27&n=1")
        );
    }

    #[test]
    fn wrong_urls_are_refused() {
        for base in [
            "",
            "chat",
            "chat:3000",
            "ftp://chat",
            "http://",
            "http://u:p@chat",
            "http://chat?x=1",
            "http://chat#x",
            "http://chat:0",
            "http://a{b}",
            "http://a\"b",
        ] {
            assert!(BaseUrl::parse(base).is_err(), "{base}");
        }
    }
}
