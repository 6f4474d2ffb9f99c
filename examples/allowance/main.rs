//! What Rocket.Chat's limit leaves to many callers, with the facade and without: a simulation.
//!
//! `cargo run --release --example allowance` asks for K different calls at a steady rate, while the
//! sandbox enforces the limit for real: 15 requests per 3 s and client address, which is a read of each
//! call every K x 0.2 s at best. For each K there are two runs: `facade` has the source stack of
//! [`app::facade`](videoconf_facade::app::facade) with the defaults of `serve` (or what its environment
//! variables say), `without` makes a read for every caller. `--replicas` has several facades behind one
//! address, and `--shared-store` has them share it. All of it happens in this process, on free
//! ports of 127.0.0.1.

mod clients;
mod measured;
mod picture;
mod progress;
mod run;
mod table;

use std::{
    fmt,
    fs::File,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, value_parser};

use clients::Load;
use measured::Measured;
use progress::Progress;
use run::Stack;

/// Something is wrong with the flags, as for the facade itself.
const EXIT_USAGE: u8 = 64;

/// The longest time that can be asked for.
const MAX_TIME: Duration = Duration::from_hours(1);

/// What the facade gives a call, whatever deadline its caller sets.
const MAX_DEADLINE: Duration = Duration::from_secs(10);

/// Simulate many callers before Rocket.Chat's limit, with the facade and without
#[derive(Parser)]
#[command(name = "allowance", max_term_width = 100)]
struct Arguments {
    /// How many different calls are asked for: a pair of runs for each number
    #[arg(long, value_name = "K,K,...", default_value = "5,20,40,100,150,400")]
    #[arg(value_delimiter = ',', value_parser = value_parser!(u32).range(1..=10_000))]
    calls: Vec<u32>,

    /// How many clients ask
    #[arg(long, value_name = "N", default_value = "200")]
    #[arg(value_parser = value_parser!(u32).range(1..=100_000))]
    clients: u32,

    /// How many times a second they ask, all together
    #[arg(long, value_name = "N", default_value = "2000")]
    #[arg(value_parser = value_parser!(u32).range(1..=100_000))]
    rate: u32,

    /// How long they wait for each answer
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = deadline)]
    deadline: Duration,

    /// How long a run lasts after the first fill, in which every call is read once: K x 0.2 s + 1 s
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = time)]
    run: Duration,

    /// How many facades there are behind one address, over which the clients are spread
    #[arg(long, value_name = "N", default_value = "1")]
    #[arg(value_parser = value_parser!(u32).range(1..=16))]
    replicas: u32,

    /// The Valkey or Redis through which they share the limit; without it they know nothing of each other
    #[arg(long, value_name = "URL")]
    shared_store: Option<String>,

    /// Draw the results into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// The two runs for one number of calls.
struct Row {
    calls: u32,
    facade: Measured,
    without: Measured,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            return end(EXIT_USAGE, line.trim_start_matches("error: "));
        }
        Err(help) => return print(help),
    };
    // Opened first, since nobody wants to hear after minutes that it can't be written.
    let svg = match arguments.svg.as_ref().map(File::create).transpose() {
        Ok(svg) => svg,
        Err(error) => return end(EXIT_USAGE, format_args!("--svg can't be written: {error}")),
    };

    let rows = match arguments.rows() {
        Ok(rows) => rows,
        Err(problem) => return end(1, problem),
    };
    if let Some(mut svg) = svg {
        let picture = picture::draw(&rows, &arguments.conditions());
        if let Err(error) = svg.write_all(picture.as_bytes()) {
            return end(1, format_args!("--svg can't be written: {error}"));
        }
    }
    print(format_args!(
        "{}\n{}",
        table::markdown(&rows),
        arguments.conditions()
    ))
}

impl Arguments {
    /// Makes all runs, one after another, so that none takes the other's processor time.
    fn rows(&self) -> Result<Vec<Row>, String> {
        let mut calls = self.calls.clone();
        calls.sort_unstable();
        calls.dedup();
        let loads: Vec<_> = calls.into_iter().map(|calls| self.load(calls)).collect();
        let mut progress = Progress::new(loads.iter().map(|load| load.length() * 2).sum());

        let facades = Stack::Facade {
            replicas: self.replicas,
            shared_store: self.shared_store.as_deref(),
        };
        let row = |load: &Load| {
            Ok(Row {
                calls: load.calls,
                facade: run::run(facades, load, &mut progress)?,
                without: run::run(Stack::Without, load, &mut progress)?,
            })
        };
        loads.iter().map(row).collect()
    }

    fn load(&self, calls: u32) -> Load {
        Load {
            calls,
            clients: self.clients,
            rate: self.rate,
            deadline: self.deadline,
            after_fill: self.run,
        }
    }

    /// What all runs have in common.
    fn conditions(&self) -> String {
        let Self { clients, rate, .. } = self;
        let deadline = humantime::format_duration(self.deadline);
        let run = humantime::format_duration(self.run);
        let replicas = match (self.replicas, &self.shared_store) {
            (1, None) => String::new(),
            (replicas, None) => format!(" {replicas} replicas, sharing nothing."),
            (replicas, Some(_)) => format!(" {replicas} replicas, sharing a store."),
        };
        format!(
            "{clients} clients, {rate} calls a second, a deadline of {deadline}; \
             {run} after the first fill; 15 requests per 3 s.{replicas}"
        )
    }
}

fn time(text: &str) -> Result<Duration, &'static str> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("must be more than nothing"),
        Ok(time) if time > MAX_TIME => Err("is more than an hour"),
        Ok(time) => Ok(time),
        Err(_) => Err("is not a time with its unit, like 250ms, 10s or 2m"),
    }
}

fn deadline(text: &str) -> Result<Duration, &'static str> {
    match time(text)? {
        time if time > MAX_DEADLINE => Err("is more than the facade's own 10s"),
        time => Ok(time),
    }
}

fn print(result: impl fmt::Display) -> ExitCode {
    match writeln!(io::stdout(), "{result}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => end(1, format_args!("can't print: {error}")),
    }
}

/// The exit status, with a line on what went wrong. If nobody reads it, so be it.
fn end(status: u8, problem: impl fmt::Display) -> ExitCode {
    let _ = writeln!(io::stderr(), "allowance: {problem}");
    ExitCode::from(status)
}
