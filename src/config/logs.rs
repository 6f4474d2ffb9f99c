//! The log's flags.

use std::{env, str::FromStr};

use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::telemetry::logs;

pub(super) fn log_format(text: &str) -> Result<logs::Format, String> {
    match text {
        "auto" => Ok(logs::Format::Auto),
        "human" => Ok(logs::Format::Human),
        "json" => Ok(logs::Format::Json),
        _ => Err("is not one of auto, human, json".to_owned()),
    }
}

/// What `RUST_LOG` says. It is set for all programs of a machine or a cluster, in a syntax that other
/// readers take further than we do, so one that we can't read mustn't stop us.
pub(super) fn shared_log_filter(warnings: &mut Vec<String>) -> Targets {
    let default = || Targets::new().with_default(LevelFilter::INFO);
    let shared = env::var_os("RUST_LOG").unwrap_or_default();
    if shared.is_empty() {
        return default();
    }
    let filter = shared.to_str().and_then(|shared| log_filter(shared).ok());
    filter.unwrap_or_else(|| {
        let why = "RUST_LOG is no filter that can be read here, so it is info; \
                   VIDEOCONF_LOG_FILTER is read instead if it is set";
        warnings.push(why.to_owned());
        default()
    })
}

/// Stricter than the parser, which takes any word for a target: a level with a typing error would
/// silence everything.
pub(super) fn log_filter(text: &str) -> Result<Targets, String> {
    let is_level = |level: &str| !level.is_empty() && LevelFilter::from_str(level).is_ok();
    let is_target = |target: &str| {
        let is_fit = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | ':' | '-');
        !target.is_empty() && target.chars().all(is_fit)
    };
    let is_known = |directive: &str| match directive.split_once('=') {
        Some((target, level)) => is_target(target) && is_level(level),
        None => is_level(directive),
    };
    let unknown = text.split(',').position(|directive| !is_known(directive));
    match (unknown, Targets::from_str(text)) {
        (None, Ok(filter)) => Ok(filter),
        // Which, but not what: it may be a secret that was meant for another flag.
        (unknown, _) => Err(format!(
            "part {} is neither a level (off, error, warn, info, debug, trace) nor target=level",
            unknown.unwrap_or_default() + 1
        )),
    }
}
