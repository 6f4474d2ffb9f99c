//! The configuration, checked whole before anything is bound or sent.

mod answers;
mod connections;
mod listen;
mod logs;
mod operators;
mod otel;
pub mod problem;
mod shared_store;
mod tls;
mod values;
mod web;

use std::{env, time::Duration};

use crate::{
    api,
    lookup::{AllowanceOptions, Freshness},
    rocketchat::{self, BaseUrl, Proxy},
    server::{Bounds, Tls, layers::Origins},
    store, telemetry,
    tls::TrustAnchors,
};
use answers::AnswerFlags;
use connections::ConnectionFlags;
pub use listen::Listen;
use operators::OperatorFlags;
pub use problem::{Problem, Problems};
use shared_store::StoreFlags;
use tls::TlsFlags;
use values::{count, size, size_in_head, trust_anchors, yes_or_no};
pub(crate) use values::{time, time_or_zero};
use web::origins;

/// No more calls are in flight at once.
const MAX_IN_FLIGHT: usize = 1_000_000;

/// The flags of `serve` and `check-config`, as they were given. Nothing is checked yet, so that all
/// problems can be told at once.
#[derive(Clone, clap::Args)]
pub struct Flags {
    /// The address to listen on, or a host name for all of its addresses; port 0 takes a free one
    #[arg(long, env = "VIDEOCONF_LISTEN", value_name = "ADDR:PORT")]
    #[arg(default_value = DEFAULT_LISTEN)]
    listen: String,

    /// Where Rocket.Chat is: http or https, perhaps with a path prefix. Required
    #[arg(long, env = "VIDEOCONF_UPSTREAM_URL", value_name = "URL")]
    upstream_url: Option<String>,

    /// Trust only the authorities in this PEM file for an https upstream [default: the system's]
    #[arg(long, env = "VIDEOCONF_UPSTREAM_CA", value_name = "FILE")]
    upstream_ca: Option<String>,

    /// Go through this HTTP proxy; the proxies of the environment are not used
    #[arg(long, env = "VIDEOCONF_UPSTREAM_PROXY", value_name = "URL")]
    upstream_proxy: Option<String>,

    #[command(flatten)]
    tls: TlsFlags,

    #[command(flatten)]
    store: StoreFlags,

    #[command(flatten)]
    common: CommonFlags,
}

/// The flags that `demo` has too.
#[derive(Clone, clap::Args)]
pub struct CommonFlags {
    /// How long connecting to Rocket.Chat may take: name, TCP and TLS together
    #[arg(long, env = "VIDEOCONF_CONNECT_TIMEOUT", value_name = "TIME")]
    #[arg(default_value = "2s")]
    connect_timeout: String,

    /// How long a connection to Rocket.Chat is used, so that a name that moves is noticed
    #[arg(
        long,
        env = "VIDEOCONF_UPSTREAM_CONNECTION_MAX_AGE",
        value_name = "TIME"
    )]
    #[arg(default_value = "5m")]
    upstream_connection_max_age: String,

    #[command(flatten)]
    answers: AnswerFlags,

    /// How long any call may take, whatever deadline its caller sets
    #[arg(long, env = "VIDEOCONF_REQUEST_TIMEOUT", value_name = "TIME")]
    #[arg(default_value = "10s")]
    request_timeout: String,

    /// How many calls may be in flight; others are refused as OVERLOADED, but health checks
    #[arg(long, env = "VIDEOCONF_MAX_IN_FLIGHT", value_name = "N")]
    #[arg(default_value = "10000")]
    max_in_flight: String,

    /// Serve gRPC-Web to pages of these origins, with commas between them, or of any with *
    #[arg(long, env = "VIDEOCONF_GRPC_WEB_ORIGIN", value_name = "ORIGIN")]
    grpc_web_origin: Option<String>,

    /// Let other processes listen on the same port, too, which share its connections
    #[arg(long, env = "VIDEOCONF_REUSE_PORT", value_name = "BOOL")]
    #[arg(default_value = "false", default_missing_value = "true")]
    #[arg(num_args = 0..=1, require_equals = true)]
    reuse_port: String,

    #[command(flatten)]
    connections: ConnectionFlags,

    /// How long everything is served as before after SIGTERM or SIGINT, while health says NOT_SERVING
    #[arg(long, env = "VIDEOCONF_SHUTDOWN_NOTICE", value_name = "TIME")]
    #[arg(default_value = "0s")]
    shutdown_notice: String,

    /// How long calls in flight may go on after that
    #[arg(long, env = "VIDEOCONF_DRAIN_TIMEOUT", value_name = "TIME")]
    #[arg(default_value = "20s")]
    drain_timeout: String,

    /// The largest body of an answer of Rocket.Chat, in bytes after unpacking
    #[arg(long, env = "VIDEOCONF_MAX_BODY_BYTES", value_name = "BYTES")]
    #[arg(default_value = "1048576")]
    max_body_bytes: String,

    /// The longest call_id, in bytes of UTF-8
    #[arg(long, env = "VIDEOCONF_MAX_CALL_ID_BYTES", value_name = "BYTES")]
    #[arg(default_value = "256")]
    max_call_id_bytes: String,

    /// The longest x-request-id that is taken from a caller; a longer one is replaced
    #[arg(long, env = "VIDEOCONF_MAX_REQUEST_ID_BYTES", value_name = "BYTES")]
    #[arg(default_value = "128")]
    max_request_id_bytes: String,

    /// Tell Rocket.Chat, or what is before it, in which trace each request is, as traceparent
    #[arg(long, env = "VIDEOCONF_UPSTREAM_TRACEPARENT", value_name = "BOOL")]
    #[arg(default_value = "false", default_missing_value = "true")]
    #[arg(num_args = 0..=1, require_equals = true)]
    upstream_traceparent: String,

    #[command(flatten)]
    operators: OperatorFlags,
}

