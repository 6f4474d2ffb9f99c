//! The body of an answer, with everything that lasts as long as it does.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Frame, SizeHint};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode, utf8_percent_encode};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Code, Status};

use super::{
    connection::Current,
    observed::{Observed, code_of},
    unread::Progress,
};
use crate::error::{
    Error,
    status::{refuse, to_status},
};

/// The longest message of a status, in bytes before its encoding. Libraries quote what a caller sent,
/// and a connection breaks if what comes back is more than its client takes for headers.
const MAX_MESSAGE: usize = 512;

/// How much is handed over at a time, in bytes. The library takes the next slice when what it has of the last
/// one fits the caller's window, so that this is what a slow caller is seen to take.
const SLICE: usize = 16 * 1024;

/// What isn't cut, in bytes, but handed over whole: it isn't worth a second frame.
const WHOLE: usize = 1024;

/// What is encoded in a message, beside what isn't ASCII.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

/// A body that always ends with a status: its own, that of a defect while it was made, or that of
/// the server's end.
#[derive(Debug, Default)]
pub struct Body {
    /// `None` after the last frame.
    inner: Option<tonic::body::Body>,
    /// What wasn't handed over yet of the last one.
    rest: Bytes,
    end: Option<End>,
    observed: Option<Observed>,
    place: Option<OwnedSemaphorePermit>,
    deadline: Option<Instant>,
    progress: Option<Arc<Progress>>,
    call: Option<Current>,
}

/// When a body that waits is ended.
#[derive(Debug)]
enum End {
    /// As nearly no body ever waits, that costs nothing until one does.
    Token(CancellationToken),
    Waiting(Pin<Box<WaitForCancellationFutureOwned>>),
}

impl Body {
    /// What `inner` says.
    #[must_use]
    pub fn new(inner: tonic::body::Body) -> Self {
        Self {
            inner: Some(inner),
            rest: Bytes::new(),
            end: None,
            observed: None,
            place: None,
            deadline: None,
            progress: None,
            call: None,
        }
    }

    /// Refuses the rest, once `token` is cancelled and nothing is there to be sent.
    pub(super) fn end_with(&mut self, token: CancellationToken) {
        self.end = Some(End::Token(token));
    }

    /// Holds the place of the call among those in flight.
    pub(super) fn hold(&mut self, place: OwnedSemaphorePermit) {
        self.place = Some(place);
    }

    /// The call should be over then.
    pub(super) fn end_at(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
    }

    /// When the call should be over, if that is known.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The call goes on until the end of this body.
    pub(super) fn keep(&mut self, call: Current) {
        self.call = Some(call);
    }

    /// Notes in `progress` whether it waits for its caller.
    pub(super) fn report(&mut self, progress: Arc<Progress>) {
        progress.begin(self.deadline);
        self.progress = Some(progress);
    }

    /// Ends `observed` with the status at the end.
    pub(super) fn observe(&mut self, observed: Observed) {
        self.observed = Some(observed);
    }

    /// Ends with `trailers`.
    fn finish(&mut self, trailers: &mut HeaderMap) {
        cut_message(trailers);
        self.end_with_code(code_of(trailers).unwrap_or(Code::Unknown));
    }

    fn end_with_code(&mut self, code: Code) {
        self.inner = None;
        self.place = None;
        if let Some(observed) = self.observed.take() {
            observed.end(code);
        }
    }

    fn refuse(&mut self, error: &Error) -> Frame<Bytes> {
        let status = match &self.observed {
            Some(observed) => refuse(error, observed.record()),
            None => to_status(error),
        };
        let mut trailers = HeaderMap::new();
        // Fails for a message that is no header, which those of our own errors are.
        let _ = status.add_header(&mut trailers);
        self.finish(&mut trailers);
        Frame::trailers(trailers)
    }

    fn poll_slice(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.rest.is_empty() {
            match ready!(self.poll_next(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        Poll::Ready(Some(Ok(Frame::data(next_slice(&mut self.rest)))))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(None);
        };
        // Messages are encoded here. Nothing of the inside is used after its panic.
        let polled = catch_unwind(AssertUnwindSafe(|| {
            http_body::Body::poll_frame(Pin::new(inner), cx)
        }));
        let mut polled = match polled {
            Ok(polled) => polled,
            Err(_panic) => return Poll::Ready(Some(Ok(self.refuse(&Error::Internal)))),
        };
        match &mut polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_mut() {
                    self.finish(trailers);
                }
            }
            Poll::Ready(Some(Err(status))) => self.end_with_code(status.code()),
            // No trailers, so no status.
            Poll::Ready(None) => self.end_with_code(Code::Unknown),
            Poll::Pending => {
                if self.end.as_mut().is_some_and(|end| end.has_come(cx)) {
                    return Poll::Ready(Some(Ok(self.refuse(&Error::ShuttingDown))));
                }
            }
        }
        polled
    }
}

