//! Turns a panic into one failed call. The panic hook has logged it by then.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    task::{Context, Poll},
};

use futures_util::{FutureExt, future::BoxFuture};
use tower::{Layer, Service};

use crate::{
    error::{Error, status::to_response},
    server::{Request, Response},
};

/// Answers INTERNAL where what is inside panics.
#[derive(Clone, Copy, Debug)]
pub struct CatchPanic;

/// [`CatchPanic`] around `S`.
#[derive(Clone, Debug)]
pub struct CatchingPanics<S> {
    inner: S,
}

impl<S> Layer<S> for CatchPanic {
    type Service = CatchingPanics<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CatchingPanics { inner }
    }
}

impl<S> Service<Request> for CatchingPanics<S>
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

    fn call(&mut self, request: Request) -> Self::Future {
        // Nothing of a call is used after its panic, so nothing can be seen half done.
        let answer = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        Box::pin(async move {
            match answer.await {
                Ok(response) => response,
                Err(_panic) => Ok(to_response(&Error::Internal)),
            }
        })
    }
}
