//! Wiring: the two stacks, each written once, and the server that they make.

mod sharing;

use std::{
    future::pending,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::StatusCode;
use prost_types::FileDescriptorSet;
use serde_json::{Value, json};
use tonic::service::Routes;
use tower::ServiceBuilder;

use crate::{
    api,
    config::Config,
    credentials::FingerprintKey,
    lookup::{
        Allowance, Answers, Bounded, Breaker, Budget, Cache, Coalesce, Common, CommonShelf,
        Elsewhere, Observed, Publish, Remember, Retry, Shelves, Traced,
    },
    metrics::{Attempts, Connections, Flights, Metrics, Rpcs, Turns, Users, names},
    proto,
    replicas::Replica,
    rocketchat::Client,
    route::{INFO, Parameters},
    server::{
        self, AccessLog, Drain, Listeners, Methods, Observers, Page, Protocols, Readiness, Routed,
        Server, Tls,
        layers::{
            Admit, CatchPanic, EndAtDeadline, EndWithDrain, GrpcOnly, Layer, Observe, RequestId,
            Web,
        },
    },
    source::{ConferenceSource, Lookup, Upstream},
    store,
    telemetry::{Instruments, history::History, metrics::Prometheus, page},
    trace::Requests,
};
pub use sharing::Sharing;
use sharing::Told;

/// What reflection shows of ours. The second one lets tools print the details of errors.
const DESCRIPTOR_SETS: &[&[u8]] = &[
    proto::FILE_DESCRIPTOR_SET,
    tonic_types::pb::FILE_DESCRIPTOR_SET,
];

/// What reflection shows, for tools that don't ask.
#[must_use]
pub fn descriptor_set() -> FileDescriptorSet {
    FileDescriptorSet {
        file: server::files(DESCRIPTOR_SETS),
    }
}

/// What answers calls.
#[derive(Debug)]
pub struct Facade<S> {
    /// Everything between a caller and Rocket.Chat.
    pub source: S,
    /// What it shares with replicas; `None` if it doesn't.
    pub sharing: Option<Sharing>,
}

impl<S: ConferenceSource> From<S> for Facade<S> {
    /// Alone.
    fn from(source: S) -> Self {
        Self {
            source,
            sharing: None,
        }
    }
}

/// How long replicas may take to hear that a read is over.
const NOTICED_WITHIN: Duration = Duration::from_secs(1);

/// The facade of a configuration.
///
/// # Errors
/// TLS is to be spoken and the system has no trust anchors.
pub fn facade(
    config: &Config,
    instruments: &Instruments,
) -> Result<Facade<impl ConferenceSource + use<>>, String> {
    let client = Client::new(config.upstream.clone())?;
    let answers = answers(config);
    let Some(store) = &config.shared_store else {
        let allowance = Allowance::new(config.allowance, None);
        let shelves = Shelves::own(answers);
        return Ok(lookup(client, config, instruments, allowance, shelves).into());
    };
    let me = Replica::random();
    let kept_for = config.freshness.stale_for;
    let opened = store::open(store, &INFO, me, kept_for, &instruments.metrics);
    let common = Common {
        me,
        ledger: Arc::new(opened.ledger),
        tags: store.secret.tags(),
        key: store.secret.id(),
        longest_read: config.request_timeout + NOTICED_WITHIN,
    };
    let allowance = Allowance::new(config.allowance, Some(common));
    let shelves = Shelves {
        answers: answers.clone(),
        common: Some(CommonShelf {
            shelf: Arc::new(opened.shelf),
            allowance: allowance.clone(),
        }),
    };
    let sharing = Sharing {
        allowance: allowance.clone(),
        reader: opened.reader,
        forget: Box::new(move |credential| answers.forget(credential)),
        told: Told::new(store.address()),
    };
    Ok(Facade {
        source: lookup(client, config, instruments, allowance, shelves),
        sharing: Some(sharing),
    })
}

/// The memory of a process.
#[must_use]
pub fn answers<P: Parameters>(config: &Config) -> Answers<P> {
    Answers::new(config.max_cache_bytes, config.freshness.stale_for)
}

/// The source stack of one route, before whatever asks Rocket.Chat, innermost first.
pub fn lookup<P: Parameters, U: Upstream<P>>(
    client: U,
    config: &Config,
    instruments: &Instruments,
    allowance: Allowance,
    shelves: Shelves<P>,
) -> impl Lookup<P> + use<P, U> {
    let Instruments { metrics, tracer } = instruments;
    let requests = config.upstream.base_url.target(P::ROUTE);
    let requests = Requests::new(tracer.clone(), P::ROUTE, requests);
    allowance.watch(metrics, P::ROUTE);

    let source = Observed::new(client, Attempts::new(metrics, P::ROUTE), requests); // innermost, since each attempt counts
    let source = Bounded::new(source, config.request_timeout); // from when it is sent
    let source = Publish::new(source, shelves.clone()); // before the end of a turn is told
    let source = Budget::new(source, allowance, Turns::new(metrics)); // one unit an attempt, so inside of retry
    let source = Retry::new(source); // outside of the attempts that it adds
    let source = Breaker::new(source).watch(metrics, P::ROUTE); // what isn't tried isn't repeated
    let fresh_for = config.freshness.fresh_for;
    let source = Elsewhere::new(source, shelves.clone(), fresh_for); // outside of all that is about our own reads
    let source = Remember::new(source, shelves.answers.clone()); // inside of who may leave
    let source = Coalesce::new(source, Flights::new(metrics)); // here callers end and reads begin
    let source = Cache::new(source, shelves, config.freshness); // outside of reads: none is the best one
    Traced::new(source, tracer.clone()) // outermost: whatever a call waits for is within its span
}

/// What an operator sees of the facade, beside its logs.
#[derive(Debug)]
pub struct Telemetry {
    /// What measures and what makes spans.
    pub instruments: Instruments,
    /// Where that can be read.
    pub admin: Option<Admin>,
}

/// The operator's port.
#[derive(Debug)]
pub struct Admin {
    /// Where it is.
    pub listeners: Listeners,
    /// What was measured.
    pub prometheus: Prometheus,
    /// The flags as they were given, without secrets.
    pub settings: Value,
}

impl Telemetry {
    /// Nothing is measured, and nothing to be seen.
    #[must_use]
    pub fn off() -> Self {
        Self {
            instruments: Instruments::off(),
            admin: None,
        }
    }
}

/// How many users the page names.
const SHOWN_USERS: usize = 10;

/// The pages of the operator's port.
fn pages(
    prometheus: Arc<Prometheus>,
    history: Arc<History>,
    users: Users,
    settings: &Value,
    readiness: Readiness,
    told: Option<Told>,
) -> Vec<Page> {
    const TEXT: &str = "text/plain";
    const JSON: &str = "application/json";
    let about = json!(format!(
        "version {}",
        settings["version"].as_str().unwrap_or_default()
    ));
    let settings = format!("{settings:#}\n").into_bytes();
    let file = |path, content_type, content: &'static str| {
        Page::new(path, content_type, move || {
            (StatusCode::OK, content.as_bytes().to_vec())
        })
    };
    vec![
        file("/", "text/html; charset=utf-8", page::HTML),
        file("/page.js", "text/javascript; charset=utf-8", page::SCRIPT),
        Page::new("/history.json", JSON, move || {
            let all = json!({
                "about": about,
                "history": history.as_json(),
                "users": users.most(SHOWN_USERS),
            });
            (StatusCode::OK, all.to_string().into_bytes())
        }),
        Page::new("/livez", TEXT, || (StatusCode::OK, b"ok\n".to_vec())),
        Page::new("/readyz", TEXT, move || {
            if !readiness.is_serving() {
                return (StatusCode::SERVICE_UNAVAILABLE, b"leaving\n".to_vec());
            }
            let line = told.as_ref().and_then(Told::line);
            let detail = line.map(|line| format!("{line}\n")).unwrap_or_default();
            (StatusCode::OK, format!("ok\n{detail}").into_bytes())
        }),
        Page::new("/metrics", Prometheus::CONTENT_TYPE, move || {
            (StatusCode::OK, prometheus.text())
        }),
        Page::new("/config", JSON, move || (StatusCode::OK, settings.clone())),
    ]
}

