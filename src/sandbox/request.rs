//! A request as the stand-in saw it.

use http::{HeaderMap, Method};

/// One request that arrived. `Debug` hides the auth token, whose value is marked sensitive.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method, any token.
    pub method: Method,
    /// Path and query exactly as received, nothing decoded.
    pub target: String,
    /// The headers, in order of arrival for each name.
    pub headers: HeaderMap,
}

impl Request {
    /// The first value of a header, when there is one and it is visible ASCII. `name` in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The path, undecoded.
    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// What Rocket.Chat takes for the query: the text between the first `?` and the second.
    pub(super) fn query(&self) -> &str {
        self.target.split('?').nth(1).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_question_mark_ends_the_query() {
        let request = Request {
            method: Method::GET,
            target: "/path?callId=a?b".to_owned(),
            headers: HeaderMap::new(),
        };
        assert_eq!((request.path(), request.query()), ("/path", "callId=a"));
    }
}
