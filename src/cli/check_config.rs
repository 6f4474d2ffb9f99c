//! `check-config`: everything that `serve` checks, and no more.

use std::process::ExitCode;

use super::{operator, print, refuse, say};
use crate::{
    app,
    config::{Config, Flags, Problem, Problems},
    metrics::Metrics,
    source::ConferenceSource,
    telemetry::metrics::Prometheus,
};

pub(super) fn run(flags: &Flags, problems: Problems) -> ExitCode {
    match check(flags, problems) {
        Ok(checked) => {
            for warning in &checked.config.warnings {
                say(format_args!("videoconf-facade: warning: {warning}"));
            }
            print("the configuration is good")
        }
        Err(problems) => refuse(&problems),
    }
}

/// A configuration, and what it makes.
pub(super) struct Checked<S> {
    pub(super) config: Config,
    pub(super) metrics: Metrics,
    pub(super) prometheus: Option<Prometheus>,
    pub(super) source: S,
}

/// The configuration and what it makes, or every problem, those of the arguments first.
pub(super) fn check(
    flags: &Flags,
    problems: Problems,
) -> Result<Checked<impl ConferenceSource + use<>>, Vec<Problem>> {
    let config = flags.check(problems)?;
    let (metrics, prometheus) = operator::measured(&config);
    match app::source(&config, &metrics) {
        Ok(source) => Ok(Checked {
            config,
            metrics,
            prometheus,
            source,
        }),
        Err(problem) => {
            let mut problems = Problems::default();
            problems.note(problem);
            Err(problems.into_vec())
        }
    }
}
