//! `check-config`: everything that `serve` checks, but for what only others can tell.

use std::process::ExitCode;

use super::{print, refuse, say};
use crate::{
    app::{self, Facade},
    config::{Config, Flags, Problem, Problems},
    source::ConferenceSource,
    telemetry::Instruments,
};

pub(super) fn run(flags: &Flags, problems: Problems) -> ExitCode {
    let checked = flags.check(problems).and_then(|config| {
        facade(&config, &Instruments::off())?;
        Ok(config)
    });
    match checked {
        Ok(config) => {
            for warning in &config.warnings {
                say(format_args!("videoconf-facade: warning: {warning}"));
            }
            print("the configuration is good")
        }
        Err(problems) => refuse(&problems),
    }
}

/// What the configuration makes, which may be a problem, too.
pub(super) fn facade(
    config: &Config,
    instruments: &Instruments,
) -> Result<Facade<impl ConferenceSource + use<>>, Vec<Problem>> {
    app::facade(config, instruments).map_err(|problem| {
        let mut problems = Problems::default();
        problems.note(problem);
        problems.into_vec()
    })
}