/// What `demo` makes, and `serve` has flags for. What has a problem is absent, too.
struct Ends {
    listen: Option<Listen>,
    base_url: Option<BaseUrl>,
    trust_anchors: Option<TrustAnchors>,
    proxy: Option<Proxy>,
    /// Whether others can see as whom it is used.
    is_proxy_seen: bool,
    tls: Option<Tls>,
    shared_store: Option<store::Options>,
}

/// The warning of an upstream that anybody on the way can listen to.
const IN_CLEAR: &str =
    "--upstream-url is http to another machine, so callers' tokens are sent in clear";

/// The warning of a password in the list of processes.
const PROXY_SEEN: &str = "--upstream-proxy has credentials, which every user of the machine can see: give the URL in VIDEOCONF_UPSTREAM_PROXY";

/// The warning of a store that anybody on the way can read and change.
const SHARED_IN_CLEAR: &str = "--shared-store is redis to another machine, so others on the way can read its password, and change what is shared";

/// The warning of callers whom anybody on the way can listen to.
pub(crate) const LISTENING_IN_CLEAR: &str =
    "other machines can connect and there is no --tls-cert, so callers' tokens come in clear";

/// Where the server listens unless told otherwise.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:50051";

/// A configuration without problems.
pub struct Config {
    /// Where to listen.
    pub listen: Listen,
    /// Whether other processes may listen there, too.
    pub reuse_port: bool,
    /// What callers' connections are secured with.
    pub tls: Option<Tls>,
    /// Where operators look.
    pub admin_listen: Option<Listen>,
    /// Whether the classic histogram of calls is measured, too.
    pub handling_seconds: bool,
    /// Whose pages may make calls from browsers.
    pub web_origins: Option<Origins>,
    /// Where Rocket.Chat is and how it may be spoken to.
    pub upstream: rocketchat::Options,
    /// How Rocket.Chat's limit is spent.
    pub allowance: AllowanceOptions,
    /// What replicas share the limit and the answers through.
    pub shared_store: Option<store::Options>,
    /// How old answers may be.
    pub freshness: Freshness,
    /// How much memory the known answers may take.
    pub max_cache_bytes: u64,
    /// What the service accepts.
    pub api: api::Options,
    /// The ceiling of every call.
    pub request_timeout: Duration,
    /// How many calls may be in flight.
    pub max_in_flight: usize,
    /// What bounds the life of a connection.
    pub connections: Bounds,
    /// How long the server goes on once it is to end.
    pub shutdown_notice: Duration,
    /// How long calls in flight may go on when the server ends.
    pub drain_timeout: Duration,
    /// The longest request id that is taken from a caller.
    pub max_request_id_bytes: usize,
    /// How the process logs.
    pub logs: telemetry::logs::Options,
    /// Who receives traces and metrics.
    pub otlp: telemetry::otlp::Options,
    /// What is odd, but no reason not to start.
    pub warnings: Vec<String>,
}

impl Flags {
    /// Checks everything.
    ///
    /// # Errors
    /// Every problem there is, those that were known before first.
    pub fn check(&self, mut problems: Problems) -> Result<Config, Vec<Problem>> {
        let base_url = match &self.upstream_url {
            Some(url) => problems.check_secret("--upstream-url", url, BaseUrl::parse),
            None => problems.missing("--upstream-url", "say where Rocket.Chat is"),
        };
        let trust_anchors = self
            .upstream_ca
            .as_ref()
            .and_then(|path| problems.check("--upstream-ca", path, trust_anchors));
        let proxy = self
            .upstream_proxy
            .as_ref()
            .and_then(|url| problems.check_secret("--upstream-proxy", url, Proxy::parse));
        let is_proxy_seen = self.upstream_proxy.as_ref().is_some_and(|url| {
            proxy.as_ref().is_some_and(Proxy::has_credentials) && is_argument(url)
        });
        let ends = Ends {
            listen: problems.check("--listen", &self.listen, Listen::parse),
            tls: self.tls.check(&mut problems),
            shared_store: self.store.check(base_url.as_ref(), &mut problems),
            base_url,
            trust_anchors,
            proxy,
            is_proxy_seen,
        };
        self.common.check(problems, ends)
    }
}

