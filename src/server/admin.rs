//! The operator's port: pages over HTTP/1, apart from callers and their limits.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    sync::Mutex,
    task::{AbortHandle, JoinSet, spawn_blocking},
    time::{sleep, timeout},
};

use super::Listeners;

/// How many connections there are at a time; with another one the oldest ends. A handful is needed.
pub const MAX_CONNECTIONS: usize = 256;

/// How long a connection lasts: for one request, and its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The largest head of a request, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// After a failed accept, as with no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Something that can be looked at.
#[derive(Clone)]
pub struct Page {
    path: &'static str,
    content_type: &'static str,
    look: Arc<dyn Fn() -> (StatusCode, Vec<u8>) + Send + Sync>,
}

type Request = http::Request<Incoming>;
type Response = http::Response<Full<Bytes>>;

impl Page {
    /// The page at `path`, as `look` finds it.
    pub fn new(
        path: &'static str,
        content_type: &'static str,
        look: impl Fn() -> (StatusCode, Vec<u8>) + Send + Sync + 'static,
    ) -> Self {
        Self {
            path,
            content_type,
            look: Arc::new(look),
        }
    }
}

/// Shows `pages` to whoever comes to `listeners`. Never ready.
pub async fn show(mut listeners: Listeners, pages: Vec<Page>) {
    let pages: Arc<[Page]> = pages.into();
    // One page at a time, and not where calls are answered: some take milliseconds.
    let turn = Arc::new(Mutex::new(()));
    let mut connections = JoinSet::new();
    let mut by_age = VecDeque::new();
    loop {
        let accepted = tokio::select! {
            accepted = listeners.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, _)) = accepted else {
            tracing::debug!("accepting a connection to the admin port failed");
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // A probe has to be answered at once, whoever else has come and says nothing.
        by_age.retain(|connection: &AbortHandle| !connection.is_finished());
        if by_age.len() == MAX_CONNECTIONS
            && let Some(oldest) = by_age.pop_front()
        {
            oldest.abort();
        }
        let (pages, turn) = (pages.clone(), turn.clone());
        by_age.push_back(connections.spawn(async move {
            let service = service_fn(move |request: Request| {
                let (pages, turn) = (pages.clone(), turn.clone());
                async move { Ok::<_, Infallible>(answer(&pages, &request, turn).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .keep_alive(false)
                .max_buf_size(MAX_HEAD)
                .serve_connection(TokioIo::new(stream), service);
            if let Ok(Err(error)) = timeout(PATIENCE, connection).await {
                tracing::debug!(%error, "a connection to the admin port ended with an error");
            }
        }));
    }
}

async fn answer(pages: &[Page], request: &Request, turn: Arc<Mutex<()>>) -> Response {
    let path = request.uri().path();
    let Some(page) = pages.iter().find(|page| page.path == path) else {
        let paths: Vec<_> = pages.iter().map(|page| page.path).collect();
        let words = format!("There is {}.\n", paths.join(", "));
        return respond(StatusCode::NOT_FOUND, "text/plain", words.into());
    };
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let words = b"There is nothing to change here.\n".to_vec();
        let mut response = respond(StatusCode::METHOD_NOT_ALLOWED, "text/plain", words);
        let allowed = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(header::ALLOW, allowed);
        return response;
    }
    let turn = turn.lock_owned().await;
    let look = page.look.clone();
    let look = move || {
        // Its look goes on if its connection ends meanwhile.
        let _turn = turn;
        look()
    };
    match spawn_blocking(look).await {
        Ok((status, body)) => respond(status, page.content_type, body),
        // A defect, which is logged where it happened.
        Err(_) => respond(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", Vec::new()),
    }
}

fn respond(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A page loads what is here, and nothing else.
    let policy =
        "default-src 'self'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'";
    let policy = HeaderValue::from_static(policy);
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}
