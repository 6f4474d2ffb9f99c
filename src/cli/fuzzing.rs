//! A door for fuzzers to the command line, which ends in an exit status otherwise.

use std::ffi::OsString;

use super::{
    Command,
    arguments::{Arguments, Ended},
};
use crate::config::{Config, Problem};

/// What comes of reading arguments.
pub enum Read {
    /// Help, or the version.
    Told(String),
    /// What is wrong.
    Refused(Vec<Problem>),
    /// A command of which nobody is shown the flags.
    Accepted,
    /// One with a configuration, and what operators see of its flags.
    Configured(Box<Config>, String),
}

/// Reads `arguments`, the program's name first, as the program does.
#[must_use]
pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Read {
    let Arguments {
        cli,
        settings,
        problems,
    } = match Arguments::read(arguments) {
        Ok(read) => read,
        Err(Ended::Told(text) | Ended::Nothing(text)) => return Read::Told(text),
        Err(Ended::Refused(problems)) => return Read::Refused(problems),
    };
    match cli.command {
        Command::Serve(flags) | Command::CheckConfig(flags) => match flags.check(problems) {
            Ok(config) => Read::Configured(Box::new(config), settings.to_string()),
            Err(problems) => Read::Refused(problems),
        },
        _ if problems.is_empty() => Read::Accepted,
        _ => Read::Refused(problems.into_vec()),
    }
}
