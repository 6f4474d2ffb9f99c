//! The client of Rocket.Chat's REST API: one request an attempt, nothing behind its caller's back.

use std::time::Duration;

use http::header;
use reqwest::{Response, redirect, retry};

use super::{
    BaseUrl, Method, Proxy, TrustAnchors, body,
    failure::{self, cut_off, no_answer, proxy_authentication},
    head,
    pool::Pool,
    report::Reports,
    tls,
};
use crate::{
    credentials::{AUTH_TOKEN, USER_ID},
    error::{Error, Unavailable},
    exchange::{Exchange, Head, Moment},
    query::{Attempt, Connection, Query},
    source::Upstream,
};

/// How the client introduces itself.
const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// Node closes an idle connection after 5 s, the library's pool keeps one for 90 s: a request on a
/// connection that is just being closed would fail.
const POOL_IDLE: Duration = Duration::from_secs(4);

/// How many lines the head of an answer may have.
const MAX_HEADERS: usize = 256;

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
    /// How long a connection is used for.
    pub connection_max_age: Duration,
    /// The largest body of an answer, in bytes after unpacking.
    pub max_body_bytes: usize,
}

/// Asks Rocket.Chat.
pub struct Client {
    /// Keeps connections for later requests.
    pooling: Pool,
    /// Makes a new connection for each request.
    connecting: reqwest::Client,
    base_url: BaseUrl,
    /// Whether a proxy reads the requests, and may refuse them.
    is_forwarded: bool,
    max_body_bytes: usize,
    reports: Reports,
}

impl Client {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Errors
    /// TLS is to be spoken and the system has no trust anchors.
    pub fn new(options: Options) -> Result<Self, String> {
        let speaks_tls =
            options.base_url.is_https() || options.proxy.as_ref().is_some_and(Proxy::is_https);
        let tls = if speaks_tls {
            tls::config(options.trust_anchors.clone())?
        } else {
            tls::trusting_nobody()
        };
        let base_url = options.base_url.clone();
        let max_body_bytes = options.max_body_bytes;
        let proxy = options.proxy.as_ref().map(|it| it.origin().to_owned());
        let max_age = options.connection_max_age;
        let builder = move || builder(&options).tls_backend_preconfigured(tls.clone());
        let connecting = builder().pool_max_idle_per_host(0).build();
        let pooling = Pool::new(max_age, move || builder().build());
        Ok(Self {
            pooling: pooling.map_err(|error| failure::causes(&error))?,
            connecting: connecting.map_err(|error| failure::causes(&error))?,
            is_forwarded: proxy.is_some() && !base_url.is_https(),
            reports: Reports::new(base_url.origin(), proxy),
            base_url,
            max_body_bytes,
        })
    }
}

impl<M: Method> Upstream<M> for Client {
    async fn ask(&self, query: &Query<M>, attempt: &Attempt) -> Exchange<M::Answer> {
        let request = self.request(query, attempt.connection);
        let sent = Moment::now();
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                return Exchange {
                    sent: (!error.is_connect() && !error.is_builder()).then_some(sent),
                    head: None,
                    result: Err(self.no_answer(&error, attempt)),
                };
            }
        };
        let head = head::read(response.status(), response.headers());
        attempt.journal.answered(head);
        Exchange {
            sent: Some(sent),
            head: Some(head),
            result: self.result(query, attempt, &head, response).await,
        }
    }
}

impl Client {
    fn request<M: Method>(
        &self,
        query: &Query<M>,
        connection: Connection,
    ) -> reqwest::RequestBuilder {
        let http = match connection {
            Connection::Any => &self.pooling.client(),
            Connection::New => &self.connecting,
        };
        let url = self
            .base_url
            .method(M::ROUTE.name, query.key.parameters.query());
        http.request(M::ROUTE.verb.clone(), url)
            .header(USER_ID, query.credentials.user_id.expose())
            .header(AUTH_TOKEN, query.credentials.auth_token.expose())
            .header(header::ACCEPT, "application/json")
            .header(header::ACCEPT_ENCODING, body::ACCEPT_ENCODING)
    }

    /// What it means that `attempt` got no answer.
    fn no_answer(&self, error: &reqwest::Error, attempt: &Attempt) -> Error {
        let refusal = no_answer(error);
        // As a rule an idle connection was closed at the moment at which it was used again. If not, the
        // second attempt shows it.
        let is_first = attempt.journal.read().attempts <= 1;
        let is_routine = is_first
            && matches!(
                refusal,
                Error::UpstreamUnavailable {
                    cause: Unavailable::ConnectionClosed,
                    ..
                }
            );
        if is_routine {
            tracing::debug!(causes = failure::causes(error), "connection closed");
        } else {
            self.reports.add(&refusal, failure::causes(error));
        }
        refusal
    }

    /// What `response` says. Of its body as much is read as is needed for that; the rest is seen to,
    /// so that its connection can be used again.
    async fn result<M: Method>(
        &self,
        query: &Query<M>,
        attempt: &Attempt,
        head: &Head,
        mut response: Response,
    ) -> Result<M::Answer, Error> {
        if response.status().is_success() {
            let malformed = |problem, detail| Error::UpstreamMalformed {
                http_status: Some(head.status),
                problem,
                detail,
            };
            let failure = match body::read(&mut response, self.max_body_bytes).await {
                Ok(body) => {
                    let answer = M::answer(&body);
                    return answer.map_err(|it| malformed(it.problem, it.detail));
                }
                Err(failure) => failure,
            };
            body::discard(response, attempt.wanted_until()).await;
            return Err(match failure {
                body::Failure::CutOff(error) => {
                    let refusal = cut_off();
                    self.reports.add(&refusal, failure::causes(&error));
                    refusal
                }
                body::Failure::Malformed(problem) => malformed(problem, None),
            });
        }
        let body = if failure::is_refined_by_body(head.status) {
            body::read_in_time(&mut response, self.max_body_bytes, attempt.wanted_until()).await
        } else {
            Vec::new()
        };
        body::discard(response, attempt.wanted_until()).await;
        if head.status == 407 && self.is_forwarded {
            let refusal = proxy_authentication();
            self.reports.add(&refusal, "HTTP status 407".to_owned());
            return Err(refusal);
        }
        let token = &query.credentials.auth_token;
        Err(failure::refusal(M::ROUTE, head, &body, token))
    }
}

/// What both clients have in common.
fn builder(options: &Options) -> reqwest::ClientBuilder {
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        // Default 100: proxies with a habit of cookies send more.
        .http1_max_headers(MAX_HEADERS)
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
    builder
}
