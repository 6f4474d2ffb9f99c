//! Ends a call at its deadline with the status that gRPC has for it.
//!
//! tonic's own timeout answers CANCELLED, and stands outside of every layer.

use std::{
    convert::Infallible,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout_at};
use tower::{Layer, Service};

use crate::{
    deadline::Deadline,
    error::{Error, status::to_response},
    server::{Request, Response},
};

/// Bounds the time until an answer begins: the caller's `grpc-timeout` under `ceiling`. Streams
/// that have begun go on.
#[derive(Clone, Copy, Debug)]
pub struct EndAtDeadline {
    /// The longest time that any call may take.
    pub ceiling: Duration,
}

/// [`EndAtDeadline`] around `S`.
#[derive(Clone, Debug)]
pub struct EndingAtDeadline<S> {
    inner: S,
    ceiling: Duration,
}

impl<S> Layer<S> for EndAtDeadline {
    type Service = EndingAtDeadline<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let ceiling = self.ceiling;
        EndingAtDeadline { inner, ceiling }
    }
}

impl<S> Service<Request> for EndingAtDeadline<S>
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
        let deadline = Deadline::of_call(request.headers(), Instant::now(), self.ceiling);
        request.extensions_mut().insert(deadline);
        let answer = self.inner.call(request);
        Box::pin(async move {
            timeout_at(deadline.at, answer)
                .await
                .unwrap_or_else(|_| Ok(to_response(&Error::DeadlineExceeded(deadline.limit))))
        })
    }
}