/// Has the certificate's end measured.
fn watch_certificate(metrics: &Metrics, tls: Tls) {
    metrics.gauge(&names::CERTIFICATE_EXPIRY, move || {
        let since = |expires: SystemTime| expires.duration_since(UNIX_EPOCH).ok();
        let expires = tls.expires().and_then(since);
        expires
            .map(|it| (it.as_secs_f64(), Vec::new()))
            .into_iter()
            .collect()
    });
}

/// Serves `facade` on `listeners` until `shutdown` is ready and the calls in flight have ended.
pub async fn serve<S: ConferenceSource>(
    listeners: impl Into<Listeners>,
    facade: impl Into<Facade<S>>,
    config: &Config,
    telemetry: Telemetry,
    shutdown: impl Future<Output = ()>,
) {
    let Facade { source, sharing } = facade.into();
    let Telemetry { instruments, admin } = telemetry;
    let Instruments { metrics, tracer } = instruments;
    let drain = Drain::new(config.shutdown_notice, config.drain_timeout);
    let (health, health_service) = server::health(&[api::SERVICE_NAME]);

    let store = config.shared_store.as_ref();
    let key = store.map_or_else(FingerprintKey::random, |it| it.secret.fingerprints());
    let mut routes = Routes::builder();
    routes
        .add_service(api::service(source, config.api, key))
        .add_service(health_service);
    let files = server::files(DESCRIPTOR_SETS);
    server::reflection(&mut routes, &files);
    let methods = Methods::new(&files);
    drop(files); // large when it is decoded

    // The request stack: what stands around every RPC, outermost first.
    let max_bytes = config.max_request_id_bytes;
    let rpcs = Rpcs::new(&metrics, methods.all().to_vec(), config.handling_seconds);
    let log = AccessLog::default();
    let observers = Observers {
        methods,
        rpcs,
        tracer,
        log: log.clone(),
    };
    let ceiling = config.request_timeout;
    let stack = ServiceBuilder::new()
        .layer(Layer(RequestId { max_bytes })) // first, so that every line and answer has the id
        .layer(Layer(Web::new(config.web_origins.as_ref()))) // inside there is gRPC only
        .layer(Layer(Observe(observers))) // sees every end of a call, whoever brings it about
        .layer(Layer(GrpcOnly)) // what isn't a call costs nothing
        .layer(Layer(CatchPanic)) // turns a defect below into one failed call
        .layer(Layer(Admit::new(config.max_in_flight))) // before anything that waits
        .layer(Layer(EndWithDrain::new(&drain))) // a status for calls that outlast the server
        .layer(Layer(EndAtDeadline { ceiling })) // innermost: layers take of the caller's time too
        .service(Routed::new(routes.routes()));

    let protocols = Protocols {
        tls: config.tls.clone(),
        http1: config.web_origins.is_some(),
    };
    if let Some(tls) = &config.tls {
        watch_certificate(&metrics, tls.clone());
    }
    let readiness = health.readiness();
    let told = sharing.as_ref().map(Sharing::told);
    let shown = async {
        match admin {
            Some(Admin {
                listeners,
                prometheus,
                settings,
            }) => {
                let (prometheus, history) = (Arc::new(prometheus), Arc::<History>::default());
                let users = metrics.users();
                let pages = pages(
                    prometheus.clone(),
                    history.clone(),
                    users,
                    &settings,
                    readiness,
                    told,
                );
                tokio::join!(
                    server::show(listeners, pages),
                    history.follow(&prometheus, api::SERVICE_NAME)
                );
            }
            None => pending().await,
        }
    };
    let renewal = async {
        match &config.tls {
            Some(tls) => tls.follow_files().await,
            None => pending().await,
        }
    };
    let server = Server {
        listeners: listeners.into(),
        protocols,
        bounds: config.connections,
        connections: Connections::new(&metrics),
        health,
        drain,
    };
    let serving = async {
        tokio::select! {
            () = server::serve(server, stack, shutdown) => {}
            () = shown => {}
            () = renewal => {}
            () = log.report_left_out() => {}
        }
    };
    match sharing {
        Some(sharing) => sharing.follow_until(serving).await,
        None => serving.await,
    }
}
