//! The command line: one file a command, and what they share.

mod arguments;
mod check_config;
mod demo;
mod descriptor;
mod failure;
#[cfg(fuzzing)]
pub mod fuzzing;
mod get_info;
mod health;
mod json;
mod operator;
mod serve;
mod server;
mod service_manager;
mod settings;

use std::{
    ffi::OsString,
    fmt,
    io::{self, Write},
    process::ExitCode,
};

use clap::{CommandFactory, Parser, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::{self, Problem};
use arguments::{Arguments, Ended};

/// Something is wrong with flags, environment or files: `EX_USAGE` of BSD's sysexits.
const EXIT_USAGE: u8 = 64;

/// The version with the commit it was built from.
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (commit ",
    env!("VIDEOCONF_BUILD_COMMIT"),
    ")"
);

/// A gRPC facade for Rocket.Chat's video conferences
#[derive(Parser)]
#[command(
    name = "videoconf-facade",
    version = VERSION,
    max_term_width = 100,
    before_help = "\
Example:
  videoconf-facade demo                                      try it, without a Rocket.Chat
  videoconf-facade serve --upstream-url https://chat.example.org",
    after_help = "\
Every flag of a command can be given by the environment variable beside it; a flag wins.
Exit status: 0 done, 1 failed, 64 wrong flags or configuration; get-info has more of its own."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the facade before a Rocket.Chat
    #[command(
        before_help = "\
Example:
  videoconf-facade serve --upstream-url https://chat.example.org --listen 0.0.0.0:50051",
        after_help = "\
SIGTERM and SIGINT end it gracefully, a second one at once.
Exit status: 0 ended, 1 the address can't be listened on or a second signal came, 64 wrong
configuration."
    )]
    Serve(config::Flags),

    /// Serve the facade before an embedded stand-in for Rocket.Chat, and show a call
    #[command(before_help = "\
Example:
  videoconf-facade demo            shows a call, then serves until ctrl-c
  videoconf-facade demo --once     shows a call and leaves")]
    Demo(demo::Flags),

    /// Get one conference from a running facade, as JSON
    #[command(
        before_help = "\
Example:
  export VIDEOCONF_USER_ID=... VIDEOCONF_AUTH_TOKEN=...
  videoconf-facade get-info --server 127.0.0.1:50051 697866d5c8b053302078137a",
        after_help = "\
The credentials come from the files named above, else from VIDEOCONF_USER_ID and
VIDEOCONF_AUTH_TOKEN; never from an argument, which every user of the machine could see.
Exit status: 0 found, 64 wrong flags, else 64 plus the gRPC code, as grpcurl has it:
67 INVALID_ARGUMENT, 68 DEADLINE_EXCEEDED, 69 NOT_FOUND, 71 PERMISSION_DENIED,
72 RESOURCE_EXHAUSTED, 76 UNIMPLEMENTED, 77 INTERNAL, 78 UNAVAILABLE (no connection too),
80 UNAUTHENTICATED."
    )]
    GetInfo(get_info::Flags),

    /// Ask a running facade for its health, for images without a shell
    #[command(
        before_help = "\
Example:
  videoconf-facade health --server 127.0.0.1:50051",
        after_help = "Exit status: 0 SERVING, 1 anything else, 64 wrong flags."
    )]
    Health(health::Flags),

    /// Check the configuration as serve would, and list every problem
    #[command(
        before_help = "\
Example:
  videoconf-facade check-config --upstream-url https://chat.example.org",
        after_help = "Nothing is bound and nothing is sent.\n\
                      Exit status: 0 no problem, perhaps warnings on stderr, 64 the problems are on stderr."
    )]
    CheckConfig(config::Flags),

    /// Print the service's descriptor set, for tools that don't ask a running facade
    #[command(
        before_help = "\
Example:
  videoconf-facade descriptor > videoconf.binpb
  grpcurl -protoset videoconf.binpb describe rocketchat.videoconference.v1.VideoConference",
        after_help = "\
A google.protobuf.FileDescriptorSet with the service's proto, comments included, all that it imports,
the details of its errors, gRPC's health and reflection.
Exit status: 0 done, 1 stdout is a terminal or can't be written, 64 wrong flags."
    )]
    Descriptor,
}

/// The command line as it is read, for manual pages and completions.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command that `arguments`, the program's name first, ask for.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    forbid_core_dumps();
    let Arguments {
        cli,
        settings,
        problems,
    } = match Arguments::read(arguments) {
        Ok(read) => read,
        Err(Ended::Told(text)) => return print(text.trim_end()),
        Err(Ended::Nothing(help)) => {
            say(help.trim_end());
            return ExitCode::from(EXIT_USAGE);
        }
        Err(Ended::Refused(problems)) => return refuse(&problems),
    };
    match cli.command {
        Command::Serve(flags) => serve::run(&flags, settings, problems),
        Command::CheckConfig(flags) => check_config::run(&flags, problems),
        Command::Demo(flags) => demo::run(&flags, settings, problems),
        Command::GetInfo(flags) => get_info::run(&flags, problems),
        Command::Health(flags) => health::run(&flags, problems),
        Command::Descriptor if problems.is_empty() => descriptor::run(),
        Command::Descriptor => refuse(&problems.into_vec()),
    }
}

/// Keeps memory, with tokens in it, from being written to disk if we crash or hang. Who wants that can allow it for a
/// process that runs, since we leave the hard limit.
fn forbid_core_dumps() {
    let limit = getrlimit(Resource::Core);
    let none = Rlimit {
        current: Some(0),
        ..limit
    };
    // A lower limit is always allowed.
    let _ = setrlimit(Resource::Core, none);
}

/// Lists all of `problems` on stderr.
fn refuse(problems: &[Problem]) -> ExitCode {
    for problem in problems {
        say(format_args!("videoconf-facade: {problem}"));
    }
    ExitCode::from(EXIT_USAGE)
}

/// One line on stderr for what went wrong after the configuration was found good.
fn fail(problem: impl fmt::Display) -> ExitCode {
    say(format_args!("videoconf-facade: {problem}"));
    ExitCode::FAILURE
}

/// Prints a result on stdout. A reader who has left, as `head` does, has seen enough.
fn print(result: impl fmt::Display) -> ExitCode {
    let mut stdout = io::stdout();
    done(writeln!(stdout, "{result}").and_then(|()| stdout.flush()))
}

/// What comes of printing.
fn done(printed: io::Result<()>) -> ExitCode {
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            fail(format_args!("can't print: {error}"))
        }
        _ => ExitCode::SUCCESS,
    }
}

/// A line for people on stderr. If nobody reads it, so be it.
fn say(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Runs a command's future on the program's runtime.
fn block_on(command: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => {
            let exit = runtime.block_on(command);
            // A look-up of a name can't be stopped, and nobody waits for it any more.
            runtime.shutdown_background();
            exit
        }
        Err(error) => fail(format_args!("no runtime: {error}")),
    }
}
