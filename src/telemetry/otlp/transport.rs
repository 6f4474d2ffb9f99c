//! What carries deliveries to a receiver.

use std::{error::Error, iter::successors, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use hyper_rustls::{DefaultServerNameResolver, HttpsConnector};
use hyper_util::client::legacy::connect::HttpConnector;
use opentelemetry_http::{HttpClient, HttpError, hyper::HyperClient};
use opentelemetry_otlp::{
    Compression, ExporterBuildError, MetricExporter, SpanExporter, WithExportConfig,
    WithHttpConfig, WithTonicConfig,
};
use tokio::runtime::Handle;
use tonic::{
    metadata::MetadataMap,
    transport::{Channel, Endpoint},
};

use super::{Protocol, Receiver};

/// Delivers spans to `receiver`.
///
/// # Errors
/// Why that can't be done.
pub fn span_exporter(receiver: &Receiver) -> Result<SpanExporter, String> {
    let builder = SpanExporter::builder();
    built(match receiver.protocol {
        Protocol::Grpc => over_grpc(builder.with_tonic(), receiver)?.build(),
        Protocol::Http => over_http(builder.with_http(), receiver).build(),
    })
}

/// Delivers metrics to `receiver`.
///
/// # Errors
/// Why that can't be done.
pub fn metric_exporter(receiver: &Receiver) -> Result<MetricExporter, String> {
    let builder = MetricExporter::builder();
    built(match receiver.protocol {
        Protocol::Grpc => over_grpc(builder.with_tonic(), receiver)?.build(),
        Protocol::Http => over_http(builder.with_http(), receiver).build(),
    })
}

fn built<E>(exporter: Result<E, ExporterBuildError>) -> Result<E, String> {
    exporter.map_err(|error| error.to_string())
}

fn over_grpc<B: WithExportConfig + WithTonicConfig>(
    builder: B,
    receiver: &Receiver,
) -> Result<B, String> {
    let builder = builder
        .with_channel(channel(receiver)?)
        .with_metadata(MetadataMap::from_headers(receiver.headers.clone()))
        .with_timeout(receiver.timeout);
    Ok(if receiver.is_gzipped {
        builder.with_compression(Compression::Gzip)
    } else {
        builder
    })
}

fn over_http<B: WithExportConfig + WithHttpConfig>(builder: B, receiver: &Receiver) -> B {
    let client = Client {
        http: HyperClient::new(connector(receiver), receiver.timeout, None),
        runtime: Handle::current(),
        headers: receiver.headers.clone(),
    };
    let builder = builder
        .with_http_client(client)
        // Else the library would read it from the variables once more, and otherwise.
        .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
        .with_endpoint(receiver.url.as_str())
        .with_timeout(receiver.timeout);
    if receiver.is_gzipped {
        builder.with_compression(Compression::Gzip)
    } else {
        builder
    }
}

fn channel(receiver: &Receiver) -> Result<Channel, String> {
    let endpoint = Endpoint::from_shared(receiver.url.to_string());
    let endpoint = endpoint.map_err(|error| error.to_string())?;
    let endpoint = endpoint
        .timeout(receiver.timeout)
        .connect_timeout(receiver.timeout);
    Ok(endpoint.connect_with_connector_lazy(connector(receiver)))
}

fn connector(receiver: &Receiver) -> HttpsConnector<HttpConnector> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    let mut tls = receiver.tls.clone();
    tls.alpn_protocols = match receiver.protocol {
        Protocol::Grpc => vec![b"h2".to_vec()],
        Protocol::Http => vec![b"http/1.1".to_vec()],
    };
    let names = Arc::new(DefaultServerNameResolver::default());
    HttpsConnector::new(tcp, tls, false, names)
}

/// Makes the requests of a thread that isn't the runtime's on the runtime.
#[derive(Debug)]
struct Client {
    http: HyperClient<HttpsConnector<HttpConnector>>,
    runtime: Handle,
    headers: HeaderMap,
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        request.headers_mut().extend(self.headers.clone());
        let http = self.http.clone();
        let answer = async move { http.send_bytes(request).await };
        let answer = self.runtime.spawn(answer).await?;
        if let Err(error) = &answer {
            // The exporter says no more of it than that the network is to blame.
            tracing::debug!(causes = causes(&**error), "a delivery failed");
        }
        answer
    }
}

fn causes(error: &dyn Error) -> String {
    let causes = successors(Some(error), |it: &&dyn Error| (*it).source());
    let causes: Vec<_> = causes.map(ToString::to_string).collect();
    causes.join(": ")
}
