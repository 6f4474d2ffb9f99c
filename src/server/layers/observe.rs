//! Observes every RPC, refused, cancelled and streaming ones included.

use super::Around;
use crate::server::{Handler, Observers, Request, Response, observed::code_of};

/// Begins the record of each call, and tells the observers of its end.
#[derive(Clone, Debug)]
pub struct Observe(pub Observers);

impl Around for Observe {
    async fn around(&self, mut request: Request, inner: &impl Handler) -> Response {
        let observed = self.0.begin(&mut request);
        let mut response = inner.handle(request).await;
        match code_of(response.headers()) {
            Some(code) => observed.end(code),
            None => response.body_mut().observe(observed),
        }
        response
    }
}
