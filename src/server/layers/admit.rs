//! Bounds the calls in flight.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::{Around, record, refusal};
use crate::{
    error::Error,
    server::{Handler, Request, Response},
};

/// The service that is never refused: who asks whether we live would take that for a no.
const HEALTH: &str = "/grpc.health.v1.Health/";

/// Refuses calls while too many are being answered: each takes memory until then. Clones share the
/// count.
#[derive(Clone, Debug)]
pub struct Admit {
    places: Arc<Semaphore>,
}

impl Admit {
    /// Lets `max_in_flight` calls in at a time.
    #[must_use]
    pub fn new(max_in_flight: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(max_in_flight)),
        }
    }
}

impl Around for Admit {
    async fn around(&self, request: Request, inner: &impl Handler) -> Response {
        if request.uri().path().starts_with(HEALTH) {
            return inner.handle(request).await;
        }
        let Ok(_place) = self.places.try_acquire() else {
            return refusal(&Error::Overloaded, &record(&request));
        };
        inner.handle(request).await
    }
}
