//! Traces: where in one something happens, and what makes its spans. Who receives them is `telemetry`'s.
//!
//! A call has a span, the lookup of its answer another one below that, and each request to Rocket.Chat one below
//! the lookup that began the read. Their names and attributes stand in the files below.

mod context;
mod lookups;
mod requests;
mod rpcs;

use http::HeaderMap;
use opentelemetry::{
    KeyValue,
    trace::{Span as _, SpanBuilder, Status, Tracer as _},
};
use opentelemetry_sdk::trace::{SdkTracer, Span as SdkSpan};

pub use context::TraceContext;
pub use lookups::LookupSpan;
pub use requests::{RequestSpan, Requests, Target};
pub use rpcs::RpcSpan;

/// What of an error is for machines, as OpenTelemetry has it.
const ERROR_TYPE: &str = "error.type";

/// Makes spans. Clones make them for the same receiver.
#[derive(Clone, Debug)]
pub struct Tracer {
    /// `None` if nobody receives any.
    spans: Option<SdkTracer>,
    /// Whether callers may say in which trace they are.
    reads_callers: bool,
}

/// A span that isn't over, or none. It ends when it is dropped.
#[derive(Debug)]
struct Span(Option<Box<SdkSpan>>);

impl Tracer {
    /// Makes spans with `spans`, if anybody receives them, within the traces of callers if `reads_callers`.
    #[must_use]
    pub fn new(spans: Option<SdkTracer>, reads_callers: bool) -> Self {
        Self {
            spans,
            reads_callers,
        }
    }

    /// Makes none. What callers say of their traces is read all the same.
    #[must_use]
    pub fn off() -> Self {
        Self::new(None, true)
    }

    /// In which trace the caller with these headers is.
    #[must_use]
    pub fn context_of(&self, headers: &HeaderMap) -> TraceContext {
        if self.reads_callers {
            TraceContext::read(headers)
        } else {
            TraceContext::default()
        }
    }

    /// A span within `parent`; `make` is only asked if somebody receives spans.
    fn span(&self, parent: &TraceContext, make: impl FnOnce() -> SpanBuilder) -> Span {
        let begin = |spans: &SdkTracer| spans.build_with_context(make(), &parent.as_parent());
        Span(self.spans.as_ref().map(begin).map(Box::new))
    }
}

impl Span {
    /// Where in a trace it is; `None` if there is no span.
    fn context(&self) -> Option<TraceContext> {
        let span = self.0.as_ref()?;
        Some(TraceContext::new(span.span_context().clone()))
    }

    /// The span, unless it isn't among those that are recorded.
    fn recorded(&mut self) -> Option<&mut SdkSpan> {
        let span = self.0.as_deref_mut();
        span.filter(|it| it.is_recording())
    }
}

/// Says of a span what went wrong.
fn fail(span: &mut SdkSpan, error_type: &'static str) {
    span.set_attribute(KeyValue::new(ERROR_TYPE, error_type));
    span.set_status(Status::error(""));
}
