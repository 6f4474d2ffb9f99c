//! The client of Rocket.Chat's REST API: one GET a lookup, nothing behind its caller's back.

use std::time::{Duration, SystemTime};

use http::{StatusCode, header};
use reqwest::{redirect, retry};

use super::{
    BaseUrl, Proxy, TrustAnchors, body,
    failure::{self, no_answer},
    translate,
};
use crate::{
    credentials::{AUTH_TOKEN, USER_ID},
    error::Error,
    source::{Answer, ConferenceSource, Lookup},
};

/// How the client introduces itself.
const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// Node closes an idle connection after 5 s, the library's pool keeps one for 90 s: a request on a
/// connection that is just being closed would fail.
const POOL_IDLE: Duration = Duration::from_secs(4);

/// Where Rocket.Chat is and how it may be spoken to.
#[derive(Clone)]
pub struct Options {
    /// The server's root.
    pub base_url: BaseUrl,
    /// The only authorities to trust; `None` means those of the system.
    pub trust_anchors: Option<TrustAnchors>,
    /// The proxy to go through, if any.
    pub proxy: Option<Proxy>,
    /// How long connecting may take: name, TCP and TLS together.
    pub connect_timeout: Duration,
    /// The largest body of an answer, in bytes after unpacking.
    pub max_body_bytes: usize,
}

/// Asks Rocket.Chat.
pub struct Client {
    /// Keeps connections for later requests.
    pooling: reqwest::Client,
    /// Makes a new connection for each request.
    connecting: reqwest::Client,
    base_url: BaseUrl,
    max_body_bytes: usize,
}

impl Client {
    /// Prepares a client; nothing is sent yet. A rustls crypto provider must be installed.
    ///
    /// # Errors
    /// The TLS backend refuses its configuration, as it does where the system has no trust anchors.
    pub fn new(options: Options) -> Result<Self, String> {
        let pooling = builder(&options).build();
        let connecting = builder(&options).pool_max_idle_per_host(0).build();
        Ok(Self {
            pooling: pooling.map_err(|error| error_text(&error))?,
            connecting: connecting.map_err(|error| error_text(&error))?,
            base_url: options.base_url,
            max_body_bytes: options.max_body_bytes,
        })
    }
}

impl ConferenceSource for Client {
    async fn find(&self, lookup: &Lookup) -> Result<Answer, Error> {
        let parameter = ("callId", lookup.call_id.as_str());
        let http = if lookup.may_reuse_connection {
            &self.pooling
        } else {
            &self.connecting
        };
        let request = http
            .get(self.base_url.method("video-conference.info", parameter))
            .header(USER_ID, lookup.credentials.user_id.expose())
            .header(AUTH_TOKEN, lookup.credentials.auth_token.expose())
            .header(header::ACCEPT, "application/json")
            .header(header::ACCEPT_ENCODING, body::ACCEPT_ENCODING);

        let read_at = SystemTime::now();
        let response = request.send().await.map_err(|error| no_answer(&error))?;

        let status = response.status();
        if !status.is_success() {
            let token = &lookup.credentials.auth_token;
            let headers = response.headers().clone();
            let body = if failure::is_refined_by_body(status) {
                let time = lookup.deadline.remaining();
                body::read_in_time(response, self.max_body_bytes, time).await
            } else {
                Vec::new()
            };
            return Err(failure::refusal(status, &headers, &body, token));
        }
        let body = body::read(response, self.max_body_bytes).await?;
        let conference = translate::video_conference(&body)
            .map_err(|malformed| not_understood(status, malformed))?;
        Ok(Answer {
            conference,
            read_at,
            http_status: status.as_u16(),
        })
    }
}

/// What both clients have in common.
fn builder(options: &Options) -> reqwest::ClientBuilder {
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        // Default none: an unreachable host would use up the whole deadline.
        .connect_timeout(options.connect_timeout)
        .pool_idle_timeout(POOL_IDLE)
        // Default 10 hops: the credentials would travel along.
        .redirect(redirect::Policy::none())
        // Default on: it would tell one URL to another.
        .referer(false)
        // Default some: each attempt costs allowance and is decided on in `lookup`.
        .retry(retry::never())
        // Default the environment's: credentials would go where nobody said.
        .no_proxy();
    if let Some(proxy) = options.proxy.clone() {
        builder = builder.proxy(proxy.into_inner());
    }
    if let Some(anchors) = options.trust_anchors.clone() {
        builder = builder.tls_certs_only(anchors.into_inner());
    } else if !options.base_url.is_https() {
        // Spares the reading of the system's trust anchors, which nobody will ask for.
        builder = builder.tls_certs_only([]);
    }
    builder
}

fn not_understood(status: StatusCode, malformed: super::Malformed) -> Error {
    Error::UpstreamMalformed {
        http_status: status.as_u16(),
        problem: malformed.problem,
        detail: malformed.detail,
    }
}

/// The library's message with what caused it.
fn error_text(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