impl CommonFlags {
    /// Checks everything for a given upstream, a given address to listen on, and what is spoken there.
    ///
    /// # Errors
    /// Every problem there is, those that were known before first.
    pub fn check_with(
        &self,
        mut problems: Problems,
        listen: &str,
        tls: Option<Tls>,
        upstream_url: &str,
    ) -> Result<Config, Vec<Problem>> {
        let ends = Ends {
            listen: problems.check("--listen", listen, Listen::parse),
            base_url: problems.check("--upstream-url", upstream_url, BaseUrl::parse),
            trust_anchors: None,
            proxy: None,
            is_proxy_seen: false,
            tls,
            shared_store: None,
        };
        self.check(problems, ends)
    }

    fn check(&self, mut problems: Problems, ends: Ends) -> Result<Config, Vec<Problem>> {
        let connect_timeout = problems.check("--connect-timeout", &self.connect_timeout, time);
        let upstream_connection_max_age = problems.check(
            "--upstream-connection-max-age",
            &self.upstream_connection_max_age,
            time,
        );
        let answers = self.answers.check(&mut problems);
        let request_timeout = problems.check("--request-timeout", &self.request_timeout, time);
        let max_in_flight = problems.check("--max-in-flight", &self.max_in_flight, |text| {
            count(text, "calls", MAX_IN_FLIGHT)
        });
        let connections = self.connections.check(&mut problems, request_timeout);
        let web_origins = self
            .grpc_web_origin
            .as_ref()
            .and_then(|text| problems.check("--grpc-web-origin", text, origins));
        let reuse_port = problems.check("--reuse-port", &self.reuse_port, yes_or_no);
        let shutdown_notice =
            problems.check("--shutdown-notice", &self.shutdown_notice, time_or_zero);
        let drain_timeout = problems.check("--drain-timeout", &self.drain_timeout, time_or_zero);
        let max_body_bytes = problems.check("--max-body-bytes", &self.max_body_bytes, size);
        let max_call_id_bytes =
            problems.check("--max-call-id-bytes", &self.max_call_id_bytes, size_in_head);
        let max_request_id_bytes =
            problems.check("--max-request-id-bytes", &self.max_request_id_bytes, size);
        let sends_traceparent = problems.check(
            "--upstream-traceparent",
            &self.upstream_traceparent,
            yes_or_no,
        );
        let mut warnings = Vec::new();
        let operators = self.operators.check(&mut problems, &mut warnings);
        warnings.extend(ends.warnings());

        let config = || {
            let (answers, operators) = (answers?, operators?);
            Some(Config {
                listen: ends.listen?,
                reuse_port: reuse_port?,
                tls: ends.tls,
                admin_listen: operators.admin_listen,
                handling_seconds: operators.handling_seconds,
                web_origins,
                upstream: rocketchat::Options {
                    base_url: ends.base_url?,
                    trust_anchors: ends.trust_anchors,
                    proxy: ends.proxy,
                    connect_timeout: connect_timeout?,
                    connection_max_age: upstream_connection_max_age?,
                    max_body_bytes: max_body_bytes?,
                    sends_traceparent: sends_traceparent?,
                },
                allowance: answers.allowance,
                shared_store: ends.shared_store,
                freshness: answers.freshness,
                max_cache_bytes: answers.max_cache_bytes,
                api: api::Options {
                    max_call_id_bytes: max_call_id_bytes?,
                },
                request_timeout: request_timeout?,
                max_in_flight: max_in_flight?,
                connections: connections?,
                shutdown_notice: shutdown_notice?,
                drain_timeout: drain_timeout?,
                max_request_id_bytes: max_request_id_bytes?,
                logs: operators.logs,
                otlp: operators.otlp,
                warnings,
            })
        };
        problems.result(config())
    }
}

/// Whether it is among the words of our command line, which the list of processes shows to everybody.
fn is_argument(text: &str) -> bool {
    env::args_os().any(|word| word.to_string_lossy().contains(text))
}

impl Ends {
    fn warnings(&self) -> Vec<String> {
        let sends_in_clear = |url: &BaseUrl| url.is_readable_on_the_way();
        let is_open = |listen: &Listen| !listen.is_loopback() && self.tls.is_none();
        let in_clear = self.base_url.as_ref().filter(|url| sends_in_clear(url));
        let open = self.listen.as_ref().filter(|listen| is_open(listen));
        let certificate = self.tls.as_ref().and_then(Tls::warning);
        let shared_in_clear = |store: &&store::Options| store.is_readable_on_the_way();
        let shared_in_clear = self.shared_store.as_ref().filter(shared_in_clear);
        let warnings = [
            in_clear.map(|_| IN_CLEAR.to_owned()),
            open.map(|_| LISTENING_IN_CLEAR.to_owned()),
            certificate,
            self.is_proxy_seen.then(|| PROXY_SEEN.to_owned()),
            shared_in_clear.map(|_| SHARED_IN_CLEAR.to_owned()),
        ];
        warnings.into_iter().flatten().collect()
    }
}
