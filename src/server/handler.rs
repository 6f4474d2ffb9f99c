//! What answers requests: the RPCs themselves, and each layer around them.

use std::convert::Infallible;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream;
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use http_body_util::StreamBody;
use tonic::{Code, Status, service::Routes};
use tower::Service;

use super::{Body, Request, Response, body::cut_message};
use crate::proto::Parts;

/// Answers requests. Nothing happens before the future is polled, so that whatever guards the
/// future guards all of it.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. Dropping the future tells that nobody waits any more.
    fn handle(&self, request: Request) -> impl Future<Output = Response> + Send;
}

/// The RPCs, innermost of all.
#[derive(Clone, Debug)]
pub struct Routed(Routes);

impl Routed {
    /// The RPCs of `routes`.
    #[must_use]
    pub fn new(routes: Routes) -> Self {
        Self(routes.prepare())
    }
}

impl Handler for Routed {
    async fn handle(&self, request: Request) -> Response {
        let answer: Result<_, Infallible> = self.0.clone().call(request).await;
        let Ok(mut response) = answer;
        cut_message(response.headers_mut());
        if let Some(parts) = response.extensions_mut().remove() {
            *response.body_mut() = sent_in_parts(parts);
        }
        response.map(Body::new)
    }
}

/// A message as gRPC frames it, and the status OK after it.
fn sent_in_parts(Parts(parts): Parts) -> tonic::body::Body {
    let length: usize = parts.iter().map(Bytes::len).sum();
    let mut prefix = BytesMut::with_capacity(5);
    prefix.put_u8(0); // not compressed
    prefix.put_u32(u32::try_from(length).expect("a message within gRPC's limit"));
    let ok = HeaderValue::from(Code::Ok as i32);
    let trailers = HeaderMap::from_iter([(Status::GRPC_STATUS, ok)]);
    let [before, shared, after] = parts;
    let frames = [prefix.freeze(), before, shared, after].map(Frame::data);
    let frames = frames.into_iter().chain([Frame::trailers(trailers)]);
    tonic::body::Body::new(StreamBody::new(stream::iter(frames.map(Ok::<_, Status>))))
}
