//! The spans of lookups: what stands between a call and its answer.

use opentelemetry::{
    KeyValue,
    trace::{Span as _, SpanBuilder, SpanKind},
};

use super::{Span, TraceContext, Tracer, fail};
use crate::{
    error::{Error, status::error_type},
    record::{Origin, Record},
    route::Route,
};

/// The span of a lookup.
#[derive(Debug)]
pub struct LookupSpan(Span);

impl Tracer {
    /// A lookup begins within `parent`.
    #[must_use]
    pub fn lookup(&self, parent: &TraceContext, route: &'static Route) -> LookupSpan {
        LookupSpan(self.span(parent, || {
            let span = SpanBuilder::from_name("lookup").with_kind(SpanKind::Internal);
            span.with_attributes([KeyValue::new("videoconf.route", route.name)])
        }))
    }
}

impl LookupSpan {
    /// Where in a trace it is; `None` if there is no span.
    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        self.0.context()
    }

    /// The lookup is over, with an answer unless there is an `error`, and with what `record` tells.
    pub fn end(mut self, record: &Record, error: Option<&Error>) {
        let Some(span) = self.0.recorded() else {
            return;
        };
        let answer = record.answer();
        if let Some((origin, age)) = answer {
            span.set_attribute(KeyValue::new("videoconf.source", origin.as_str()));
            span.set_attribute(KeyValue::new("videoconf.answer.age", age.as_secs_f64()));
        }
        if let Some(error) = error {
            fail(span, error_type(error));
        }
        if matches!(answer, Some((Origin::Memory, _))) {
            return;
        }
        let read = record.read();
        if read.attempts > 0 {
            let waited = read.waited.as_secs_f64();
            span.set_attribute(KeyValue::new("videoconf.turn.wait", waited));
        }
        // Its requests are to be found there.
        let reader = record.reader();
        if let Some(reader) = reader.span().filter(|it| *it != span.span_context()) {
            span.add_link(reader.clone(), Vec::new());
        }
    }
}
