//! Ends the calls that outlast the server's drain with a status instead of a torn connection.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use tower::{Layer, Service};

use crate::{
    error::{Error, status::to_response},
    server::{Request, Response},
};

/// Answers UNAVAILABLE once the drain is over.
#[derive(Clone, Debug)]
pub struct EndWithDrain {
    /// Cancelled when the drain is over.
    pub over: CancellationToken,
}

/// [`EndWithDrain`] around `S`.
#[derive(Clone, Debug)]
pub struct EndingWithDrain<S> {
    inner: S,
    over: CancellationToken,
}

impl<S> Layer<S> for EndWithDrain {
    type Service = EndingWithDrain<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let over = self.over.clone();
        EndingWithDrain { inner, over }
    }
}

impl<S> Service<Request> for EndingWithDrain<S>
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
        let answer = self.inner.call(request);
        let over = self.over.clone();
        Box::pin(async move {
            over.run_until_cancelled_owned(answer)
                .await
                .unwrap_or_else(|| Ok(to_response(&Error::ShuttingDown)))
        })
    }
}
