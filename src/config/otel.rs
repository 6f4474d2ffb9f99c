//! OpenTelemetry's standard variables. They are set for all programs of a machine or a cluster, so what can't be
//! used here is a warning, and no reason not to start.

use std::{env, fs, ops::RangeInclusive, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use opentelemetry_sdk::trace::Sampler;
use percent_encoding::percent_decode_str;
use rustls::ClientConfig;
use url::Url;

use crate::{
    telemetry::otlp::{Options, Protocol, Receiver, SpanBatches},
    tls::{self, Identity, TrustAnchors, Unusable},
};

/// The longest time that makes sense, in milliseconds: an hour.
const MAX_MILLIS: u64 = 3_600_000;

/// What can be received: its name in variables, and its path below an endpoint for all.
type Signal = (&'static str, &'static str);

const TRACES: Signal = ("TRACES", "v1/traces");
const METRICS: Signal = ("METRICS", "v1/metrics");

/// A variable that is set.
struct Variable {
    name: String,
    value: String,
}

/// The variables, and what is odd about them.
struct Variables<'a> {
    warnings: &'a mut Vec<String>,
}

/// Why nothing can be received: a warning.
struct Unreceived(String);

/// What the environment asks for.
pub(super) fn otel(warnings: &mut Vec<String>) -> Options {
    Variables { warnings }.options()
}

impl Variable {
    /// By the standard, an empty one isn't set.
    fn get(name: &str) -> Option<Self> {
        let value = env::var(name).ok().filter(|it| !it.is_empty())?;
        let name = name.to_owned();
        Some(Self { name, value })
    }

    /// A setting of the receiver of a signal, or else of any.
    fn of((signal, _): Signal, setting: &str) -> Option<Self> {
        let own = format!("OTEL_EXPORTER_OTLP_{signal}_{setting}");
        let general = format!("OTEL_EXPORTER_OTLP_{setting}");
        Self::get(&own).or_else(|| Self::get(&general))
    }

    fn is_true(&self) -> bool {
        self.value.eq_ignore_ascii_case("true")
    }

    /// Without its value, which may be a secret.
    fn warning(&self, problem: &str) -> String {
        format!("{} {problem}", self.name)
    }

    fn unreceived(&self, problem: &str) -> Unreceived {
        Unreceived(self.warning(&format!("{problem}, so nothing is sent")))
    }

    fn file(&self) -> Result<Vec<u8>, Unreceived> {
        fs::read(&self.value)
            .map_err(|error| self.unreceived(&format!("names a file that can't be read: {error}")))
    }
}

