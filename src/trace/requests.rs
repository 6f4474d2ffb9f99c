//! The spans of requests to Rocket.Chat.

use std::sync::Arc;

use opentelemetry::{
    KeyValue,
    trace::{Span as _, SpanBuilder, SpanKind},
};

use super::{Span, TraceContext, Tracer, fail};
use crate::{
    error::status::{GIVEN_UP, error_type},
    exchange::Exchange,
    journal::Journal,
    route::Route,
};

/// Where requests go.
#[derive(Clone, Debug)]
pub struct Target {
    /// The URL, without what isn't for everybody: neither its path before the API, nor its query.
    pub url: String,
    /// The server's name or address.
    pub host: String,
    /// The server's port.
    pub port: u16,
}

/// Makes the spans of requests to a route. Clones are the same.
#[derive(Clone, Debug)]
pub struct Requests {
    tracer: Tracer,
    route: &'static Route,
    target: Arc<Target>,
}

/// The span of a request. One that is dropped was given up.
#[derive(Debug)]
pub struct RequestSpan(Span);

impl Requests {
    /// Makes them with `tracer`, for requests to `route` at `target`.
    #[must_use]
    pub fn new(tracer: Tracer, route: &'static Route, target: Target) -> Self {
        Self {
            tracer,
            route,
            target: Arc::new(target),
        }
    }

    /// A request begins within `parent`, the newest one of those in `journal`.
    #[must_use]
    pub fn begin(&self, parent: &TraceContext, journal: &Journal) -> RequestSpan {
        RequestSpan(self.tracer.span(parent, || {
            let Target { url, host, port } = &*self.target;
            let (verb, name) = (&self.route.verb, self.route.name);
            let mut attributes = vec![
                KeyValue::new("http.request.method", verb.to_string()),
                KeyValue::new("url.template", self.route.url_template()),
                KeyValue::new("url.full", url.clone()),
                KeyValue::new("server.address", host.clone()),
                KeyValue::new("server.port", i64::from(*port)),
            ];
            let again = i64::from(journal.read().attempts) - 1;
            if again > 0 {
                attributes.push(KeyValue::new("http.request.resend_count", again));
            }
            let span = SpanBuilder::from_name(format!("{verb} {name}"));
            span.with_kind(SpanKind::Client).with_attributes(attributes)
        }))
    }
}

impl RequestSpan {
    /// Where in a trace it is; `None` if there is no span.
    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        self.0.context()
    }

    /// It is over, with what came back.
    pub fn end<T>(mut self, exchange: &Exchange<T>) {
        let span = self.0.0.take();
        let mut span = Span(span);
        let Some(span) = span.recorded() else {
            return;
        };
        if let Some(head) = exchange.head {
            let status = i64::from(head.status);
            span.set_attribute(KeyValue::new("http.response.status_code", status));
        }
        if let Err(error) = &exchange.result {
            fail(span, error_type(error));
        }
    }
}

impl Drop for RequestSpan {
    fn drop(&mut self) {
        if let Some(span) = self.0.recorded() {
            fail(span, GIVEN_UP);
        }
    }
}
