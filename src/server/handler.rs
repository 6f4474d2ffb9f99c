//! What answers requests: the RPCs themselves, and each layer around them.

use std::convert::Infallible;

use tonic::service::Routes;
use tower::Service;

use super::{Body, Request, Response, body::cut_message};

/// Answers requests. Nothing happens before the future is polled, so that whatever guards the
/// future guards all of it.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. Dropping the future tells that nobody waits any more.
    fn handle(&self, request: Request) -> impl Future<Output = Response> + Send;
}

/// The RPCs, innermost of all.
#[derive(Clone, Debug)]
pub struct Rpcs(Routes);

impl Rpcs {
    /// The RPCs of `routes`.
    #[must_use]
    pub fn new(routes: Routes) -> Self {
        Self(routes.prepare())
    }
}

impl Handler for Rpcs {
    async fn handle(&self, request: Request) -> Response {
        let answer: Result<_, Infallible> = self.0.clone().call(request).await;
        let Ok(mut response) = answer;
        cut_message(response.headers_mut());
        response.map(Body::new)
    }
}
