//! Writes the manual pages and the shells' completions, which are made of the flags, into a folder:
//!
//! `cargo run --example manual -- FOLDER`
//!
//! `SOURCE_DATE_EPOCH` is the date of the pages, in seconds since 1970.

use std::{
    env, fs, io,
    path::Path,
    process::ExitCode,
    time::{Duration, SystemTime},
};

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use roff::{Inline, Roff, bold, roman};

const PROGRAM: &str = "videoconf-facade";

fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1) else {
        eprintln!("manual: needs the folder to write into");
        return ExitCode::from(64);
    };
    match write(Path::new(&folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("manual: {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    // Before the library adds a command for help, which needs no page.
    for command in videoconf_facade::cli::command().get_subcommands() {
        write_page(
            folder,
            &format!("{PROGRAM}-{}", command.get_name()),
            command.clone(),
        )?;
    }
    write_page(folder, PROGRAM, videoconf_facade::cli::command())?;
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        let mut command = videoconf_facade::cli::command();
        let file = clap_complete::generate_to(shell, &mut command, PROGRAM, folder)?;
        if shell == Shell::Bash {
            // The library has two names for what comes behind a program with a hyphen in its own.
            let text = fs::read_to_string(&file)?;
            fs::write(
                file,
                text.replace("videoconf__subcmd__facade", "videoconf__facade"),
            )?;
        }
    }
    Ok(())
}

/// A page for `command`: what its help says, in a page's order.
fn write_page(folder: &Path, name: &str, command: Command) -> io::Result<()> {
    let is_program = name == PROGRAM;
    let example = command.get_before_help().map(ToString::to_string);
    let notes = command.get_after_help().map(ToString::to_string);
    let commands: Vec<_> = command
        .get_subcommands()
        .map(|it| it.get_name().to_owned())
        .collect();
    let command = command
        .display_name(name)
        .bin_name(name.replacen(&format!("{PROGRAM}-"), &format!("{PROGRAM} "), 1))
        .disable_help_subcommand(true);
    let page = Man::new(command)
        .title(name.to_uppercase())
        .date(date())
        .source(concat!("videoconf-facade ", env!("CARGO_PKG_VERSION")))
        .manual("User Commands");

    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    if let Some(example) = example {
        let lines = example.lines().skip(1).map(str::trim_start);
        section("EXAMPLES", lines, &mut text)?;
    }
    page.render_options_section(&mut text)?;
    if is_program {
        page.render_subcommands_section(&mut text)?;
    }
    if let Some(notes) = notes {
        section("NOTES", notes.lines(), &mut text)?;
    }
    let mut others = vec![PROGRAM.to_owned()];
    if is_program {
        others = commands
            .iter()
            .map(|it| format!("{PROGRAM}-{it}"))
            .collect();
    }
    see_also(&others, &mut text)?;
    fs::write(folder.join(format!("{name}.1")), text)
}

/// A section whose lines stay as they are.
fn section<'a>(
    title: &str,
    lines: impl Iterator<Item = &'a str>,
    page: &mut Vec<u8>,
) -> io::Result<()> {
    let mut section = Roff::new();
    section.control("SH", [title]).control("nf", []);
    for line in lines {
        section.text([roman(line)]);
    }
    section.control("fi", []).to_writer(page)
}

fn see_also(others: &[String], page: &mut Vec<u8>) -> io::Result<()> {
    let mut names: Vec<Inline> = Vec::new();
    for (number, other) in others.iter().enumerate() {
        let separator = if number == 0 { "" } else { ", " };
        names.extend([roman(separator), bold(other), roman("(1)")]);
    }
    let mut section = Roff::new();
    section.control("SH", ["SEE ALSO"]).text(names);
    section.to_writer(page)
}

/// The day of the source, or nothing.
fn date() -> String {
    let seconds = env::var("SOURCE_DATE_EPOCH")
        .ok()
        .and_then(|it| it.parse().ok());
    let date = seconds.map(|it| SystemTime::UNIX_EPOCH + Duration::from_secs(it));
    let date = date.map(|it| humantime::format_rfc3339_seconds(it).to_string());
    date.map_or(String::new(), |it| {
        it.chars().take("2026-01-01".len()).collect()
    })
}