impl End {
    /// Whether it has come; else the task is woken when it comes.
    fn has_come(&mut self, cx: &mut Context<'_>) -> bool {
        if let Self::Token(token) = self {
            *self = Self::Waiting(Box::pin(token.clone().cancelled_owned()));
        }
        match self {
            Self::Waiting(wait) => wait.as_mut().poll(cx).is_ready(),
            Self::Token(_) => false,
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = self.poll_slice(cx);
        if let Some(progress) = &self.progress {
            match polled {
                Poll::Ready(_) => progress.next_frame(),
                Poll::Pending => progress.wait(),
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Some(inner) => self.rest.is_empty() && inner.is_end_stream(),
            None => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Some(inner) => inner.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

/// The last slice is small: once the library takes it, all before it fits the caller's window, and no more
/// than it can be left with somebody who stops reading.
fn next_slice(rest: &mut Bytes) -> Bytes {
    match rest.len() {
        ..=WHOLE => std::mem::take(rest),
        length => rest.split_to((length - 1).min(SLICE)),
    }
}

/// Cuts the message of a status among `headers` to its limit.
pub(super) fn cut_message(headers: &mut HeaderMap) {
    if let Some(message) = headers.get_mut(Status::GRPC_MESSAGE)
        // It doesn't get shorter by its encoding.
        && message.len() > MAX_MESSAGE
        && let Some(cut) = cut(message.as_bytes())
    {
        *message = cut;
    }
}

/// The beginning of the encoded `message`, if it is too long.
fn cut(message: &[u8]) -> Option<HeaderValue> {
    let message = percent_decode(message).decode_utf8_lossy();
    if message.len() <= MAX_MESSAGE {
        return None;
    }
    let beginning = &message[..message.floor_char_boundary(MAX_MESSAGE)];
    let cut = format!("{beginning}…");
    HeaderValue::try_from(utf8_percent_encode(&cut, ENCODED).to_string()).ok()
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;
    use http_body_util::BodyExt;

    use super::*;

    #[test]
    fn what_is_large_is_handed_over_in_slices() {
        for (length, slices) in [
            (0, &[][..]),
            (1, &[1]),
            (WHOLE, &[WHOLE]),
            (WHOLE + 1, &[WHOLE, 1]),
            (SLICE + 1, &[SLICE, 1]),
            (SLICE + WHOLE, &[SLICE, WHOLE]),
            (3 * SLICE, &[SLICE, SLICE, SLICE - 1, 1]),
        ] {
            let mut rest = Bytes::from(vec![1; length]);
            let mut found = Vec::new();
            while !rest.is_empty() {
                found.push(next_slice(&mut rest).len());
            }
            assert_eq!(found, slices, "{length}");
        }
    }

    fn cut_of(message: &str) -> String {
        let encoded = utf8_percent_encode(message, ENCODED).to_string();
        let mut headers = HeaderMap::new();
        headers.insert(Status::GRPC_MESSAGE, encoded.parse().unwrap());
        cut_message(&mut headers);
        let cut = percent_decode(headers[Status::GRPC_MESSAGE].as_bytes());
        cut.decode_utf8().unwrap().into_owned()
    }

    #[test]
    fn only_long_messages_are_cut_and_only_between_characters() {
        for short in [String::new(), "a".repeat(512), "é".repeat(256)] {
            assert_eq!(cut_of(&short), short);
        }
        assert_eq!(cut_of(&"%".repeat(513)), "%".repeat(512) + "…");
        assert_eq!(
            cut_of(&format!("a{}", "é".repeat(300))),
            format!("a{}…", "é".repeat(255))
        );
    }

    /// Does `next` for each frame.
    struct Scripted<F>(F);

    impl<F> http_body::Body for Scripted<F>
    where
        F: FnMut() -> Poll<Option<Result<Frame<Bytes>, Status>>> + Unpin,
    {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            (self.0)()
        }
    }

    fn body(
        next: impl FnMut() -> Poll<Option<Result<Frame<Bytes>, Status>>> + Send + Unpin + 'static,
    ) -> Body {
        Body::new(tonic::body::Body::new(Scripted(next)))
    }

    /// The code with which `body` ends.
    async fn code_at_end(body: Body) -> Option<Code> {
        let collected = body.collect().await.unwrap();
        collected.trailers().and_then(code_of)
    }

    #[tokio::test]
    async fn a_panic_while_a_message_is_encoded_is_a_status() {
        assert_eq!(
            code_at_end(body(|| panic!("a defect"))).await,
            Some(Code::Internal)
        );
    }

    #[test]
    fn a_body_that_waits_ends_with_the_token() {
        let token = CancellationToken::new();
        let mut waiting = body(|| Poll::Pending);
        waiting.end_with(token.clone());
        let end = code_at_end(waiting);
        let mut end = pin!(end);
        assert_eq!(end.as_mut().now_or_never(), None);
        token.cancel();
        assert_eq!(end.now_or_never(), Some(Some(Code::Unavailable)));
    }

    #[test]
    fn what_is_there_comes_before_the_end() {
        let token = CancellationToken::new();
        token.cancel();
        let mut frames = vec![
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"b"))))),
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"a"))))),
        ];
        let mut ending = body(move || frames.pop().unwrap_or(Poll::Pending));
        ending.end_with(token);
        let collected = ending.collect().now_or_never().expect("an end").unwrap();
        let code = collected.trailers().and_then(code_of);
        assert_eq!(code, Some(Code::Unavailable));
        assert_eq!(collected.to_bytes(), "ab");
    }
}
