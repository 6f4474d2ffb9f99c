//! The layers of the request stack, in its order. Each is one concern around every RPC.

mod admit;
mod catch_panic;
mod deadline;
mod drain;
mod grpc_only;
mod observe;
mod request_id;
mod web;

use tokio::time::Instant;

use super::{Handler, Request, Response};
use crate::{
    error::{Error, status::refuse},
    record::Record,
};

pub use admit::Admit;
pub use catch_panic::CatchPanic;
pub use deadline::EndAtDeadline;
pub use drain::EndWithDrain;
pub use grpc_only::GrpcOnly;
pub use observe::Observe;
pub use request_id::{Id, RequestId};
pub use web::{Origins, Web};

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
    fn handle(&self, request: Request) -> impl Future<Output = Response> + Send {
        self.around.around(request, &self.inner)
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

#[cfg(test)]
mod tests {
    use std::future::ready;

    use tonic::{Code, Status};

    use super::*;

    /// Panics before there is a future, as a defect in some library's `call` would.
    struct Works(bool);

    impl Handler for Works {
        fn handle(&self, _: Request) -> impl Future<Output = Response> + Send {
            assert!(self.0, "a defect");
            ready(Response::default())
        }
    }

    #[tokio::test]
    async fn a_synchronous_panic_is_one_failed_call() {
        let request = Request::default();
        let response = CatchPanic.around(request, &Works(false)).await;
        let status = response.extensions().get::<Status>();
        assert_eq!(status.map(Status::code), Some(Code::Internal));
    }
}
