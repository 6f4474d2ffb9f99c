//! What `serve` and `demo` have for operators, beside logs.

use serde_json::Value;

use crate::{
    app::Admin,
    config::Config,
    metrics::Metrics,
    server::Listeners,
    telemetry::metrics::{self, Prometheus},
};

/// What measures, and what was measured, if anybody can look at it.
pub(super) fn measured(config: &Config) -> (Metrics, Option<Prometheus>) {
    if config.admin_listen.is_none() {
        return (Metrics::off(), None);
    }
    let (metrics, prometheus) = metrics::start();
    (metrics, Some(prometheus))
}

/// The port where it can be looked at, or `otherwise`.
///
/// # Errors
/// Why it can't be listened on.
pub(super) async fn admin(
    config: &Config,
    prometheus: Option<Prometheus>,
    settings: Value,
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
    Ok(Some(Admin {
        listeners,
        prometheus,
        settings,
    }))
}
