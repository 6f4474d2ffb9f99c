//! The spans of lookups: what stands between a call and its answer.

use opentelemetry::{
    KeyValue,
    trace::{Span as _, SpanBuilder, SpanKind},
};

use super::{Span, Tracer, fail};
use crate::{
    error::{
        Error,
        status::{GIVEN_UP, error_type},
    },
    record::{Origin, Record},
    route::Route,
};

/// The span of a lookup. One that is dropped was given up: its caller has left, or its time was over.
#[derive(Debug)]
pub struct LookupSpan {
    span: Span,
    record: Record,
    error_type: Option<&'static str>,
}

impl Tracer {
    /// A lookup begins, for the call with this `record`, within which all that happens now is within the span.
    #[must_use]
    pub fn lookup(&self, record: &Record, route: &'static Route) -> Option<LookupSpan> {
        self.spans.as_ref()?;
        let span = self.span(&record.trace(), || {
            let span = SpanBuilder::from_name("lookup").with_kind(SpanKind::Internal);
            span.with_attributes([KeyValue::new("videoconf.route", route.name)])
        });
        record.is_within(span.context()?);
        Some(LookupSpan {
            span,
            record: record.clone(),
            error_type: Some(GIVEN_UP),
        })
    }
}

impl LookupSpan {
    /// The lookup is over, with an answer unless there is an `error`.
    pub fn end(mut self, error: Option<&Error>) {
        self.error_type = error.map(error_type);
    }
}

impl Drop for LookupSpan {
    fn drop(&mut self) {
        let Some(span) = self.span.recorded() else {
            return;
        };
        let answer = self.record.answer();
        if let Some((origin, age)) = answer {
            span.set_attribute(KeyValue::new("videoconf.source", origin.as_str()));
            span.set_attribute(KeyValue::new("videoconf.answer.age", age.as_secs_f64()));
        }
        if let Some(error_type) = self.error_type {
            fail(span, error_type);
        }
        if matches!(answer, Some((Origin::Memory, _))) {
            return;
        }
        let read = self.record.read();
        if read.attempts > 0 {
            let waited = read.waited.as_secs_f64();
            span.set_attribute(KeyValue::new("videoconf.turn.wait", waited));
        }
        // Its requests are to be found there.
        let reader = self.record.reader();
        if let Some(reader) = reader.span().filter(|it| *it != span.span_context()) {
            span.add_link(reader.clone(), Vec::new());
        }
    }
}
