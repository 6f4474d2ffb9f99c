//! Writes one access line for every RPC, refused, cancelled and streaming ones included.

use std::{
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, Uri};
use http_body::{Frame, SizeHint};
use tonic::{Code, Status, body::Body};

use super::{Concern, request_id::Id};
use crate::{
    error::status::{self, Refusal},
    journal::Journal,
    server::{Request, Response},
};

/// The path of a watch of health.
const HEALTH_WATCH: &str = "/grpc.health.v1.Health/Watch";

/// Observes every RPC.
#[derive(Clone, Copy, Debug)]
pub struct Observe;

/// A call that isn't over, for its access line. One that is dropped was cancelled: the caller has gone.
pub struct Call {
    uri: Uri,
    request_id: Option<Id>,
    peer: Option<SocketAddr>,
    journal: Journal,
    started: Instant,
    /// How it ended.
    code: Code,
    refusal: Option<Refusal>,
}

/// The body of an answer whose status comes at its end.
struct ObservedBody {
    inner: Body,
    call: Option<Call>,
}

impl Concern for Observe {
    type Call = Call;

    fn before(&self, request: &mut Request) -> Call {
        let call = Call {
            uri: request.uri().clone(),
            request_id: request.extensions().get().cloned(),
            peer: request.extensions().get().copied(),
            journal: Journal::default(),
            started: Instant::now(),
            code: Code::Cancelled,
            refusal: None,
        };
        request.extensions_mut().insert(call.journal.clone());
        call
    }

    async fn around(
        call: Call,
        answer: impl Future<Output = Response> + Send + 'static,
    ) -> Response {
        let response = answer.await;
        if let Some(status) = response.extensions().get::<Status>() {
            call.end(status.code(), status::refusal(status));
            return response;
        }
        if let Some(code) = code_of(response.headers()) {
            call.end(code, None);
            return response;
        }
        response.map(|inner| {
            Body::new(ObservedBody {
                inner,
                call: Some(call),
            })
        })
    }
}

impl Call {
    /// The call is over, and its line is written.
    fn end(mut self, code: Code, refusal: Option<Refusal>) {
        self.code = code;
        self.refusal = refusal;
    }
}

impl ObservedBody {
    fn end(&mut self, code: Code) {
        if let Some(call) = self.call.take() {
            call.end(code, None);
        }
    }
}

impl http_body::Body for ObservedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    self.end(code_of(trailers).unwrap_or(Code::Unknown));
                }
            }
            Some(Err(status)) => self.end(status.code()),
            None => self.end(Code::Unknown),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let upstream = self.journal.upstream();
        macro_rules! access_line {
            ($level:ident) => {
                tracing::event!(
                    target: "access",
                    tracing::Level::$level,
                    method = self.uri.path(),
                    code = status::code_name(self.code),
                    reason = self.refusal.as_ref().map(|refusal| refusal.reason.as_str()),
                    problem = self.refusal.as_ref().and_then(|refusal| refusal.problem.as_deref()),
                    ms = millis(self.started.elapsed()),
                    upstream_ms = (upstream.attempts > 0).then(|| millis(upstream.elapsed)),
                    upstream_status = upstream.http_status,
                    upstream_attempts = (upstream.attempts > 1).then_some(upstream.attempts),
                    request_id = self.request_id.as_ref().map(Id::as_str),
                    peer = self.peer.map(tracing::field::display),
                )
            };
        }
        // Answers from memory, reflection and probes would drown the rest. A watch of health has no
        // other end than its caller's leaving.
        let is_watch = self.code == Code::Cancelled && self.uri.path() == HEALTH_WATCH;
        let is_routine = upstream.attempts == 0 && (self.code == Code::Ok || is_watch);
        if is_routine {
            access_line!(DEBUG);
        } else {
            access_line!(INFO);
        }
    }
}

fn code_of(headers: &HeaderMap) -> Option<Code> {
    headers
        .get(Status::GRPC_STATUS)
        .map(|value| Code::from_bytes(value.as_bytes()))
}

/// To the microsecond.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
