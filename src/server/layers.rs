//! The layers of the request stack, in its order. Each is one concern around every RPC.

mod catch_panic;
mod deadline;
mod drain;
mod observe;
mod request_id;

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use tower::{Layer, Service};

use super::{Request, Response};

pub use catch_panic::CatchPanic;
pub use deadline::EndAtDeadline;
pub use drain::EndWithDrain;
pub use observe::Observe;
pub use request_id::RequestId;

/// What one layer does: something with a request on its way in, something around its answer.
pub trait Concern: Clone {
    /// What is kept of a call between the two.
    type Call: Send + 'static;

    /// Looks at a request, and leaves in its extensions what layers further in need.
    fn before(&self, request: &mut Request) -> Self::Call;

    /// Waits for the answer of what is inside, or for something else.
    fn around(
        call: Self::Call,
        answer: impl Future<Output = Response> + Send + 'static,
    ) -> impl Future<Output = Response> + Send + 'static;
}

/// A [`Concern`] as a layer of tower.
#[derive(Clone, Debug)]
pub struct Around<C>(pub C);

/// A [`Concern`] around the service `S`.
#[derive(Clone, Debug)]
pub struct Layered<C, S> {
    concern: C,
    inner: S,
}

impl<C: Concern, S> Layer<S> for Around<C> {
    type Service = Layered<C, S>;

    fn layer(&self, inner: S) -> Self::Service {
        let concern = self.0.clone();
        Layered { concern, inner }
    }
}

impl<C, S> Service<Request> for Layered<C, S>
where
    C: Concern,
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
        let call = self.concern.before(&mut request);
        let answer = self.inner.call(request);
        let answer = C::around(call, async {
            let Ok(response) = answer.await;
            response
        });
        Box::pin(async { Ok(answer.await) })
    }
}
