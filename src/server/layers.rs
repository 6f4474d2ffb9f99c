//! The layers of the request stack, in its order. Each is one concern around every RPC.

mod catch_panic;
mod deadline;
mod drain;
mod observe;
mod post_only;
mod request_id;

use tokio::time::Instant;

use super::{Handler, Request, Response};
use crate::{
    error::{Error, status::refuse},
    record::Record,
};

pub use catch_panic::CatchPanic;
pub use deadline::EndAtDeadline;
pub use drain::EndWithDrain;
pub use observe::Observe;
pub use post_only::PostOnly;
pub use request_id::{Id, RequestId};

/// What one layer does around whatever is inside.
pub trait Around: Send + Sync + 'static {
    /// Answers `request`, as a rule with the answer of `inner`.
    fn around(
        &self,
        request: Request,
        inner: &impl Handler,
    ) -> impl Future<Output = Response> + Send;
}

/// Something [`Around`], as a layer of tower's builder.
#[derive(Clone, Debug)]
pub struct Layer<A>(pub A);

/// `A` around `H`.
#[derive(Clone, Debug)]
pub struct Layered<A, H> {
    around: A,
    inner: H,
}

impl<A: Clone, H> tower::Layer<H> for Layer<A> {
    type Service = Layered<A, H>;

    fn layer(&self, inner: H) -> Self::Service {
        let around = self.0.clone();
        Layered { around, inner }
    }
}

impl<A: Around, H: Handler> Handler for Layered<A, H> {
    async fn handle(&self, request: Request) -> Response {
        self.around.around(request, &self.inner).await
    }
}

/// The record that [`Observe`] has begun.
fn record(request: &Request) -> Record {
    let record = request.extensions().get().cloned();
    record.unwrap_or_else(|| Record::begin(Instant::now()))
}

/// The answer that refuses a call because of `error`.
fn refusal(error: &Error, record: &Record) -> Response {
    refuse(error, record).into_http()
}
