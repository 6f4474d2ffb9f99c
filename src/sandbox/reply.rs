//! A scripted answer, well-behaved or not.

use std::time::Duration;

use bytes::Bytes;

/// What to do with one request. Answers carry `Date`, and `Content-Length` unless told otherwise;
/// a header set by hand stands in for the automatic one of that name.
#[derive(Clone, Debug)]
#[must_use]
pub struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    pub(super) chunked: bool,
    pub(super) delay: Duration,
    pub(super) pause: Duration,
    pub(super) ending: Ending,
}

/// How far an answer gets, and what becomes of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Complete,
    CloseOnNextRequest,
    CutAfter(usize),
    HangAfter(usize),
    Hang,
    Close,
    Raw,
}

impl Reply {
    /// An answer without a body.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
            chunked: false,
            delay: Duration::ZERO,
            pause: Duration::ZERO,
            ending: Ending::Complete,
        }
    }

    /// An answer with this body and `Content-Type: application/json`. The body is not checked.
    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self::new(status)
            .header("Content-Type", "application/json")
            .body(body)
    }

    /// Never answers. The connection stays open until the client closes it.
    pub fn hang() -> Self {
        Self::ending(Ending::Hang)
    }

    /// Closes the connection without a byte of answer.
    pub fn close() -> Self {
        Self::ending(Ending::Close)
    }

    /// Writes these bytes to the socket in place of an answer, then closes the connection.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self::ending(Ending::Raw).body(bytes)
    }

    /// Adds a header, sent as given, even if nonsense.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends the body with `Transfer-Encoding: chunked`, as Rocket.Chat does, so that the client
    /// does not learn its length beforehand.
    pub fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// Waits before the first byte, or before closing if there is none.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Writes the head, the body and the end of a chunked body one by one, with a pause between. Node
    /// does that too, if as a rule with a shorter one: who has read the head has not yet got the end.
    pub fn in_pieces(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Sends the head and this much of the body, then closes the connection. The head announces
    /// the whole body; of a chunked one the last chunk is missing even if all of it was sent.
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.ending = Ending::CutAfter(bytes);
        self
    }

    /// Like [`Reply::cut_after`], but leaves the connection open, silent.
    pub fn then_hang(mut self, bytes: usize) -> Self {
        self.ending = Ending::HangAfter(bytes);
        self
    }

    /// Answers in full and keeps the connection, then closes it without an answer when the next
    /// request arrives on it. So does Node when its idle timeout runs out under a client that is
    /// just sending again. That next request is seen, but uses up no scripted reply.
    pub fn then_close(mut self) -> Self {
        self.ending = Ending::CloseOnNextRequest;
        self
    }

    pub(super) fn has_header(&self, name: &str) -> bool {
        self.headers
            .iter()
            .any(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    pub(super) fn says_close(&self) -> bool {
        self.headers.iter().any(|(name, value)| {
            name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close")
        })
    }

    fn ending(ending: Ending) -> Self {
        Self {
            ending,
            ..Self::new(200)
        }
    }
}
