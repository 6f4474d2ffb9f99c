//! Rocket.Chat's rules: which answer a request gets, decided in the order of the version.

use std::net::IpAddr;

use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;

use super::Options;
use super::answers;
use super::conferences::Conferences;
use super::limiter::{RateLimiter, Verdict, Window};
use super::query::{self, Validator};
use super::reply::Reply;
use super::request::Request;
use super::users::{self, User};
use super::version::Version;

const PATH: &str = "/api/v1/video-conference.info";

/// A constant of the route; no setting changes it.
const LIMIT: u32 = 15;
const WINDOW_MS: u64 = 3000;

/// Rocket.Chat's state, as far as it shows.
pub(super) struct Rules {
    version: Version,
    limiter: Option<RateLimiter>,
    conferences: Conferences,
}

impl Rules {
    pub(super) fn new(options: Options) -> Self {
        Self {
            version: options.version,
            limiter: options
                .rate_limit
                .then(|| RateLimiter::new(LIMIT, WINDOW_MS)),
            conferences: Conferences::new(options),
        }
    }

    /// The answer to a request from `peer`, at `now_ms` milliseconds since the Unix epoch.
    pub(super) fn reply_to(&mut self, request: &Request, peer: IpAddr, now_ms: u64) -> Reply {
        if let Some(elsewhere) = route(self.version, request) {
            return elsewhere;
        }
        let Some(user) = authenticate(&request.headers) else {
            return answers::unauthorized(self.version, now_ms);
        };
        match self.version {
            Version::V7_0 => {
                self.limited(user, request, peer, now_ms, |rules| {
                    match query::call_id(request.query(), Validator::Plain) {
                        Ok(call_id) => rules.info(user, &call_id, now_ms),
                        Err(invalid) => answers::invalid_query(rules.version, invalid),
                    }
                })
            }
            Version::V8_8 | Version::V8_9 => {
                match query::call_id(request.query(), Validator::Coercing) {
                    Ok(call_id) => self.limited(user, request, peer, now_ms, |rules| {
                        rules.info(user, &call_id, now_ms)
                    }),
                    Err(invalid) => answers::invalid_query(self.version, invalid),
                }
            }
        }
    }

    /// What the limiter has counted, if there is one.
    pub(super) fn windows(&self) -> Vec<Window> {
        self.limiter
            .as_ref()
            .map_or_else(Vec::new, RateLimiter::windows)
    }

    /// `action`'s answer with the limiter's headers, or the limiter's refusal.
    fn limited(
        &mut self,
        user: &User,
        request: &Request,
        peer: IpAddr,
        now_ms: u64,
        action: impl FnOnce(&mut Self) -> Reply,
    ) -> Reply {
        let Some(verdict) = self.verdict(user, request, peer, now_ms) else {
            return action(self);
        };
        let reply = match verdict.refused_for_ms {
            Some(wait_ms) => answers::too_many_requests(wait_ms),
            None => action(self),
        };
        answers::with_limit(reply, &verdict)
    }

    fn verdict(
        &mut self,
        user: &User,
        request: &Request,
        peer: IpAddr,
        now_ms: u64,
    ) -> Option<Verdict> {
        // The limiter's key is made with the method's name, and only GET has a limit.
        if !user.rate_limited || request.method != Method::GET {
            return None;
        }
        let client = client_address(&request.headers, peer);
        Some(self.limiter.as_mut()?.check(&client, now_ms))
    }

    fn info(&mut self, user: &User, call_id: &str, now_ms: u64) -> Reply {
        self.conferences
            .read(user, call_id, now_ms)
            .map_or_else(answers::not_found, answers::found)
    }
}

/// The answer, if the request is for something else than the endpoint.
fn route(version: Version, request: &Request) -> Option<Reply> {
    let path = request.path();
    if version == Version::V7_0 {
        return match &request.method {
            _ if path != PATH => Some(answers::web_app()),
            &Method::GET => None,
            _ => Some(answers::wrong_method()),
        };
    }
    // Express mounts the API and cares for case as little as it always does; Hono, behind it,
    // matches strictly, once it has decoded the path.
    let mut segments = path.split('/').skip(1);
    if !segments.next()?.eq_ignore_ascii_case("api") {
        return Some(answers::web_app());
    }
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    match &request.method {
        &Method::OPTIONS => Some(answers::options()),
        &Method::GET | &Method::HEAD if decoded == PATH => None,
        _ => Some(answers::unknown_route()),
    }
}

fn authenticate(headers: &HeaderMap) -> Option<&'static User> {
    users::authenticate(sole(headers, "x-user-id")?, sole(headers, "x-auth-token")?)
}

/// A header's only value. Node joins several into one, which then belongs to nobody.
fn sole<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.to_str().ok())?
}

/// Whom Rocket.Chat takes for the client. `HTTP_FORWARDED_COUNT` is 1 unless set, so it believes
/// the last entry of `X-Forwarded-For`, no matter from whom.
fn client_address(headers: &HeaderMap, peer: IpAddr) -> String {
    let forwarded = headers.get_all("x-forwarded-for").iter().next_back();
    let forwarded = forwarded
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.rsplit(',').next());
    let real = headers
        .get("x-real-ip")
        .and_then(|value| value.to_str().ok());
    [forwarded, real]
        .into_iter()
        .flatten()
        .map(str::trim)
        .find(|address| !address.is_empty())
        .map_or_else(|| peer.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests;
