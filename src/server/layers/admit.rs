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

/// What may go on for as long as its connection, and takes nobody's token: such streams have places of their own, so
/// that a few connections of somebody unknown don't take those of all calls.
const STREAMS: [&str; 3] = [
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Refuses calls while too many are in flight, from their arrival to the end of their answer: each takes
/// memory until then. Clones share the count.
#[derive(Clone, Debug)]
pub struct Admit {
    calls: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl Admit {
    /// Lets `max_in_flight` calls in at a time, and as many streams.
    #[must_use]
    pub fn new(max_in_flight: usize) -> Self {
        let places = || Arc::new(Semaphore::new(max_in_flight));
        Self {
            calls: places(),
            streams: places(),
        }
    }
}

impl Around for Admit {
    async fn around(&self, request: Request, inner: &impl Handler) -> Response {
        let path = request.uri().path();
        if PROBES.contains(&path) {
            return inner.handle(request).await;
        }
        let places = if STREAMS.contains(&path) {
            &self.streams
        } else {
            &self.calls
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            return refusal(&Error::Overloaded, &record(&request));
        };
        let mut response = inner.handle(request).await;
        response.body_mut().hold(place);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        metrics::Kind,
        proto::FILE_DESCRIPTOR_SET,
        server::{Methods, files},
    };

    #[test]
    fn what_streams_has_places_of_its_own() {
        let methods = Methods::new(&files(&[FILE_DESCRIPTOR_SET]));
        let all = methods.all().iter();
        let streams = all.filter(|method| !matches!(method.kind, Kind::Unary));
        let paths: Vec<_> = streams
            .map(|method| format!("/{}/{}", method.service, method.name))
            .collect();
        assert_eq!(paths.len(), STREAMS.len(), "{paths:?}");
        assert!(paths.iter().all(|path| STREAMS.contains(&&**path)));
    }
}
