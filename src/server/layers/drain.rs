//! Ends the calls that outlast the server's drain with a status instead of a torn connection.

use tokio_util::sync::CancellationToken;

use super::Concern;
use crate::{
    error::{Error, status::to_response},
    server::{Request, Response},
};

/// Answers UNAVAILABLE once the drain is over.
#[derive(Clone, Debug)]
pub struct EndWithDrain {
    /// Cancelled when the drain is over.
    pub over: CancellationToken,
}

impl Concern for EndWithDrain {
    type Call = CancellationToken;

    fn before(&self, _: &mut Request) -> CancellationToken {
        self.over.clone()
    }

    async fn around(
        over: CancellationToken,
        answer: impl Future<Output = Response> + Send + 'static,
    ) -> Response {
        over.run_until_cancelled(answer)
            .await
            .unwrap_or_else(|| to_response(&Error::ShuttingDown))
    }
}
