//! The spans of calls.

use std::net::SocketAddr;

use opentelemetry::{
    Array, KeyValue, StringValue, Value,
    trace::{Span as _, SpanBuilder, SpanKind, Status},
};
use tonic::Code;

use super::{ERROR_TYPE, Span, TraceContext, Tracer};
use crate::{
    error::status::{code_name, wire_name},
    metrics::{Method, OTHER},
    record::Record,
};

/// What is probed. That begins no trace: there would be nothing but probes to look at.
const PROBED: &str = "grpc.health.v1.Health";

/// The span of a call.
#[derive(Debug)]
pub struct RpcSpan(Span);

impl Tracer {
    /// A call arrives from within `caller`, of `method` if there is such a one.
    #[must_use]
    pub fn rpc(&self, caller: &TraceContext, method: Option<&Method>) -> RpcSpan {
        // Neither does a method that doesn't exist, which some probes ask for, too, and strangers.
        let begins_none = method.is_none_or(|it| it.service == PROBED);
        if begins_none && caller.is_none() {
            return RpcSpan(Span(None));
        }
        RpcSpan(self.span(caller, || {
            let name = method.map(Method::full_name);
            // As OpenTelemetry has it: the system's name where there is no method.
            let span = SpanBuilder::from_name(name.clone().unwrap_or_else(|| "grpc".to_owned()));
            span.with_kind(SpanKind::Server).with_attributes([
                KeyValue::new("rpc.system.name", "grpc"),
                KeyValue::new("rpc.method", name.unwrap_or_else(|| OTHER.to_owned())),
            ])
        }))
    }
}

impl RpcSpan {
    /// Where in a trace it is; `None` if there is no span.
    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        self.0.context()
    }

    /// The call is over, with `code` and what `record` tells.
    pub fn end(
        &mut self,
        code: Code,
        record: &Record,
        request_id: Option<&str>,
        peer: Option<SocketAddr>,
    ) {
        let Some(span) = self.0.recorded() else {
            return;
        };
        let name = code_name(code);
        span.set_attribute(KeyValue::new("rpc.response.status_code", name));
        if let Some(id) = request_id {
            let ids = Value::Array(Array::String(vec![StringValue::from(id.to_owned())]));
            span.set_attribute(KeyValue::new("rpc.request.metadata.x-request-id", ids));
        }
        if let Some(peer) = peer {
            let address = peer.ip().to_canonical().to_string();
            span.set_attribute(KeyValue::new("network.peer.address", address));
            span.set_attribute(KeyValue::new("network.peer.port", i64::from(peer.port())));
        }
        if code == Code::Ok {
            return;
        }
        span.set_attribute(KeyValue::new(ERROR_TYPE, name));
        if is_servers_fault(code) {
            span.set_status(Status::error(""));
        }
        if let Some(refusal) = record.refusal() {
            span.set_attribute(KeyValue::new("videoconf.reason", wire_name(refusal.reason)));
            if let Some(problem) = refusal.problem {
                span.set_attribute(KeyValue::new("videoconf.problem", problem));
            }
        }
    }
}

/// Which codes are errors of a server's span, by OpenTelemetry's conventions.
fn is_servers_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}
