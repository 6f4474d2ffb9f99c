//! Health by gRPC's own protocol, for the server as a whole and for each service by name.

use std::pin::Pin;

use futures_util::{Stream, stream};
use tokio::sync::watch;
use tonic::{Request, Response, Status, async_trait};

use crate::{
    error::status::no_such_service,
    proto::health::{
        HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
        health_check_response::ServingStatus,
        health_server::{self, HealthServer},
    },
};

/// The server as a whole, which is what probes ask for by default.
const WHOLE_SERVER: &str = "";

/// Says that the server is about to end.
#[derive(Debug)]
pub struct Health(watch::Sender<Stage>);

/// How far the server is. All of its services are as it is: Rocket.Chat being down changes nothing,
/// since callers would lose the statuses that say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Serving,
    /// It still answers, and whoever can should go elsewhere.
    Leaving,
    /// Nobody is told any more.
    Left,
}

/// Tells whether the server says SERVING.
#[derive(Clone, Debug)]
pub struct Readiness(watch::Receiver<Stage>);

/// The health service.
#[derive(Clone, Debug)]
pub struct HealthService {
    services: Vec<&'static str>,
    stage: watch::Receiver<Stage>,
}

/// What somebody who watches is told.
struct Watch {
    is_known: bool,
    stage: watch::Receiver<Stage>,
    told: Option<ServingStatus>,
}

/// The health service, which says SERVING for the server and for each of `services`, and the handle
/// that ends that.
#[must_use]
pub fn health(services: &[&'static str]) -> (Health, HealthServer<HealthService>) {
    let (health, stage) = watch::channel(Stage::Serving);
    let services = [WHOLE_SERVER].iter().chain(services).copied().collect();
    let service = HealthService { services, stage };
    (Health(health), HealthServer::new(service))
}

impl Readiness {
    /// Whether it does at this moment.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.0.borrow().status() == ServingStatus::Serving
    }
}

impl Health {
    /// For those who ask in another way.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        Readiness(self.0.subscribe())
    }

    /// Says NOT_SERVING to whoever asks or watches.
    pub(super) fn stop_serving(&self) {
        self.0.send_replace(Stage::Leaving);
    }

    /// Ends the streams of those who watch: an open one would hold its connection to the end. Who
    /// asks still hears NOT_SERVING.
    pub(super) fn end_watches(&self) {
        self.0.send_replace(Stage::Left);
    }
}

impl Stage {
    fn status(self) -> ServingStatus {
        match self {
            Self::Serving => ServingStatus::Serving,
            Self::Leaving | Self::Left => ServingStatus::NotServing,
        }
    }
}

impl HealthService {
    fn knows(&self, service: &str) -> bool {
        self.services.contains(&service)
    }

    fn now(&self) -> HealthCheckResponse {
        response(self.stage.borrow().status())
    }
}

#[async_trait]
impl health_server::Health for HealthService {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if self.knows(&request.get_ref().service) {
            Ok(Response::new(self.now()))
        } else {
            Err(no_such_service())
        }
    }

    async fn list(
        &self,
        _: Request<HealthListRequest>,
    ) -> Result<Response<HealthListResponse>, Status> {
        let services = self.services.iter();
        let statuses = services.map(|name| ((*name).to_owned(), self.now()));
        Ok(Response::new(HealthListResponse {
            statuses: statuses.collect(),
        }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let watch = Watch {
            is_known: self.knows(&request.get_ref().service),
            stage: self.stage.clone(),
            told: None,
        };
        let told = stream::unfold(watch, |mut watch| async {
            let status = watch.next().await?;
            Some((Ok(response(status)), watch))
        });
        Ok(Response::new(Box::pin(told)))
    }
}

impl Watch {
    /// What is told next, when there is something new; `None` at the end.
    async fn next(&mut self) -> Option<ServingStatus> {
        loop {
            let stage = *self.stage.borrow_and_update();
            let status = if self.is_known {
                stage.status()
            } else {
                ServingStatus::ServiceUnknown
            };
            if self.told != Some(status) {
                self.told = Some(status);
                return Some(status);
            }
            if stage == Stage::Left || self.stage.changed().await.is_err() {
                return None;
            }
        }
    }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}