impl Variables<'_> {
    fn options(mut self) -> Options {
        Options {
            traces: self.receiver(TRACES),
            metrics: self.receiver(METRICS),
            reads_callers: self.reads_callers(),
            sampler: self.sampler(),
            spans: self.span_batches(),
            metrics_every: self.millis("OTEL_METRIC_EXPORT_INTERVAL", 100, 60_000),
        }
    }

    /// Where room for all spans is made at once, so that too much of it is more than a warning.
    fn span_batches(&mut self) -> SpanBatches {
        let room = Variable::get("OTEL_BSP_MAX_QUEUE_SIZE");
        let room = self.number(room, 1..=65_536, 2048);
        let batch = Variable::get("OTEL_BSP_MAX_EXPORT_BATCH_SIZE");
        let batch = self.number(batch, 1..=room, 512.min(room));
        let in_memory = |number| usize::try_from(number).unwrap_or(usize::MAX);
        SpanBatches {
            room: in_memory(room),
            batch: in_memory(batch),
            delay: self.millis("OTEL_BSP_SCHEDULE_DELAY", 10, 5000),
        }
    }

    fn millis(&mut self, name: &str, min: u64, default: u64) -> Duration {
        let millis = Variable::get(name);
        Duration::from_millis(self.number(millis, min..=MAX_MILLIS, default))
    }

    /// What a variable says if it is a number in `range`, else the standard's `default`.
    fn number(
        &mut self,
        variable: Option<Variable>,
        range: RangeInclusive<u64>,
        default: u64,
    ) -> u64 {
        let Some(variable) = variable else {
            return default;
        };
        match variable.value.parse() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                let (min, max) = (range.start(), range.end());
                let problem = format!("is no number from {min} to {max}, so it is {default}");
                self.warn(&variable, &problem);
                default
            }
        }
    }

    fn warn(&mut self, variable: &Variable, problem: &str) {
        self.note(variable.warning(problem));
    }

    /// Once, also if it is about all signals.
    fn note(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Who receives `signal`: somebody, if a receiver is named or asked for. The standard's default would be one on
    /// this machine, of which nobody may know.
    fn receiver(&mut self, signal: Signal) -> Option<Receiver> {
        let endpoint = Variable::of(signal, "ENDPOINT");
        let is_wanted = match Variable::get(&format!("OTEL_{}_EXPORTER", signal.0)) {
            Some(exporters) => self.has_otlp(&exporters),
            None => endpoint.is_some(),
        };
        let disabled = Variable::get("OTEL_SDK_DISABLED");
        if !is_wanted || disabled.is_some_and(|it| it.is_true()) {
            return None;
        }
        match self.reached(signal, endpoint) {
            Ok(receiver) => Some(receiver),
            Err(Unreceived(warning)) => {
                self.note(warning);
                None
            }
        }
    }

    /// Whether OTLP is among the exporters that are asked for.
    fn has_otlp(&mut self, exporters: &Variable) -> bool {
        let names: Vec<_> = exporters.value.split(',').map(str::trim).collect();
        if names.iter().any(|it| !matches!(*it, "otlp" | "none")) {
            self.warn(exporters, "has something else than otlp or none");
        }
        names.contains(&"otlp")
    }

    /// How the receiver of `signal` is reached.
    fn reached(
        &mut self,
        signal: Signal,
        endpoint: Option<Variable>,
    ) -> Result<Receiver, Unreceived> {
        let protocol = self.protocol(signal);
        let mut url = url_of(signal, protocol, endpoint)?;
        if !url.username().is_empty() || url.password().is_some() {
            // Fail for URLs that can't have any.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            let problem = "has a user or a password, which isn't used: OTEL_EXPORTER_OTLP_HEADERS \
                           can have a key";
            self.note(format!("an endpoint of OTLP {problem}"));
        }
        let tls = match url.scheme() {
            "https" => tls_of(signal)?,
            _ => tls::trusting_nobody(),
        };
        Ok(Receiver {
            url,
            protocol,
            headers: self.headers(signal),
            timeout: self.timeout(signal),
            is_gzipped: self.is_gzipped(signal),
            tls,
        })
    }

    fn protocol(&mut self, signal: Signal) -> Protocol {
        let Some(protocol) = Variable::of(signal, "PROTOCOL") else {
            return Protocol::Http;
        };
        match &*protocol.value {
            "grpc" => return Protocol::Grpc,
            "http/protobuf" => {}
            _ => self.warn(
                &protocol,
                "is neither grpc nor http/protobuf, so it is that",
            ),
        }
        Protocol::Http
    }

    fn timeout(&mut self, signal: Signal) -> Duration {
        let timeout = Variable::of(signal, "TIMEOUT");
        Duration::from_millis(self.number(timeout, 1..=MAX_MILLIS, 10_000))
    }

    /// Names and values, with commas between them, as W3C's baggage has them.
    fn headers(&mut self, signal: Signal) -> HeaderMap {
        let Some(headers) = Variable::of(signal, "HEADERS") else {
            return HeaderMap::new();
        };
        let entries = headers.value.split(',').map(str::trim);
        let entries = entries.filter(|it| !it.is_empty()).map(|entry| {
            let (name, value) = entry.split_once('=')?;
            let value: Vec<u8> = percent_decode_str(value.trim()).collect();
            let mut value = HeaderValue::try_from(value).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::try_from(name.trim()).ok()?, value))
        });
        let entries: Vec<_> = entries.collect();
        if entries.contains(&None) {
            self.warn(&headers, "has an entry that is no header, and isn't sent");
        }
        entries.into_iter().flatten().collect()
    }

    fn is_gzipped(&mut self, signal: Signal) -> bool {
        let Some(compression) = Variable::of(signal, "COMPRESSION") else {
            return false;
        };
        match &*compression.value {
            "gzip" => return true,
            "none" => {}
            _ => self.warn(&compression, "is neither gzip nor none, so it is that"),
        }
        false
    }

    fn sampler(&mut self) -> Sampler {
        let all = || Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
        let Some(sampler) = Variable::get("OTEL_TRACES_SAMPLER") else {
            return all();
        };
        let (own, is_parent_based) = match sampler.value.strip_prefix("parentbased_") {
            Some(own) => (own, true),
            None => (&*sampler.value, false),
        };
        let own = match own {
            "always_on" => Sampler::AlwaysOn,
            "always_off" => Sampler::AlwaysOff,
            "traceidratio" => self.ratio(&sampler),
            _ => {
                self.warn(
                    &sampler,
                    "is none that is known here, so it is parentbased_always_on",
                );
                return all();
            }
        };
        if is_parent_based {
            Sampler::ParentBased(Box::new(own))
        } else {
            own
        }
    }

    fn ratio(&mut self, sampler: &Variable) -> Sampler {
        let ratio = Variable::get("OTEL_TRACES_SAMPLER_ARG");
        let ratio = ratio.and_then(|it| it.value.parse().ok());
        if let Some(ratio) = ratio.filter(|it| (0.0..=1.0).contains(it)) {
            return Sampler::TraceIdRatioBased(ratio);
        }
        self.warn(
            sampler,
            "needs OTEL_TRACES_SAMPLER_ARG, from 0 to 1, which is 1 now",
        );
        Sampler::AlwaysOn
    }

    fn reads_callers(&mut self) -> bool {
        let Some(propagators) = Variable::get("OTEL_PROPAGATORS") else {
            return true;
        };
        let names: Vec<_> = propagators.value.split(',').map(str::trim).collect();
        let is_known = |it: &&str| matches!(*it, "tracecontext" | "baggage" | "none");
        if !names.iter().all(is_known) {
            self.warn(
                &propagators,
                "has others than tracecontext, which is the only one here",
            );
        }
        names.contains(&"tracecontext")
    }
}

