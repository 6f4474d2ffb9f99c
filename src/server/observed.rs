//! A call from its arrival to its end, and all who want to know of it: metrics, traces and the access log.

use std::net::SocketAddr;

use http::{HeaderMap, Uri};
use tokio::time::Instant;
use tonic::{Code, Status};

use super::{AccessLog, Methods, Request, access_log::Line, layers::Id};
use crate::{
    metrics::{Rpc, Rpcs},
    record::Record,
    trace::{RpcSpan, Tracer},
};

/// Who wants to know of calls.
#[derive(Clone, Debug)]
pub struct Observers {
    /// The methods that they name, and no others.
    pub methods: Methods,
    /// Measures calls of these.
    pub rpcs: Rpcs,
    /// Makes their spans.
    pub tracer: Tracer,
    /// Writes their lines.
    pub log: AccessLog,
}

/// A call that isn't over. One that is dropped was cancelled: the caller has gone.
#[derive(Debug)]
pub struct Observed {
    log: AccessLog,
    uri: Uri,
    is_known: bool,
    request_id: Option<Id>,
    peer: Option<SocketAddr>,
    record: Record,
    rpc: Rpc,
    span: RpcSpan,
    /// How it ended.
    code: Code,
}

impl Observers {
    /// A call arrives: its record begins, which it carries with it.
    pub(super) fn begin(&self, request: &mut Request) -> Observed {
        let place = self.methods.find(request.uri().path());
        let method = place.map(|it| &self.methods.all()[it]);
        let context = self.tracer.context_of(request.headers());
        let request_id: Option<Id> = request.extensions().get().cloned();
        let span = self.tracer.rpc(&context, method);
        let record = Record::begin(Instant::now());
        record.is_within(span.context().unwrap_or(context));
        request.extensions_mut().insert(record.clone());
        Observed {
            log: self.log.clone(),
            uri: request.uri().clone(),
            is_known: place.is_some(),
            request_id,
            peer: request.extensions().get().copied(),
            record,
            rpc: self.rpcs.begin(place),
            span,
            code: Code::Cancelled,
        }
    }
}

impl Observed {
    /// The record of the call.
    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    /// The call is over with this code.
    pub(super) fn end(mut self, code: Code) {
        self.code = code;
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        let request_id = self.request_id.as_ref().map(Id::as_str);
        let time = self.record.arrived().elapsed();
        self.rpc.end(self.code, time, &self.record);
        self.span
            .end(self.code, &self.record, request_id, self.peer);
        self.log.write(&Line {
            path: self.uri.path(),
            is_known: self.is_known,
            code: self.code,
            record: &self.record,
            request_id,
            peer: self.peer,
        });
    }
}

/// The code among the headers or trailers with which a call is over.
pub(super) fn code_of(headers: &HeaderMap) -> Option<Code> {
    headers
        .get(Status::GRPC_STATUS)
        .map(|value| Code::from_bytes(value.as_bytes()))
}
