//! Health by gRPC's own protocol, for the server as a whole and for each service by name.

use tonic_health::{
    ServingStatus,
    pb::health_server,
    server::{HealthReporter, HealthService},
};

/// The server as a whole, which is what probes ask for by default.
const WHOLE_SERVER: &str = "";

/// Says that the server is about to end.
#[derive(Clone, Debug)]
pub struct Health {
    reporter: HealthReporter,
    services: Vec<&'static str>,
}

/// The health service, which says SERVING for the server and for each of `services`, and the handle
/// that ends that. Rocket.Chat being down doesn't: callers would lose the statuses that say so.
pub async fn health(
    services: &[&'static str],
) -> (Health, health_server::HealthServer<HealthService>) {
    let reporter = HealthReporter::new();
    let service = HealthService::from_health_reporter(reporter.clone());
    let services: Vec<_> = [WHOLE_SERVER].iter().chain(services).copied().collect();
    for name in &services {
        reporter
            .set_service_status(name, ServingStatus::Serving)
            .await;
    }
    let health = Health { reporter, services };
    (health, health_server::HealthServer::new(service))
}

impl Health {
    /// Says NOT_SERVING to whoever asks or watches.
    pub(super) async fn stop_serving(&self) {
        for name in &self.services {
            self.reporter
                .set_service_status(name, ServingStatus::NotServing)
                .await;
        }
    }

    /// Ends the streams of those who watch: an open one would hold its connection to the end. Who
    /// asks still hears NOT_SERVING.
    pub(super) async fn end_watches(&mut self) {
        for name in &self.services {
            self.reporter.clear_service_status(name).await;
        }
        self.stop_serving().await;
    }
}
