//! Results go to stdout, whoever reads it.

use std::{
    io::pipe,
    process::{Output, Stdio},
};

use crate::support::{process::command, soon};

/// Runs the command with `stdout`.
async fn run_into(arguments: &[&str], stdout: impl Into<Stdio>) -> Output {
    let mut command = command(arguments);
    command.stdout(stdout);
    soon(command.spawn().expect("the command").wait_with_output())
        .await
        .expect("an end")
}

const COMMANDS: [&[&str]; 5] = [
    &["--help"],
    &["--version"],
    &["serve", "--help"],
    &["check-config", "--upstream-url", "http://127.0.0.1"],
    &["demo", "--once", "--log-filter", "off"],
];

#[tokio::test]
async fn a_reader_who_leaves_is_no_trouble() {
    for arguments in COMMANDS {
        let (reader, writer) = pipe().expect("a pipe");
        drop(reader);
        let ended = run_into(arguments, writer).await;
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(0), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("print"), "{arguments:?}: {stderr}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_is_a_failure() {
    for arguments in COMMANDS {
        let full = std::fs::File::create("/dev/full").expect("a device");
        let ended = run_into(arguments, full).await;
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert!(
            stderr.contains("videoconf-facade: can't print: "),
            "{arguments:?}: {stderr}"
        );
    }
}
