//! Gives every call a name that the caller, the access line and the answer share.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue};
use tower::{Layer, Service};
use uuid::Uuid;

use crate::server::{Request, Response};

/// The metadata key.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Takes `x-request-id` from the caller, or makes one, and returns it.
#[derive(Clone, Copy, Debug)]
pub struct RequestId {
    /// The longest id that is taken from a caller; a longer one is replaced.
    pub max_bytes: usize,
}

/// [`RequestId`] around `S`.
#[derive(Clone, Debug)]
pub struct WithRequestId<S> {
    inner: S,
    max_bytes: usize,
}

/// The id of a call, an extension of its request: printable ASCII.
#[derive(Clone, Debug)]
pub(super) struct Id(HeaderValue);

impl Id {
    /// The caller's id if it is fit for logs, else a new one.
    fn of_call(request: &Request, max_bytes: usize) -> Self {
        let fit = |value: &&HeaderValue| {
            let bytes = value.as_bytes();
            (1..=max_bytes).contains(&bytes.len())
                && bytes.iter().all(|byte| (0x20..=0x7E).contains(byte))
        };
        Self(match request.headers().get(X_REQUEST_ID).filter(fit) {
            Some(value) => value.clone(),
            None => fresh(),
        })
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

impl<S> Layer<S> for RequestId {
    type Service = WithRequestId<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let max_bytes = self.max_bytes;
        WithRequestId { inner, max_bytes }
    }
}

impl<S> Service<Request> for WithRequestId<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let id = Id::of_call(&request, self.max_bytes);
        request.extensions_mut().insert(id.clone());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let mut response = answer.await?;
            response.headers_mut().insert(X_REQUEST_ID, id.0);
            Ok(response)
        })
    }
}

fn fresh() -> HeaderValue {
    let mut buffer = Uuid::encode_buffer();
    let text = Uuid::new_v4().simple().encode_lower(&mut buffer);
    // Thirty-two hexadecimal digits are a header value.
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("-"))
}
