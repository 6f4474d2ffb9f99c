//! Reading the arguments to the end: clap stops at the first that is wrong, an operator wants them
//! all.

use std::{env, ffi::OsString};

use clap::{
    Arg, Command, CommandFactory, Error, FromArgMatches,
    error::{ContextKind, ContextValue, ErrorKind},
};

use serde_json::Value;

use super::{Cli, settings::settings};
use crate::config::{Problem, Problems, problem::NOT_TEXT};

/// What could be read, and what was wrong with the rest.
pub(super) struct Arguments {
    pub(super) cli: Cli,
    /// The flags as they were given, for operators.
    pub(super) settings: Value,
    pub(super) problems: Problems,
}

/// Why there is no command to run.
pub(super) enum Ended {
    /// Help or the version is all that was asked for: this.
    Told(String),
    /// Nothing was asked for, so this tells what can be.
    Nothing(String),
    /// It can't be read for these reasons.
    Refused(Vec<Problem>),
}

/// One of the arguments, and the how manieth it was. The program's name is number 0.
struct Word {
    position: usize,
    text: String,
}

impl Arguments {
    /// Reads the arguments without those that are wrong.
    pub(super) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, Ended> {
        let mut problems = Problems::default();
        let mut words: Vec<_> = arguments
            .into_iter()
            .enumerate()
            .map(|(position, argument)| Word::new(position, argument, &mut problems))
            .collect();
        loop {
            let error = match parse(&words) {
                Ok((cli, settings)) => {
                    return Ok(Self {
                        cli,
                        settings,
                        problems,
                    });
                }
                Err(error) => error,
            };
            match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                    return Err(Ended::Told(error.render().to_string()));
                }
                ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                    return Err(if problems.is_empty() {
                        Ended::Nothing(error.render().to_string())
                    } else {
                        Ended::Refused(problems.into_vec())
                    });
                }
                _ => {}
            }
            let culprit = culprit(&words, &error);
            problems.note(description(&error, &words, culprit));
            match culprit {
                // Without its command nothing is known of what follows.
                Some(at) if error.kind() != ErrorKind::InvalidSubcommand => remove(&mut words, at),
                _ => return Err(Ended::Refused(problems.into_vec())),
            }
        }
    }
}

impl Word {
    /// An argument as text; clap would stop at one that isn't, and not say where.
    fn new(position: usize, argument: OsString, problems: &mut Problems) -> Self {
        let text = argument.into_string().unwrap_or_else(|argument| {
            problems.note(format!("argument {position} is not UTF-8"));
            argument.to_string_lossy().into_owned()
        });
        Self { position, text }
    }

    /// A flag without its value, or the whole word.
    fn name(&self) -> &str {
        self.text.split('=').next().unwrap_or_default()
    }
}

fn parse(words: &[Word]) -> Result<(Cli, Value), Error> {
    let command = Cli::command().mut_subcommands(|command: Command| command.mut_args(variable));
    let words = words.iter().map(|word| &word.text);
    let matches = command.try_get_matches_from(words)?;
    Ok((Cli::from_arg_matches(&matches)?, settings(&matches)))
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

/// What is wrong, without clap's message: that quotes words, and one that nobody expected may be a
/// password. Words are named by their place, and no names are repeated but our own.
fn description(error: &Error, words: &[Word], culprit: Option<usize>) -> String {
    let place = match culprit {
        Some(at) => format!("argument {}", words[at].position),
        None => "an argument".to_owned(),
    };
    // These errors are about arguments that there are.
    let name = about(error, ContextKind::InvalidArg).unwrap_or_default();
    let name = name.split(' ').next().unwrap_or_default();
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let tip = culprit.map_or(String::new(), |at| tip(error, words, at));
            format!("{place} is not expected{tip}")
        }
        ErrorKind::InvalidSubcommand => {
            let command = Cli::command();
            let commands: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
            format!("{place} is none of the commands: {}", commands.join(", "))
        }
        ErrorKind::TooManyValues => format!("{name} takes no value"),
        ErrorKind::InvalidValue => format!("{name} needs a value"),
        ErrorKind::ArgumentConflict => format!("{name} is given more than once"),
        ErrorKind::MissingRequiredArgument => {
            format!("{} is missing", name.trim_matches(['<', '>']))
        }
        _ => format!("{place} can't be read"),
    }
}

/// What may be meant by the word at `at`.
fn tip(error: &Error, words: &[Word], at: usize) -> String {
    let root = Cli::command();
    let flags = |command: &Command| -> Vec<String> {
        let flags = command.get_arguments().filter_map(Arg::get_long);
        flags.map(|flag| format!("--{flag}")).collect()
    };
    let word = words[at].name();
    let command = words[..at]
        .iter()
        .find_map(|word| root.find_subcommand(&word.text));
    let is_like = |flag: &&String| {
        word.len() > "--".len() && (flag.starts_with(word) || word.starts_with(&***flag))
    };
    if let Some(flag) = command.map(flags).iter().flatten().find(is_like) {
        return format!("; perhaps {flag} is meant");
    }
    let all: Vec<_> = root.get_subcommands().flat_map(flags).collect();
    match all.iter().find(|flag| *flag == word) {
        Some(flag) if command.is_some() => format!("; other commands have {flag}"),
        Some(flag) => format!("; {flag} goes behind its command"),
        None if error.get(ContextKind::Suggested).is_some() => {
            "; a value that begins with - goes behind --".to_owned()
        }
        None => String::new(),
    }
}

/// What `error` says of its cause.
fn about(error: &Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind)? {
        ContextValue::String(about) => Some(about),
        ContextValue::Strings(about) => about.first().map(String::as_str),
        _ => None,
    }
}

/// Where the word stands of which `error` complains.
fn culprit(words: &[Word], error: &Error) -> Option<usize> {
    let unknown = match error.kind() {
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        ErrorKind::InvalidSubcommand => ContextKind::InvalidSubcommand,
        _ => {
            // clap shows a flag with its value's name: "--listen <ADDR:PORT>".
            let flag = about(error, ContextKind::InvalidArg)?.split(' ').next()?;
            return words.iter().rposition(|word| word.name() == flag);
        }
    };
    // The first with which it goes wrong in this way. The same word may stand elsewhere as a value,
    // and of a cluster of short flags clap names one.
    (1..words.len()).find(|at| {
        parse(&words[..=*at]).is_err_and(|other| {
            other.kind() == error.kind() && about(&other, unknown) == about(error, unknown)
        })
    })
}

/// Takes a word out, with the value that follows it.
fn remove(words: &mut Vec<Word>, at: usize) {
    let word = words.remove(at).text;
    let Some(next) = words.get(at) else {
        return;
    };
    let may_have_value = word.starts_with("--") && !word.contains('=');
    // Of an unknown flag it isn't known whether it takes a value. It does if the next word is
    // nothing by itself.
    if may_have_value && !next.text.starts_with('-') && is_stray(words, at) {
        words.remove(at);
    }
}

/// Whether the word at `at` is what is wrong with the words up to it.
fn is_stray(words: &[Word], at: usize) -> bool {
    parse(&words[..=at]).is_err_and(|error| {
        error.kind() == ErrorKind::UnknownArgument
            && about(&error, ContextKind::InvalidArg) == Some(&*words[at].text)
    })
}
