//! OpenTelemetry's collector, as far as it matters here: somebody who receives OTLP.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    io::Read,
    net::SocketAddr,
};

use flate2::read::GzDecoder;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Bytes, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::{AnyValue, KeyValue, any_value},
};
use prost::Message;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::task::AbortOnDropHandle;
use tonic::{
    codec::CompressionEncoding,
    transport::{Server, server::TcpIncoming},
};

use super::soon;

/// A collector, which gives up its port when it is dropped.
pub struct Collector {
    pub address: SocketAddr,
    received: watch::Receiver<Received>,
    _served: AbortOnDropHandle<()>,
}

/// All that came so far.
#[derive(Clone, Debug, Default)]
pub struct Received {
    pub spans: Vec<Span>,
    /// Whose they are.
    pub resource: BTreeMap<String, String>,
    /// All who sent something.
    pub instances: BTreeSet<String>,
    /// The names of metrics.
    pub metrics: Vec<String>,
    /// Requests as they came, decoded.
    pub raw: String,
    /// The heads of requests over HTTP.
    pub heads: Vec<String>,
}

/// A span, in words.
#[derive(Clone, Debug)]
pub struct Span {
    pub name: String,
    pub kind: &'static str,
    pub trace: String,
    pub id: String,
    /// Empty for none.
    pub parent: String,
    pub attributes: BTreeMap<String, String>,
    /// Traces and spans.
    pub links: Vec<(String, String)>,
    pub is_error: bool,
    pub nanos: u64,
}

#[derive(Clone)]
struct Desk(watch::Sender<Received>);

impl Collector {
    /// One that speaks gRPC.
    pub async fn grpc() -> Self {
        let desk = Desk(watch::Sender::default());
        let received = desk.0.subscribe();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let services = Server::builder()
            .add_service(
                TraceServiceServer::new(desk.clone()).accept_compressed(CompressionEncoding::Gzip),
            )
            .add_service(MetricsServiceServer::new(desk));
        let served = tokio::spawn(async move {
            let incoming = TcpIncoming::from(listener);
            services
                .serve_with_incoming(incoming)
                .await
                .expect("an end");
        });
        Self {
            address,
            received,
            _served: AbortOnDropHandle::new(served),
        }
    }

    /// One that speaks HTTP.
    pub async fn http() -> Self {
        let desk = Desk(watch::Sender::default());
        let received = desk.0.subscribe();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let served = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let desk = desk.clone();
                let service = service_fn(move |request| {
                    let desk = desk.clone();
                    async move { desk.answer(request).await }
                });
                let connection = http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(socket), service));
            }
        });
        Self {
            address,
            received,
            _served: AbortOnDropHandle::new(served),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until `is_it` holds for what was received.
    pub async fn wait_until(&self, is_it: impl Fn(&Received) -> bool) -> Received {
        let mut received = self.received.clone();
        let found = soon(received.wait_for(|it| is_it(it))).await;
        found.expect("a collector").clone()
    }

    /// Waits for `count` spans.
    pub async fn spans(&self, count: usize) -> Vec<Span> {
        self.wait_until(|it| it.spans.len() >= count).await.spans
    }

    pub fn so_far(&self) -> Received {
        self.received.borrow().clone()
    }
}

impl Received {
    fn come_from(&mut self, resource: BTreeMap<String, String>) {
        self.instances
            .insert(resource["service.instance.id"].clone());
        self.resource = resource;
    }

    fn add_traces(&mut self, request: ExportTraceServiceRequest) {
        write!(self.raw, "{request:?}").expect("memory");
        for resource in request.resource_spans {
            if let Some(resource) = resource.resource {
                self.come_from(words(resource.attributes));
            }
            let spans = resource.scope_spans.into_iter().flat_map(|it| it.spans);
            self.spans.extend(spans.map(|span| {
                Span {
                    kind: span.kind().as_str_name().trim_start_matches("SPAN_KIND_"),
                    name: span.name,
                    trace: hex(&span.trace_id),
                    id: hex(&span.span_id),
                    parent: hex(&span.parent_span_id),
                    attributes: words(span.attributes),
                    links: span
                        .links
                        .iter()
                        .map(|link| (hex(&link.trace_id), hex(&link.span_id)))
                        .collect(),
                    is_error: span.status.is_some_and(|it| it.code == 2),
                    nanos: span.end_time_unix_nano - span.start_time_unix_nano,
                }
            }));
        }
    }

    fn add_metrics(&mut self, request: ExportMetricsServiceRequest) {
        write!(self.raw, "{request:?}").expect("memory");
        for resource in request.resource_metrics {
            if let Some(resource) = resource.resource {
                self.come_from(words(resource.attributes));
            }
            let scopes = resource.scope_metrics.into_iter();
            let metrics = scopes.flat_map(|it| it.metrics);
            self.metrics.extend(metrics.map(|it| it.name));
        }
    }
}

impl Desk {
    async fn answer(
        &self,
        request: Request<hyper::body::Incoming>,
    ) -> Result<Response<Empty<Bytes>>, hyper::Error> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let body = match head.headers.get("content-encoding") {
            Some(packed) if packed == "gzip" => {
                let mut plain = Vec::new();
                let mut packed = GzDecoder::new(&*body);
                packed.read_to_end(&mut plain).expect("gzip");
                plain.into()
            }
            _ => body,
        };
        self.0.send_modify(|received| {
            received.heads.push(format!("{head:?}"));
            match head.uri.path() {
                "/v1/traces" => received.add_traces(decoded(body)),
                "/v1/metrics" => received.add_metrics(decoded(body)),
                path => panic!("{path}"),
            }
        });
        Ok(Response::new(Empty::new()))
    }
}

#[tonic::async_trait]
impl TraceService for Desk {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        self.0.send_modify(|it| it.add_traces(request.into_inner()));
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Desk {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, tonic::Status> {
        self.0
            .send_modify(|it| it.add_metrics(request.into_inner()));
        Ok(tonic::Response::new(ExportMetricsServiceResponse::default()))
    }
}

fn decoded<M: Message + Default>(body: Bytes) -> M {
    M::decode(body).expect("a message")
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

fn words(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let word = |it: KeyValue| (it.key, it.value.map(value).unwrap_or_default());
    attributes.into_iter().map(word).collect()
}

fn value(value: AnyValue) -> String {
    match value.value {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        Some(any_value::Value::DoubleValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}
