//! Where Rocket.Chat is and how it is reached, checked before anything is sent.

use std::{fmt::Write, net::IpAddr};

use bytes::Bytes;
use http::{
    HeaderValue, Uri,
    uri::{Authority, PathAndQuery, Scheme},
};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::{
    route::{API, Route},
    trace::Target,
};

/// Everything but RFC 3986's unreserved characters. A space becomes `%20`, not `+`, which every
/// reader of queries understands.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The root of a Rocket.Chat server: `http` or `https`, perhaps with a path prefix.
#[derive(Clone, Debug)]
pub struct BaseUrl {
    scheme: Scheme,
    authority: Authority,
    /// Of paths; empty, or it begins with a slash and ends without one.
    prefix: String,
}

/// A proxy on the way to Rocket.Chat. May hold credentials, so it has no `Debug`.
#[derive(Clone)]
pub struct Proxy {
    /// Where it is, and as whom it is used.
    proxy: Intercept,
    /// Its URL without credentials.
    origin: String,
}

impl BaseUrl {
    /// Reads a URL, with or without a path prefix and trailing slashes.
    ///
    /// # Errors
    /// What is wrong with it, in words for an operator.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = http_url(text)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not contain credentials; callers bring their own".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("must not have a query or a fragment".to_owned());
        }
        // "//api" misses Rocket.Chat's API and falls through to its web app.
        let prefix = url.path().trim_end_matches('/');
        if prefix.starts_with("//") {
            return Err("has a path that begins with two slashes, as if a host came".to_owned());
        }
        let parts = uri(&url)?.into_parts();
        match (parts.scheme, parts.authority) {
            (Some(scheme), Some(authority)) => Ok(Self {
                scheme,
                authority,
                prefix: prefix.to_owned(),
            }),
            _ => Err(NOT_CALLABLE.to_owned()),
        }
    }

    /// Whether TLS is spoken.
    pub(super) fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// Its scheme, host and port.
    pub(super) fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }

    /// What tells it from others. A prefix may be a secret of a proxy's.
    #[must_use]
    pub fn identity(&self) -> String {
        format!("{}{}", self.origin(), self.prefix)
    }

    /// Where requests to `route` go, as traces have it.
    #[must_use]
    pub fn target(&self, route: &Route) -> Target {
        // A prefix may be a secret of a proxy's.
        let prefix = if self.prefix.is_empty() {
            ""
        } else {
            "/REDACTED"
        };
        let default_port = if self.is_https() { 443 } else { 80 };
        Target {
            url: format!("{}{prefix}{}?REDACTED", self.origin(), route.url_template()),
            host: self.authority.host().to_owned(),
            port: self.authority.port_u16().unwrap_or(default_port),
        }
    }

    /// Whether others on the way can read what is sent there, tokens included.
    #[must_use]
    pub fn is_readable_on_the_way(&self) -> bool {
        let host = self.authority.host();
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        let is_loopback = host == "localhost" || address.is_ok_and(|it| it.is_loopback());
        !self.is_https() && !is_loopback
    }

    /// The URL of an API method, with its parameters. `None` if it is longer than a URL may be.
    pub(super) fn method<'a>(
        &self,
        name: &str,
        query: impl IntoIterator<Item = (&'static str, &'a str)>,
    ) -> Option<Uri> {
        let mut path = format!("{}{API}{name}", self.prefix);
        for (number, (key, value)) in query.into_iter().enumerate() {
            let separator = if number == 0 { '?' } else { '&' };
            let value = utf8_percent_encode(value, ENCODED);
            // Writing to a String can't fail.
            let _ = write!(path, "{separator}{key}={value}");
        }
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(PathAndQuery::from_maybe_shared(Bytes::from(path)).ok()?)
            .build()
            .ok()
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
        // As any URL would be, since it is for all.
        let proxy = Matcher::builder()
            .all(url.as_str())
            .build()
            .intercept(&uri(&url)?);
        let proxy = proxy.ok_or("is not the URL of a proxy")?;
        Ok(Self { proxy, origin })
    }

    /// Whether it is used as somebody.
    #[must_use]
    pub fn has_credentials(&self) -> bool {
        self.authorization().is_some()
    }

    /// Whether TLS is spoken to it.
    pub(super) fn is_https(&self) -> bool {
        self.origin.starts_with("https:")
    }

    /// Its scheme, host and port.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// Where it is.
    pub(super) fn uri(&self) -> &Uri {
        self.proxy.uri()
    }

    /// As whom it is used: the value of `Proxy-Authorization`, if it needs one.
    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.proxy.basic_auth()
    }
}

/// What is wrong with a URL that is one by the standard of browsers, but can't be called.
const NOT_CALLABLE: &str = "has a host or a port that can't be called";

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
    if url.port() == Some(0) {
        return Err(NOT_CALLABLE.to_owned());
    }
    uri(&url).map(|_| url)
}

/// It as HTTP's own type, which accepts less of hosts.
fn uri(url: &Url) -> Result<Uri, String> {
    let uri = url.as_str().parse();
    uri.map_err(|_| NOT_CALLABLE.to_owned())
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
            assert_eq!(url.unwrap().to_string(), expected, "{base}");
        }
    }

    /// What replicas share is that of one Rocket.Chat.
    #[test]
    fn no_two_have_one_identity() {
        for (base, expected) in [
            ("http://chat", "http://chat"),
            ("http://CHAT:80/", "http://chat"),
            ("https://chat", "https://chat"),
            ("http://chat:8080/a/b/", "http://chat:8080/a/b"),
        ] {
            let identity = BaseUrl::parse(base).unwrap().identity();
            assert_eq!(identity, expected, "{base}");
        }
    }

    #[test]
    fn values_are_encoded_whole() {
        let base = BaseUrl::parse("http://chat").unwrap();
        let url = base.method("m", []).unwrap();
        assert_eq!(url.to_string(), "http://chat/api/v1/m");
        let url = base.method("m", [("callId", "a b&c=d?x#y%2F+é'"), ("n", "1")]);
        let url = url.unwrap();
        assert_eq!(
            url.query(),
            Some("callId=a%20b%26c%3Dd%3Fx%23y%252F%2B%C3%A9%27&n=1")
        );
    }

    #[test]
    fn what_is_in_clear_to_another_machine_can_be_read() {
        for (base, is_readable) in [
            ("http://chat", true),
            ("http://192.0.2.1", true),
            ("http://[2001:db8::1]", true),
            ("http://localhost.example", true),
            ("https://chat", false),
            ("http://localhost:3000", false),
            ("http://127.0.0.2", false),
            ("http://[::1]:3000", false),
        ] {
            let base_url = BaseUrl::parse(base).unwrap();
            assert_eq!(base_url.is_readable_on_the_way(), is_readable, "{base}");
        }
    }

    #[test]
    fn tls_is_spoken_to_a_proxy_that_says_so() {
        for (url, is_https) in [("https://proxy:3128", true), ("http://proxy:3128", false)] {
            assert_eq!(Proxy::parse(url).unwrap().is_https(), is_https, "{url}");
        }
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
            "http://u@chat",
            "http://:p@chat",
            "http://chat?x=1",
            "http://chat#x",
            "http://chat:0",
            // A server that parses the request's target as a URL takes the prefix for a host.
            "http://chat//other.example/a",
            "http:///chat.:///chat./",
            "http://a{b}",
            "http://a\"b",
        ] {
            assert!(BaseUrl::parse(base).is_err(), "{base}");
        }
    }
}
