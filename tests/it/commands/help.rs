//! What the commands say of themselves.

use std::collections::BTreeSet;

use super::COMMANDS;
use crate::support::process::run;

#[tokio::test]
async fn the_version_names_the_commit() {
    for flag in ["--version", "-V"] {
        let ended = run(&[flag]).await;
        assert_eq!((ended.status, &*ended.stderr), (Some(0), ""));
        let start = concat!("videoconf-facade ", env!("CARGO_PKG_VERSION"), " (commit ");
        let commit = ended.stdout.strip_prefix(start).expect("the version");
        let commit = commit.strip_suffix(")\n").expect("one line");
        assert!(!commit.is_empty(), "{}", ended.stdout);
    }
}

#[tokio::test]
async fn help_begins_with_an_example_and_names_every_flag() {
    let common = [
        "upstream-limit",
        "max-reads-in-flight",
        "fresh-for",
        "grpc-server-handling-seconds",
        "grpc-web-origin",
        "stale-for",
        "refresh-wait",
        "max-cache-bytes",
        "admin-listen",
        "connect-timeout",
        "upstream-connection-max-age",
        "request-timeout",
        "max-in-flight",
        "reuse-port",
        "max-connections",
        "handshake-timeout",
        "connection-idle-timeout",
        "connection-max-age",
        "shutdown-notice",
        "drain-timeout",
        "max-body-bytes",
        "max-call-id-bytes",
        "max-request-id-bytes",
        "upstream-traceparent",
        "log-format",
        "log-filter",
    ];
    let upstream = ["upstream-url", "upstream-ca", "upstream-proxy"];
    let tls = ["tls-cert", "tls-key", "tls-client-ca"];
    let store = [
        "shared-store",
        "shared-store-key-file",
        "shared-store-password-file",
        "shared-store-ca",
    ];
    let serve = [&["listen"], &upstream[..], &tls, &store, &common].concat();
    let demo = [&["once", "tls", "sandbox-version", "listen"], &common[..]].concat();
    let server = ["server", "tls-ca", "tls-server-name", "tls-cert", "tls-key"];
    let credentials = ["user-id-file", "auth-token-file"];
    let get_info = [&server[..], &["timeout", "max-age"], &credentials].concat();
    let health = [&server[..], &["timeout", "service"]].concat();
    for (command, flags) in [
        (None, vec!["version"]),
        (Some("serve"), serve.clone()),
        (Some("check-config"), serve),
        (Some("demo"), demo),
        (Some("get-info"), get_info),
        (Some("health"), health),
        (Some("descriptor"), vec![]),
    ] {
        let arguments: Vec<_> = command.into_iter().chain(["--help"]).collect();
        let ended = run(&arguments).await;
        assert_eq!((ended.status, &*ended.stderr), (Some(0), ""));
        let example = format!(
            "Example:\n  {}",
            command.map_or("videoconf-facade ", |_| "")
        );
        assert!(ended.stdout.starts_with(&example), "{}", ended.stdout);
        let own = command.map_or("videoconf-facade demo".to_owned(), |name| {
            format!("videoconf-facade {name}")
        });
        let usage = ended.stdout.find("Usage:").expect("usage");
        assert!(ended.stdout[..usage].contains(&own), "{}", ended.stdout);

        // Those that begin an option; the example and the prose name some, too.
        let known: BTreeSet<_> = ended
            .stdout
            .lines()
            .filter_map(|line| {
                line.trim_start()
                    .split("--")
                    .nth(1)
                    .filter(|_| line.trim_start().starts_with('-'))
            })
            .filter_map(|option| option.split([' ', '[']).next())
            .collect();
        let expected: BTreeSet<_> = flags.into_iter().chain(["help"]).collect();
        assert_eq!(known, expected, "{command:?}");
        for command in COMMANDS {
            assert!(arguments.len() > 1 || ended.stdout.contains(&format!("\n  {command} ")));
        }
    }
}

/// Who gives no command is helped, and told by the status that nothing was done.
#[tokio::test]
async fn no_command_gets_the_help() {
    let help = run(&["--help"]).await.stdout;
    let ended = run(&[]).await;
    assert_eq!(ended.status, Some(64));
    assert_eq!(ended.stdout, "");
    assert_eq!(ended.stderr, help);
}
