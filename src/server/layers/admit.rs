//! Bounds the calls in flight.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::{Around, record, refusal};
use crate::{
    error::Error,
    server::{Handler, Request, Response},
};

/// What is never refused: who asks whether we live would take that for a no.
const PROBES: [&str; 2] = [
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/List",
];

/// Refuses calls while too many are in flight, from their arrival to the end of their answer: each takes
/// memory until then. Clones share the count.
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
        if PROBES.contains(&request.uri().path()) {
            return inner.handle(request).await;
        }
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            return refusal(&Error::Overloaded, &record(&request));
        };
        let mut response = inner.handle(request).await;
        response.body_mut().hold(place);
        response
    }
}
