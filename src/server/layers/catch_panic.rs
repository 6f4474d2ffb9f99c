//! Turns a panic into one failed call. The panic hook has logged it by then.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use super::{Around, record, refusal};
use crate::{
    error::Error,
    server::{Handler, Request, Response},
};

/// Answers INTERNAL where what is inside panics. What panics while the body is made is caught in
/// the body.
#[derive(Clone, Copy, Debug)]
pub struct CatchPanic;

impl Around for CatchPanic {
    async fn around(&self, request: Request, inner: &impl Handler) -> Response {
        let record = record(&request);
        // Nothing of a call is used after its panic, so nothing can be seen half done.
        let answer = AssertUnwindSafe(async { inner.handle(request).await }).catch_unwind();
        answer
            .await
            .unwrap_or_else(|_panic| refusal(&Error::Internal, &record))
    }
}
