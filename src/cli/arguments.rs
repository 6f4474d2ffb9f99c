//! Reading the arguments to the end: clap stops at the first that is wrong, an operator wants them
//! all.

use std::{env, ffi::OsString, process::ExitCode};

use clap::{
    Arg, Command, CommandFactory, Error, FromArgMatches,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{Cli, EXIT_USAGE, refuse};
use crate::config::Problems;

/// Stands for a variable that isn't text, until its flag's own check refuses it. No flag accepts it.
const NOT_TEXT: &str = "\0 (not UTF-8)";

/// What could be read, and what was wrong with the rest.
pub(super) struct Arguments {
    pub(super) cli: Cli,
    pub(super) problems: Problems,
}

impl Arguments {
    /// Reads the arguments without those that are wrong. Help and version are printed at once.
    pub(super) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, ExitCode> {
        let mut arguments: Vec<_> = arguments.into_iter().collect();
        let mut problems = Problems::default();
        loop {
            let error = match parse(&arguments) {
                Ok(cli) => return Ok(Self { cli, problems }),
                Err(error) => error,
            };
            match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                    let _ = error.print();
                    return Err(ExitCode::SUCCESS);
                }
                ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                    let _ = error.print();
                    return Err(ExitCode::from(EXIT_USAGE));
                }
                _ => problems.note(summary(&error)),
            }
            match culprit(&arguments, &error) {
                Some(at) => remove(&mut arguments, at),
                None => return Err(refuse(&problems.into_vec())),
            }
        }
    }
}

fn parse(arguments: &[OsString]) -> Result<Cli, Error> {
    let command = Cli::command().mut_subcommands(|command: Command| command.mut_args(variable));
    Cli::from_arg_matches(&command.try_get_matches_from(arguments)?)
}

/// How an argument takes its variable.
fn variable(arg: Arg) -> Arg {
    // Help shows the variables' names; their values may be secrets.
    let arg = arg.hide_env_values(true);
    let Some(value) = arg.get_env().and_then(env::var_os) else {
        return arg;
    };
    if value.is_empty() {
        // Templates leave variables empty where they mean to leave them out.
        arg.env(None)
    } else if value.to_str().is_none() {
        // clap would stop here, and not say where.
        arg.env(None).default_value(NOT_TEXT)
    } else {
        arg
    }
}

/// clap's message and its tips in one line, without the usage.
fn summary(error: &Error) -> String {
    let text = error.render().to_string();
    text.lines()
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .map(|line| line.trim().trim_start_matches("error: "))
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
}

/// Where the argument stands of which `error` complains.
fn culprit(arguments: &[OsString], error: &Error) -> Option<usize> {
    let about = |error: &Error| match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(about)) => Some(about.clone()),
        _ => None,
    };
    let about_what = about(error)?;
    if error.kind() == ErrorKind::UnknownArgument {
        // The first with which it goes wrong in this way. The same word may stand elsewhere as a
        // value, and of a cluster of short flags clap names one.
        return (1..arguments.len()).find(|at| {
            parse(&arguments[..=*at]).is_err_and(|error| {
                error.kind() == ErrorKind::UnknownArgument
                    && about(&error).as_ref() == Some(&about_what)
            })
        });
    }
    // clap shows a flag with its value's name: "--listen <ADDR:PORT>".
    let name = about_what.split(' ').next()?;
    arguments
        .iter()
        .rposition(|argument| argument.to_string_lossy().split('=').next() == Some(name))
}

/// Takes an argument out, with the value that follows it.
fn remove(arguments: &mut Vec<OsString>, at: usize) {
    let flag = arguments[at].to_string_lossy();
    let has_value = flag.starts_with("--")
        && !flag.contains('=')
        && arguments
            .get(at + 1)
            .is_some_and(|next| !next.to_string_lossy().starts_with('-'));
    arguments.drain(at..=at + usize::from(has_value));
}
