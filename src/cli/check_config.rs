//! `check-config`: everything that `serve` checks, and no more.

use std::process::ExitCode;

use super::refuse;
use crate::{
    app,
    config::{Config, Flags, Problem},
    source::ConferenceSource,
};

pub(super) fn run(flags: &Flags, problems: Vec<Problem>) -> ExitCode {
    match check(flags, problems) {
        Ok(_) => {
            println!("the configuration is good");
            ExitCode::SUCCESS
        }
        Err(problems) => refuse(&problems),
    }
}

/// The configuration and the source that it makes, or every problem: those of the arguments in
/// `problems` first.
pub(super) fn check(
    flags: &Flags,
    mut problems: Vec<Problem>,
) -> Result<(Config, impl ConferenceSource + use<>), Vec<Problem>> {
    let config = match flags.check() {
        Ok(config) if problems.is_empty() => config,
        Ok(_) => return Err(problems),
        Err(more) => {
            problems.extend(more);
            return Err(problems);
        }
    };
    match app::source(&config) {
        Ok(source) => Ok((config, source)),
        Err(problem) => Err(vec![Problem::new(format!("upstream: {problem}"))]),
    }
}
