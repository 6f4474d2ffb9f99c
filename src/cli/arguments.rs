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
        let mut problems = Problems::default();
        let mut arguments: Vec<_> = arguments
            .into_iter()
            .map(|argument| text(argument, &mut problems))
            .collect();
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

/// An argument as text; clap would stop at one that isn't, and not say where.
fn text(argument: OsString, problems: &mut Problems) -> String {
    argument.into_string().unwrap_or_else(|argument| {
        problems.note(format!("{} is not UTF-8", argument.display()));
        argument.to_string_lossy().into_owned()
    })
}

fn parse(arguments: &[String]) -> Result<Cli, Error> {
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
    let text = text
        .lines()
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .map(|line| line.trim().trim_start_matches("error: "))
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
        .replace(":; ", ": ");
    without_credentials(&text)
}

/// `text` without what stands between `://` and `@`, as in a URL whose flag was forgotten.
fn without_credentials(text: &str) -> String {
    match text.split_once("://") {
        Some((scheme, rest)) => match rest.split_once('@') {
            Some((_, host)) => format!("{scheme}://[redacted]@{host}"),
            None => text.to_owned(),
        },
        None => text.to_owned(),
    }
}

/// Where the argument stands of which `error` complains.
fn culprit(arguments: &[String], error: &Error) -> Option<usize> {
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
        .rposition(|argument| argument.split('=').next() == Some(name))
}

/// Takes an argument out, with the value that follows it.
fn remove(arguments: &mut Vec<String>, at: usize) {
    let argument = arguments.remove(at);
    let Some(next) = arguments.get(at) else {
        return;
    };
    let may_have_value = argument.starts_with("--") && !argument.contains('=');
    // Of an unknown flag it isn't known whether it takes a value. It does if the next word is
    // nothing by itself.
    if may_have_value && !next.starts_with('-') && is_stray(arguments, at) {
        arguments.remove(at);
    }
}

/// Whether the word at `at` is what is wrong with the arguments up to it.
fn is_stray(arguments: &[String], at: usize) -> bool {
    let about = ContextValue::String(arguments[at].clone());
    parse(&arguments[..=at]).is_err_and(|error| {
        error.kind() == ErrorKind::UnknownArgument
            && error.get(ContextKind::InvalidArg) == Some(&about)
    })
}
