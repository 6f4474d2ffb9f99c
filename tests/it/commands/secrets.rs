//! What nobody expected among arguments and variables may be a password: it is never repeated.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

use super::{PREFIX, run_with};
use crate::support::process::{Process, command, run};

/// In every word or value below that is wrong, and in no message.
const SECRET: &str = "hunter2";

#[tokio::test]
async fn nothing_that_nobody_expected_is_repeated() {
    let chat = ["--upstream-url", "http://chat"];
    for arguments in [
        // Words that are no flag's value.
        &["serve", "hunter2"][..],
        &["serve", "http://user:hunter2@chat"],
        &["serve", "http://user:pa@hunter2@proxy:3128"],
        &["serve", "http://a:b@c,http://user:hunter2@proxy"],
        &["serve", "http://a:b@c http://user:hunter2@proxy"],
        &["serve", "user:hunter2@proxy:3128"],
        &["serve", "first", "http://user:hunter2@proxy"],
        &["serve", "--", "http://user:hunter2@proxy"],
        &["serve", "--", "first", "--hunter2"],
        &["get-info", "x", "hunter2"],
        &["get-info", "x", "--", "http://user:hunter2@proxy"],
        &["health", "http://user:hunter2@proxy"],
        // In the place of a command.
        &["hunter2"],
        &["http://user:hunter2@chat"],
        &["http://user:hunter2@chat", "serve"],
        &["help", "http://user:hunter2@chat"],
        &["help", "serve", "hunter2"],
        &["--upstream-url", "http://user:hunter2@chat", "serve"],
        // Flags that there aren't, and their values.
        &["serve", "--hunter2"],
        &["serve", "-xhunter2"],
        &["serve", "-p", "hunter2"],
        &["serve", "-phunter2"],
        &["serve", "-p=hunter2"],
        &["serve", "--http://user:hunter2@proxy"],
        &["serve", "--proxy=http://user:hunter2@proxy"],
        &["serve", "--proxy", "http://user:hunter2@proxy"],
        &["serve", "--upstream-prox=http://user:hunter2@proxy"],
        &["serve", "--upstream-prox", "http://user:hunter2@proxy"],
        &["serve", "--upstream-proxy-hunter2", "http://proxy"],
        &["serve", "--upstream-url:http://user:hunter2@chat"],
        &["health", "--upstream-url=http://user:hunter2@chat"],
        &["get-info", "--auth-token=hunter2", "x"],
        &["get-info", "--auth-token", "hunter2", "x"],
        &["get-info", "-xhunter2"],
        // Values of flags that take none, or one, or none at all.
        &["demo", "--once=http://user:hunter2@proxy"],
        &["demo", "--once=hunter2"],
        &["demo", "--once", "hunter2"],
        &["serve", "--help=http://user:hunter2@proxy"],
        &["--version=hunter2"],
        &["serve", "--upstream-proxy", "--hunter2"],
        &["serve", "--listen", "--", "http://user:hunter2@proxy"],
        &[
            "serve",
            "--upstream-proxy=http://user:hunter2@a",
            "--upstream-proxy",
            "http://user:hunter2@b",
        ],
        // Values in the wrong place.
        &["serve", "--listen", "http://user:hunter2@proxy"],
        &["serve", "--listen=http://user:hunter2@proxy"],
        &["serve", "--listen=user:hunter2@proxy:3128"],
        &["serve", "--connect-timeout=https://hunter2"],
        &["serve", "--max-body-bytes=\thunter2"],
        &["serve", "--log-format=http://user:hunter2@proxy"],
        &["serve", "--log-filter=info,http://user:hunter2@proxy"],
        &["serve", "--upstream-ca=http://user:hunter2@proxy"],
        &["serve", "--upstream-url=http://user:hunter2@chat"],
        &["serve", "--upstream-url", "http://user:hunter2@chat:port"],
        &["serve", "--upstream-proxy=socks5://user:hunter2@proxy"],
        &[
            "serve",
            "--upstream-proxy",
            "http://user:hunter2@proxy:port",
        ],
        &["demo", "--sandbox-version", "http://user:hunter2@proxy"],
        &["get-info", "--server", "http://user:hunter2@proxy", "x"],
        &["get-info", "--auth-token-file", "hunter2", "x"],
        &["get-info", "--user-id-file=hunter2", "x"],
        &["health", "--server", "http://user:hunter2@proxy"],
        &["health", "--timeout", "http://user:hunter2@proxy"],
    ] {
        let ended = run(arguments).await;
        assert_eq!(ended.status, Some(64), "{arguments:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{arguments:?}");
        assert!(
            ended.stderr.starts_with(PREFIX),
            "{arguments:?}: {}",
            ended.stderr
        );
        assert!(
            !ended.stderr.contains(SECRET),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
    let long = format!("--max-body-bytes={}{SECRET}", "1".repeat(64));
    let ended = run(&[&["serve", &*long], &chat[..]].concat()).await;
    let expected = "--max-body-bytes: is not a number of bytes above 0, like 1048576\n";
    assert_eq!(ended.stderr, format!("{PREFIX}{expected}"));
}

#[tokio::test]
async fn the_values_of_variables_are_not_repeated_either() {
    let url = "http://user:hunter2@host";
    for variable in [
        "VIDEOCONF_LISTEN",
        "VIDEOCONF_UPSTREAM_URL",
        "VIDEOCONF_UPSTREAM_CA",
        "VIDEOCONF_CONNECT_TIMEOUT",
        "VIDEOCONF_REQUEST_TIMEOUT",
        "VIDEOCONF_DRAIN_TIMEOUT",
        "VIDEOCONF_MAX_BODY_BYTES",
        "VIDEOCONF_MAX_CALL_ID_BYTES",
        "VIDEOCONF_MAX_REQUEST_ID_BYTES",
        "VIDEOCONF_LOG_FORMAT",
        "VIDEOCONF_LOG_FILTER",
    ] {
        let ended = run_with(&["check-config"], &[(variable, url)]).await;
        assert_eq!(ended.status, Some(64), "{variable}: {}", ended.stderr);
        assert!(!ended.stderr.contains(SECRET), "{}", ended.stderr);
        for command in ["serve", "check-config", "demo"] {
            let ended = run_with(&[command, "--help"], &[(variable, url)]).await;
            assert!(!ended.stdout.contains(SECRET), "{}", ended.stdout);
        }
    }
    let proxy = ("VIDEOCONF_UPSTREAM_PROXY", "ftp://user:hunter2@proxy");
    let ended = run_with(&["check-config"], &[proxy]).await;
    assert!(!ended.stderr.contains(SECRET), "{}", ended.stderr);
}

#[tokio::test]
async fn bytes_that_are_no_text_are_named_by_their_place() {
    let no_text = |text: &[u8]| OsStr::from_bytes(text).to_owned();
    for word in [
        no_text(b"http://user:hunter2@\xff"),
        no_text(b"--hunter2=\xff"),
        no_text(b"--listen=hunter2\xff"),
        no_text(b"--upstream-ca=hunter2\xff"),
        no_text(b"--log-filter=hunter2\xff"),
    ] {
        let mut command = command(&["check-config", "--upstream-url", "http://chat"]);
        let ended = Process::spawn(command.arg(&word)).ended().await;
        assert_eq!(ended.status, Some(64), "{word:?}");
        let start = format!("{PREFIX}argument 4 is not UTF-8\n");
        assert!(ended.stderr.starts_with(&start), "{}", ended.stderr);
        assert!(!ended.stderr.contains(SECRET), "{}", ended.stderr);
    }
}

/// What is said in place of the words themselves.
#[tokio::test]
async fn places_and_our_own_names_tell_what_is_meant() {
    for (arguments, expected) in [
        (&["health", "stray"][..], "argument 2 is not expected"),
        (
            &["health", "--timeout", "1s", "stray"],
            "argument 4 is not expected",
        ),
        (
            &["health", "--serv=x"],
            "argument 2 is not expected; perhaps --server is meant",
        ),
        (
            &["health", "--timeout-ms=9"],
            "argument 2 is not expected; perhaps --timeout is meant",
        ),
        (
            &["health", "--upstream-url=http://chat"],
            "argument 2 is not expected; other commands have --upstream-url",
        ),
        (
            &["--server=x", "health"],
            "argument 1 is not expected; --server goes behind its command",
        ),
        (&["--unknown"], "argument 1 is not expected"),
        (
            &["get-info", "-abc"],
            "argument 2 is not expected; a value that begins with - goes behind --",
        ),
        (
            &["probe"],
            "argument 1 is none of the commands: serve, demo, get-info, health, check-config, descriptor",
        ),
        (&["demo", "--once=yes"], "--once takes no value"),
        (&["health", "--timeout"], "--timeout needs a value"),
        (
            &["health", "--timeout=1s", "--timeout", "2s"],
            "--timeout is given more than once",
        ),
        (&["get-info"], "CALL_ID is missing"),
    ] {
        let ended = run(arguments).await;
        assert_eq!(ended.status, Some(64), "{arguments:?}");
        assert_eq!(ended.stdout, "", "{arguments:?}");
        let first = ended.stderr.lines().next();
        assert_eq!(
            first,
            Some(&*format!("{PREFIX}{expected}")),
            "{arguments:?}"
        );
    }
}
