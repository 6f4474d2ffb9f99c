//! Turns a panic into one failed call. The panic hook has logged it by then.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use super::Concern;
use crate::{
    error::{Error, status::to_response},
    server::{Request, Response},
};

/// Answers INTERNAL where what is inside panics.
#[derive(Clone, Copy, Debug)]
pub struct CatchPanic;

impl Concern for CatchPanic {
    type Call = ();

    fn before(&self, _: &mut Request) {}

    async fn around((): (), answer: impl Future<Output = Response> + Send + 'static) -> Response {
        // Nothing of a call is used after its panic, so nothing can be seen half done.
        let answer = AssertUnwindSafe(answer).catch_unwind();
        answer
            .await
            .unwrap_or_else(|_panic| to_response(&Error::Internal))
    }
}
