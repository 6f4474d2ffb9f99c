//! Ends the calls that outlast the server's drain with a status instead of a torn connection.

use tokio_util::sync::CancellationToken;

use super::{Around, record, refusal};
use crate::{
    error::Error,
    server::{Drain, Handler, Request, Response},
};

/// Answers UNAVAILABLE once the drain is over. Answers that have begun, which are streams, hear that
/// as soon as it begins: they have no end of their own to be waited for.
#[derive(Clone, Debug)]
pub struct EndWithDrain {
    begun: CancellationToken,
    over: CancellationToken,
}

impl EndWithDrain {
    /// Ends calls as `drain` says.
    #[must_use]
    pub fn new(drain: &Drain) -> Self {
        Self {
            begun: drain.begun.clone(),
            over: drain.over.clone(),
        }
    }
}

impl Around for EndWithDrain {
    async fn around(&self, request: Request, inner: &impl Handler) -> Response {
        let record = record(&request);
        let answer = self.over.run_until_cancelled(inner.handle(request));
        match answer.await {
            Some(mut response) => {
                response.body_mut().end_with(self.begun.clone());
                response
            }
            None => refusal(&Error::ShuttingDown, &record),
        }
    }
}
