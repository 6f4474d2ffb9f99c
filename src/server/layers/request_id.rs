//! Gives every call a name that the caller, the access line and the answer share.

use http::{HeaderName, HeaderValue};

use super::Around;
use crate::server::{Handler, Request, Response};

/// The metadata key.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Takes `x-request-id` from the caller, or makes one, and returns it.
#[derive(Clone, Copy, Debug)]
pub struct RequestId {
    /// The longest id that is taken from a caller; a longer one is replaced.
    pub max_bytes: usize,
}

/// The id of a call, an extension of its request: printable ASCII.
#[derive(Clone, Debug)]
pub struct Id(HeaderValue);

impl Around for RequestId {
    async fn around(&self, mut request: Request, inner: &impl Handler) -> Response {
        let id = Id::of_call(&request, self.max_bytes);
        request.extensions_mut().insert(id.clone());
        let mut response = inner.handle(request).await;
        response.headers_mut().insert(X_REQUEST_ID, id.0);
        response
    }
}

impl Id {
    /// The caller's id if it is fit for logs, else a new one.
    fn of_call(request: &Request, max_bytes: usize) -> Self {
        let fit = |value: &&HeaderValue| {
            let bytes = value.as_bytes();
            (1..=max_bytes).contains(&bytes.len())
                && bytes.iter().all(|byte| (0x20..=0x7E).contains(byte))
        };
        Self(match request.headers().get(X_REQUEST_ID).filter(fit) {
            Some(value) => value.clone(),
            None => fresh(),
        })
    }

    /// The id as it is.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

fn fresh() -> HeaderValue {
    // It names a call and guards nothing, so that the system needn't be asked for randomness.
    let id = format!("{:032x}", fastrand::u128(..));
    // Thirty-two hexadecimal digits are a header value.
    HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("-"))
}
