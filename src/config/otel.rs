//! OpenTelemetry's standard variables. They are set for all programs of a machine or a cluster, so what can't be
//! used here is a warning, and no reason not to start. What else the library reads isn't checked.

use std::{env, fs, time::Duration};

use http::Uri;
use rustls::ClientConfig;
use url::Url;

use crate::{
    telemetry::otlp::{Options, Protocol, Receiver},
    tls::{self, Identity, TrustAnchors, Unusable},
};

/// How long a receiver may take, by the standard.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The samplers that the library knows.
const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

/// What can be received: its name in variables, and its path below an endpoint for all.
type Signal = (&'static str, &'static str);

const TRACES: Signal = ("TRACES", "v1/traces");
const METRICS: Signal = ("METRICS", "v1/metrics");

/// A variable that is set.
#[derive(Clone)]
struct Variable {
    name: String,
    value: String,
}

/// The variables, and what is odd about them.
struct Variables<'a, R> {
    read: R,
    warnings: &'a mut Vec<String>,
}

/// Why nothing can be received: a warning.
struct Unreceived(String);

/// What the environment asks for.
pub(super) fn otel(warnings: &mut Vec<String>) -> Options {
    let read = |name: &str| env::var(name).ok();
    Variables { read, warnings }.options()
}

impl Variable {
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

impl<R: Fn(&str) -> Option<String>> Variables<'_, R> {
    fn options(mut self) -> Options {
        let traces = self.receiver(TRACES);
        let metrics = self.receiver(METRICS);
        if traces.is_some() {
            self.check_sampler();
        }
        Options {
            reads_callers: self.reads_callers(),
            traces,
            metrics,
        }
    }

    /// By the standard, an empty one isn't set.
    fn get(&self, name: &str) -> Option<Variable> {
        let value = (self.read)(name).filter(|it| !it.is_empty())?;
        Some(Variable {
            name: name.to_owned(),
            value,
        })
    }

    /// A setting of the receiver of a signal, or else of any.
    fn of(&self, (signal, _): Signal, setting: &str) -> Option<Variable> {
        let own = format!("OTEL_EXPORTER_OTLP_{signal}_{setting}");
        let general = format!("OTEL_EXPORTER_OTLP_{setting}");
        self.get(&own).or_else(|| self.get(&general))
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
        let endpoint = self.of(signal, "ENDPOINT");
        let is_wanted = match self.get(&format!("OTEL_{}_EXPORTER", signal.0)) {
            Some(exporters) => self.has_otlp(&exporters),
            None => endpoint.is_some(),
        };
        let disabled = self.get("OTEL_SDK_DISABLED");
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
        let url = self.url(signal, protocol, endpoint)?;
        let tls = match url.scheme() {
            "https" => self.tls(signal)?,
            _ => tls::trusting_nobody(),
        };
        Ok(Receiver {
            url,
            protocol,
            timeout: self.timeout(signal),
            is_gzipped: self.is_gzipped(signal),
            tls,
        })
    }

    fn protocol(&mut self, signal: Signal) -> Protocol {
        let Some(protocol) = self.of(signal, "PROTOCOL") else {
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

    fn url(
        &self,
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
        let is_insecure = self.of(signal, "INSECURE").is_some_and(|it| it.is_true());
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

    fn tls(&self, signal: Signal) -> Result<ClientConfig, Unreceived> {
        let authorities = self.of(signal, "CERTIFICATE");
        let anchors = authorities.map(|it| {
            TrustAnchors::from_pem(&it.file()?).map_err(|problem| it.unreceived(&problem))
        });
        let certificate = self.of(signal, "CLIENT_CERTIFICATE");
        let identity = match (certificate, self.of(signal, "CLIENT_KEY")) {
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

    /// In milliseconds, by the standard.
    fn timeout(&mut self, signal: Signal) -> Duration {
        let Some(timeout) = self.of(signal, "TIMEOUT") else {
            return TIMEOUT;
        };
        if let Ok(millis @ 1..) = timeout.value.parse() {
            return Duration::from_millis(millis);
        }
        self.warn(&timeout, "is no number of milliseconds, so it is 10000");
        TIMEOUT
    }

    fn is_gzipped(&mut self, signal: Signal) -> bool {
        let Some(compression) = self.of(signal, "COMPRESSION") else {
            return false;
        };
        match &*compression.value {
            "gzip" => return true,
            "none" => {}
            _ => self.warn(&compression, "is neither gzip nor none, so it is that"),
        }
        false
    }

    fn check_sampler(&mut self) {
        let Some(sampler) = self.get("OTEL_TRACES_SAMPLER") else {
            return;
        };
        if !SAMPLERS.contains(&&*sampler.value) {
            self.warn(&sampler, "is none that is known here, so all is recorded");
        } else if sampler.value.ends_with("traceidratio") {
            let share = self.get("OTEL_TRACES_SAMPLER_ARG");
            let share = share.and_then(|it| it.value.parse().ok());
            if !share.is_some_and(|it: f64| (0.0..=1.0).contains(&it)) {
                let problem = "needs OTEL_TRACES_SAMPLER_ARG, from 0 to 1; all is recorded";
                self.warn(&sampler, problem);
            }
        }
    }

    fn reads_callers(&mut self) -> bool {
        let Some(propagators) = self.get("OTEL_PROPAGATORS") else {
            return true;
        };
        let names: Vec<_> = propagators.value.split(',').map(str::trim).collect();
        let is_known = |it: &&str| matches!(*it, "tracecontext" | "baggage" | "none");
        if !names.iter().all(is_known) {
            self.warn(&propagators, "has others than tracecontext, which is ours");
        }
        names.contains(&"tracecontext")
    }
}
