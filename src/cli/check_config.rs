//! `check-config`: everything that `serve` checks, and no more.

use std::process::ExitCode;

use super::{print, refuse, say};
use crate::{
    app,
    config::{Config, Flags, Problem, Problems},
    source::ConferenceSource,
};

pub(super) fn run(flags: &Flags, problems: Problems) -> ExitCode {
    match check(flags, problems) {
        Ok((config, _)) => {
            for warning in &config.warnings {
                say(format_args!("videoconf-facade: warning: {warning}"));
            }
            print("the configuration is good")
        }
        Err(problems) => refuse(&problems),
    }
}

/// The configuration and the source that it makes, or every problem, those of the arguments first.
pub(super) fn check(
    flags: &Flags,
    problems: Problems,
) -> Result<(Config, impl ConferenceSource + use<>), Vec<Problem>> {
    let config = flags.check(problems)?;
    match app::source(&config) {
        Ok(source) => Ok((config, source)),
        Err(problem) => {
            let mut problems = Problems::default();
            problems.note(problem);
            Err(problems.into_vec())
        }
    }
}
