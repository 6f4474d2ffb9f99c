//! gRPC-Web: calls of browsers, which can't read trailers and ask first whether a page may make them.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Version, header};
use http_body::Frame;
use tokio::sync::Notify;
use tonic::Status;
use tonic_web::GrpcWebLayer;
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::Around;
use crate::server::{Body, Handler, Request, Response};

/// The content types of gRPC-Web: those that are text have everything in base64.
const GRPC_WEB: [&str; 4] = [
    "application/grpc-web",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "application/grpc-web-text+proto",
];

/// What a page may read of an answer's head, where statuses without a message stand.
const READABLE: [HeaderName; 5] = [
    Status::GRPC_STATUS,
    Status::GRPC_MESSAGE,
    Status::GRPC_STATUS_DETAILS,
    HeaderName::from_static("grpc-retry-pushback-ms"),
    HeaderName::from_static("x-request-id"),
];

/// How long a browser may remember that a page may make calls: as long as any does.
const MAX_AGE: Duration = Duration::from_hours(2);

/// The pages that may make calls, by their origins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// All there are.
    Any,
    /// These.
    Listed(Vec<HeaderValue>),
}

/// The body of a call, which tells if it breaks off: its client has gone then, and HTTP/1 would go on with the
/// call.
struct Whole {
    body: tonic::body::Body,
    broken: Arc<Notify>,
}

/// Serves gRPC-Web, where that is asked for, and answers a browser's question before it. Everything else goes
/// by.
#[derive(Clone, Debug)]
pub struct Web {
    cors: Option<CorsLayer>,
}

impl Web {
    /// Lets pages of `origins` make calls; nobody, if there are none.
    #[must_use]
    pub fn new(origins: Option<&Origins>) -> Self {
        let cors = |origins: &Origins| {
            CorsLayer::new()
                .allow_origin(match origins {
                    Origins::Any => AllowOrigin::any(),
                    Origins::Listed(origins) => AllowOrigin::list(origins.iter().cloned()),
                })
                .allow_methods([Method::POST])
                // Credentials are headers as well, which no browser sends by itself.
                .allow_headers(AllowHeaders::mirror_request())
                .expose_headers(READABLE)
                .max_age(MAX_AGE)
        };
        Self {
            cors: origins.map(cors),
        }
    }
}

impl Around for Web {
    async fn around(&self, request: Request, inner: &impl Handler) -> Response {
        let cors = match &self.cors {
            Some(cors) if is_call(&request) || is_question(&request) => cors.clone(),
            _ => return inner.handle(request).await,
        };
        let origin = is_question(&request).then(|| request.headers()[header::ORIGIN].clone());
        let broken = Arc::<Notify>::default();
        let request = request.map(|body| {
            let broken = broken.clone();
            tonic::body::Body::new(Whole { body, broken })
        });
        let deadline = OnceLock::new();
        let calls = service_fn(|mut request: Request| {
            // What is inside is gRPC, which has no other.
            *request.version_mut() = Version::HTTP_2;
            let deadline = &deadline;
            async move {
                let response = inner.handle(request).await;
                let _ = deadline.set(response.body().deadline());
                Ok::<_, Infallible>(response)
            }
        });
        let web = ServiceBuilder::new()
            .layer(cors)
            .layer(GrpcWebLayer::new())
            .service(calls);
        let Ok(response) = tokio::select! {
            biased;
            // Nobody hears it; that the call is dropped cancels it.
            () = broken.notified() => return Response::default(),
            response = web.oneshot(request) => response,
        };
        let mut response = response.map(Body::new);
        if let Some(origin) = origin {
            let may = response
                .headers()
                .contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN);
            tracing::debug!(?origin, may, "a browser asks whether a page may make calls");
        }
        if let Some(deadline) = deadline.into_inner().flatten() {
            response.body_mut().end_at(deadline);
        }
        response
    }
}

/// Whether it is a call of gRPC-Web.
fn is_call(request: &Request) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    request.method() == Method::POST
        && content_type.is_some_and(|it| GRPC_WEB.iter().any(|web| it == web))
}

/// Whether it is the question whether there may be one.
fn is_question(request: &Request) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

impl http_body::Body for Whole {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Err(_)) = frame {
            self.broken.notify_one();
            return Poll::Pending;
        }
        Poll::Ready(frame)
    }
}
