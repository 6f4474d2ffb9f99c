//! Reading the arguments to the end: clap stops at the first that is wrong, an operator wants them
//! all.

use std::{env, ffi::OsString, process::ExitCode};

use clap::{
    CommandFactory, FromArgMatches,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{Cli, refuse};
use crate::config::Problem;

/// What could be read, and what was wrong with the rest.
pub(super) struct Arguments {
    pub(super) cli: Cli,
    pub(super) problems: Vec<Problem>,
}

impl Arguments {
    /// Reads the arguments without those that are wrong. Help and version are printed at once.
    pub(super) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, ExitCode> {
        let mut arguments: Vec<_> = arguments.into_iter().collect();
        let mut problems = Vec::new();
        loop {
            let error = match parse(&arguments) {
                Ok(cli) => return Ok(Self { cli, problems }),
                Err(error) => error,
            };
            if matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            ) {
                let _ = error.print();
                return Err(ExitCode::SUCCESS);
            }
            problems.push(Problem::new(summary(&error)));
            if !remove_culprit(&mut arguments, &error) {
                return Err(refuse(&problems));
            }
        }
    }
}

fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let command = Cli::command().mut_subcommands(|command| {
        command.mut_args(|arg| {
            // Templates leave variables empty where they mean to leave them out.
            let is_empty = |name| env::var_os(name).is_some_and(|value| value.is_empty());
            // Help shows the variables' names; their values may be secrets.
            let arg = arg.hide_env_values(true);
            if arg.get_env().is_some_and(is_empty) {
                arg.env(None)
            } else {
                arg
            }
        })
    });
    Cli::from_arg_matches(&command.try_get_matches_from(arguments)?)
}

/// clap's message and its tips in one line, without the usage.
fn summary(error: &clap::Error) -> String {
    let text = error.render().to_string();
    text.lines()
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .map(|line| line.trim().trim_start_matches("error: "))
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
}

/// Takes the argument that `error` complains of out of `arguments`, with its value. `false` if it
/// can't be found.
fn remove_culprit(arguments: &mut Vec<OsString>, error: &clap::Error) -> bool {
    let Some(ContextValue::String(culprit)) = error.get(ContextKind::InvalidArg) else {
        return false;
    };
    // clap shows a flag with its value's name: "--listen <ADDR:PORT>".
    let name = culprit.split(' ').next().unwrap_or(culprit);
    let is_culprit = |argument: &OsString| {
        let argument = argument.to_string_lossy();
        argument == name || argument.split('=').next() == Some(name)
    };
    let Some(at) = arguments.iter().rposition(is_culprit) else {
        return false;
    };
    let has_value = !arguments[at].to_string_lossy().contains('=')
        && name.starts_with("--")
        && arguments
            .get(at + 1)
            .is_some_and(|next| !next.to_string_lossy().starts_with('-'));
    arguments.drain(at..=at + usize::from(has_value));
    true
}
