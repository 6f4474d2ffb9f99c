//! Lets nothing in that isn't a call.

use http::{HeaderValue, Method, StatusCode, header};
use tonic::{Code, Status};

use super::Around;
use crate::server::{Handler, Request, Response};

/// Answers 405 to everything but POST, which is how gRPC sends its calls. A GET that was served
/// would be a read that some proxy or browser made on its own.
#[derive(Clone, Copy, Debug)]
pub struct PostOnly;

impl Around for PostOnly {
    async fn around(&self, request: Request, inner: &impl Handler) -> Response {
        if request.method() == Method::POST {
            return inner.handle(request).await;
        }
        let mut response = Response::default();
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        // For those who look for gRPC's status all the same.
        let code = HeaderValue::from(Code::Unimplemented as i32);
        response.headers_mut().extend([
            (header::ALLOW, HeaderValue::from_static("POST")),
            (Status::GRPC_STATUS, code),
        ]);
        response
    }
}
