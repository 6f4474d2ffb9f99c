//! The command `videoconf-facade`.

use std::process::ExitCode;

fn main() -> ExitCode {
    videoconf_facade::cli::run(std::env::args_os())
}
