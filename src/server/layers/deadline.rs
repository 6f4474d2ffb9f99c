//! Ends a call at its deadline with the status that gRPC has for it.
//!
//! tonic's own timeout answers CANCELLED, and stands outside of every layer.

use std::time::Duration;

use tokio::time::timeout_at;

use super::{Around, record, refusal};
use crate::{
    deadline::Deadline,
    error::Error,
    server::{Handler, Request, Response},
};

/// Bounds the time until an answer begins: the caller's `grpc-timeout` under `ceiling`. Answers that have
/// begun go on, as long as their caller takes them.
#[derive(Clone, Copy, Debug)]
pub struct EndAtDeadline {
    /// The longest time that any call may take.
    pub ceiling: Duration,
}

impl Around for EndAtDeadline {
    async fn around(&self, mut request: Request, inner: &impl Handler) -> Response {
        let record = record(&request);
        let deadline = Deadline::of_call(request.headers(), record.arrived(), self.ceiling);
        request.extensions_mut().insert(deadline);
        let exceeded = || refusal(&Error::DeadlineExceeded(deadline.limit), &record);
        // A future gets its first turn before its time is looked at.
        if deadline.remaining().is_zero() {
            return exceeded();
        }
        let answer = timeout_at(deadline.at, inner.handle(request)).await;
        let mut response = answer.unwrap_or_else(|_| exceeded());
        response.body_mut().end_at(deadline.at);
        response
    }
}
