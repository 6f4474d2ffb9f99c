//! Ends a call at its deadline with the status that gRPC has for it.
//!
//! tonic's own timeout answers CANCELLED, and stands outside of every layer.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::Concern;
use crate::{
    deadline::Deadline,
    error::{Error, status::to_response},
    server::{Request, Response},
};

/// Bounds the time until an answer begins: the caller's `grpc-timeout` under `ceiling`. Streams
/// that have begun go on.
#[derive(Clone, Copy, Debug)]
pub struct EndAtDeadline {
    /// The longest time that any call may take.
    pub ceiling: Duration,
}

impl Concern for EndAtDeadline {
    type Call = Deadline;

    fn before(&self, request: &mut Request) -> Deadline {
        let deadline = Deadline::of_call(request.headers(), Instant::now(), self.ceiling);
        request.extensions_mut().insert(deadline);
        deadline
    }

    async fn around(
        deadline: Deadline,
        answer: impl Future<Output = Response> + Send + 'static,
    ) -> Response {
        timeout_at(deadline.at, answer)
            .await
            .unwrap_or_else(|_| to_response(&Error::DeadlineExceeded(deadline.limit)))
    }
}