fn url_of(
    signal: Signal,
    protocol: Protocol,
    endpoint: Option<Variable>,
) -> Result<Url, Unreceived> {
    let endpoint = endpoint.unwrap_or_else(|| Variable {
        name: "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(),
        value: match protocol {
            Protocol::Grpc => "http://localhost:4317".to_owned(),
            Protocol::Http => "http://localhost:4318".to_owned(),
        },
    });
    // For gRPC it may be a host with a port.
    let has_scheme = protocol == Protocol::Http || endpoint.value.contains("://");
    let is_insecure = Variable::of(signal, "INSECURE").is_some_and(|it| it.is_true());
    let scheme = match (has_scheme, is_insecure) {
        (true, _) => "",
        (false, true) => "http://",
        (false, false) => "https://",
    };
    let url = Url::parse(&format!("{scheme}{}", endpoint.value)).ok();
    let is_callable = |it: &Url| {
        let is_http = matches!(it.scheme(), "http" | "https");
        is_http && it.port() != Some(0) && Uri::try_from(it.as_str()).is_ok()
    };
    let mut url = url
        .filter(is_callable)
        .ok_or_else(|| endpoint.unreceived("is no http or https URL"))?;
    if protocol == Protocol::Http && endpoint.name == "OTEL_EXPORTER_OTLP_ENDPOINT" {
        let path = format!("{}/{}", url.path().trim_end_matches('/'), signal.1);
        url.set_path(&path);
    }
    Ok(url)
}

fn tls_of(signal: Signal) -> Result<ClientConfig, Unreceived> {
    let authorities = Variable::of(signal, "CERTIFICATE");
    let anchors = authorities
        .map(|it| TrustAnchors::from_pem(&it.file()?).map_err(|problem| it.unreceived(&problem)));
    let certificate = Variable::of(signal, "CLIENT_CERTIFICATE");
    let identity = match (certificate, Variable::of(signal, "CLIENT_KEY")) {
        (Some(certificate), Some(key)) => {
            let identity = Identity::from_pem(&certificate.file()?, &key.file()?);
            Some(identity.map_err(|problem| match problem {
                Unusable::Certificate(problem) => certificate.unreceived(&problem),
                Unusable::Key(problem) => key.unreceived(&problem),
            })?)
        }
        (Some(alone), None) => return Err(alone.unreceived("needs its key")),
        (None, Some(alone)) => return Err(alone.unreceived("needs its certificate")),
        (None, None) => None,
    };
    // Which protocol is spoken, the transport adds.
    tls::client(b"", anchors.transpose()?, identity).map_err(Unreceived)
}
