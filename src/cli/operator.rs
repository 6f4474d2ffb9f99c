//! The operator's port of `serve` and `demo`.

use serde_json::{Value, json};

use crate::{app::Admin, config::Config, server::Listeners, telemetry::metrics::Prometheus};

/// The port where it can be looked at, or `otherwise`.
///
/// # Errors
/// Why it can't be listened on.
pub(super) async fn admin(
    config: &Config,
    prometheus: Option<Prometheus>,
    mut settings: Value,
    otherwise: Option<&str>,
) -> Result<Option<Admin>, String> {
    let (Some(listen), Some(prometheus)) = (&config.admin_listen, prometheus) else {
        return Ok(None);
    };
    let bound = match (Listeners::bind(listen.as_str(), false).await, otherwise) {
        (Err(_), Some(otherwise)) => Listeners::bind(otherwise, false).await,
        (bound, _) => bound,
    };
    let listeners =
        bound.map_err(|error| format!("can't listen for operators on {listen}: {error}"))?;
    for (what, receiver) in config.otlp.receivers() {
        let (origin, protocol) = (receiver.origin(), receiver.protocol.as_str());
        settings["otlp"][what] = json!({ "receiver": origin, "protocol": protocol });
    }
    Ok(Some(Admin {
        listeners,
        prometheus,
        settings,
    }))
}
