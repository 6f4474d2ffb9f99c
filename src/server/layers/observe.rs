//! Observes every RPC, refused, cancelled and streaming ones included.

use tokio::time::Instant;

use super::Around;
use crate::{
    record::Record,
    server::{AccessLog, Handler, Request, Response, access_log::code_of},
};

/// Begins the record of each call, and sees to its access line.
#[derive(Clone, Debug)]
pub struct Observe {
    log: AccessLog,
}

impl Observe {
    /// Writes the lines to `log`.
    #[must_use]
    pub fn new(log: AccessLog) -> Self {
        Self { log }
    }
}

impl Around for Observe {
    async fn around(&self, mut request: Request, inner: &impl Handler) -> Response {
        let record = Record::begin(Instant::now());
        request.extensions_mut().insert(record.clone());
        let line = self.log.begin(&request, record);
        let mut response = inner.handle(request).await;
        match code_of(response.headers()) {
            Some(code) => line.end(code),
            None => response.body_mut().observe(line),
        }
        response
    }
}
