//! The client of Rocket.Chat's REST API: one request an attempt, nothing behind its caller's back.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};

use super::{
    BaseUrl, Method, Proxy, body,
    connector::Connector,
    failure::{self, cut_off, no_answer, proxy_authentication},
    head,
    pool::{self, Pool},
    report::Reports,
};
use crate::{
    credentials::{AUTH_TOKEN, USER_ID},
    error::{Error, Unavailable},
    exchange::{Exchange, Head, Moment},
    query::{Attempt, Connection, Query},
    source::Upstream,
    tls::{self, TrustAnchors},
};

/// How the client introduces itself.
pub(super) const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!(
    env!("CARGO_PKG_NAME"),
    "/",
    env!("CARGO_PKG_VERSION")
));

/// Node closes an idle connection after 5 s, the library's pool keeps one for 90 s: a request on a
/// connection that is just being closed would fail.
const POOL_IDLE: Duration = Duration::from_secs(4);

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What may be spoken over TLS, which is HTTP/1.1 as Node's server has it.
const ALPN: &[u8] = b"http/1.1";

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
    /// Whether it hears in which trace a request is.
    pub sends_traceparent: bool,
}

/// Asks Rocket.Chat.
pub struct Client {
    /// Keeps connections for later requests.
    pooling: Pool,
    /// Makes a new connection for each request.
    connecting: pool::Client,
    base_url: BaseUrl,
    /// Whether a proxy reads the requests, and may refuse them.
    is_forwarded: bool,
    /// What such a proxy is told in each request.
    proxy_authorization: Option<HeaderValue>,
    max_body_bytes: usize,
    sends_traceparent: bool,
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
            tls::client(ALPN, options.trust_anchors.clone(), None)
                .map_err(|problem| format!("{problem} with --upstream-ca"))?
        } else {
            tls::trusting_nobody()
        };
        let Options {
            base_url,
            proxy,
            max_body_bytes,
            sends_traceparent,
            ..
        } = options;
        let is_forwarded = proxy.is_some() && !base_url.is_https();
        let authorization = proxy.as_ref().and_then(Proxy::authorization).cloned();
        let connector = Connector::new(
            tls,
            base_url.is_https(),
            proxy.as_ref(),
            options.connect_timeout,
        );
        let connecting = builder().pool_max_idle_per_host(0).build(connector.clone());
        let pooling = move || builder().build(connector.clone());
        Ok(Self {
            pooling: Pool::new(options.connection_max_age, pooling),
            connecting,
            is_forwarded,
            proxy_authorization: authorization.filter(|_| is_forwarded),
            reports: Reports::new(
                base_url.origin(),
                proxy.map(|proxy| proxy.origin().to_owned()),
            ),
            base_url,
            max_body_bytes,
            sends_traceparent,
        })
    }
}

impl<M: Method> Upstream<M> for Client {
    async fn ask(&self, query: &Query<M>, attempt: &Attempt) -> Exchange<M::Answer> {
        let Some(request) = self.request(query, attempt) else {
            return Exchange::unanswered(Error::Internal);
        };
        let http = match attempt.connection {
            Connection::Any => &self.pooling.client(),
            Connection::New => &self.connecting,
        };
        let sent = Moment::now();
        let response = match http.request(request).await {
            Ok(response) => response,
            Err(error) => {
                return Exchange {
                    sent: (!error.is_connect()).then_some(sent),
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
    /// The request for `query`; `None` if it is too long to be one.
    fn request<M: Method>(
        &self,
        query: &Query<M>,
        attempt: &Attempt,
    ) -> Option<Request<Empty<Bytes>>> {
        let parameters = query.key.parameters.query();
        let mut request = Request::new(Empty::new());
        *request.method_mut() = M::ROUTE.verb.clone();
        *request.uri_mut() = self.base_url.method(M::ROUTE.name, parameters)?;
        let headers = request.headers_mut();
        headers.insert(USER_ID, query.credentials.user_id.expose().clone());
        headers.insert(AUTH_TOKEN, query.credentials.auth_token.expose().clone());
        headers.insert(header::ACCEPT, JSON);
        headers.insert(header::ACCEPT_ENCODING, body::ACCEPT_ENCODING);
        headers.insert(header::USER_AGENT, USER_AGENT);
        if self.sends_traceparent {
            attempt.trace.write(headers);
        }
        if let Some(authorization) = &self.proxy_authorization {
            headers.insert(header::PROXY_AUTHORIZATION, authorization.clone());
        }
        Some(request)
    }

    /// What it means that `attempt` got no answer.
    fn no_answer(&self, error: &legacy::Error, attempt: &Attempt) -> Error {
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
        mut response: Response<Incoming>,
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

/// What both clients have in common. Neither follows a redirection, nor sends a request again that a
/// server may have seen: each attempt costs allowance and is decided on in `lookup`.
fn builder() -> legacy::Builder {
    let mut builder = legacy::Client::builder(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        // Default 100: proxies with a habit of cookies send more.
        .http1_max_headers(MAX_HEADERS);
    builder
}
