//! Lets nothing in that isn't a call.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use http_body_util::Full;
use tonic::{Code, Status};

use super::Around;
use crate::server::{Body, Handler, Request, Response};

/// How the content type of a call begins.
const GRPC: &[u8] = b"application/grpc";

/// Answers 405 to everything but POST, which is how gRPC sends its calls, 415 to what doesn't say that it is
/// gRPC, and 505 to what says so over HTTP/1, in words for whoever is there. A GET or a form that was served
/// would be a read that some proxy or browser made on its own.
#[derive(Clone, Copy, Debug)]
pub struct GrpcOnly;

impl Around for GrpcOnly {
    async fn around(&self, request: Request, inner: &impl Handler) -> Response {
        if request.method() != Method::POST {
            let is_head = request.method() == Method::HEAD;
            let words = if is_head {
                ""
            } else {
                "This is a gRPC server: a call is a POST.\n"
            };
            let mut response = not_a_call(StatusCode::METHOD_NOT_ALLOWED, words);
            let post = HeaderValue::from_static("POST");
            response.headers_mut().insert(header::ALLOW, post);
            response
        } else if !is_grpc(request.headers()) {
            let words = "This is a gRPC server: a call has the content type application/grpc.\n";
            not_a_call(StatusCode::UNSUPPORTED_MEDIA_TYPE, words)
        } else if request.version() < Version::HTTP_2 {
            let words = "gRPC is spoken over HTTP/2 only; over HTTP/1 there is gRPC-Web.\n";
            not_a_call(StatusCode::HTTP_VERSION_NOT_SUPPORTED, words)
        } else {
            inner.handle(request).await
        }
    }
}

/// Whether the content type is gRPC's, with or without a suffix (`+proto`) or parameters. That of
/// gRPC-Web, which frames its answers in another way, isn't.
fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type.map_or(&b""[..], HeaderValue::as_bytes);
    content_type
        .split_at_checked(GRPC.len())
        .is_some_and(|(name, rest)| {
            name.eq_ignore_ascii_case(GRPC)
                && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
        })
}

fn not_a_call(http_status: StatusCode, words: &'static str) -> Response {
    let words = Full::new(Bytes::from_static(words.as_bytes()));
    let mut response = Response::new(Body::new(tonic::body::Body::new(words)));
    *response.status_mut() = http_status;
    let headers = response.headers_mut();
    let text = HeaderValue::from_static("text/plain");
    headers.insert(header::CONTENT_TYPE, text);
    // For those who look for gRPC's status all the same.
    let code = HeaderValue::from(Code::Unimplemented as i32);
    headers.insert(Status::GRPC_STATUS, code);
    response
}
