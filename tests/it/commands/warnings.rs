//! What is odd about a configuration, but no reason not to start.

use rcgen::{CertificateParams, date_time_ymd};

use super::{PREFIX, run_with};
use crate::support::{
    authority::Authority,
    process::{Ended, Server, json_lines, serve},
};

/// Out of the reach of warnings.
const LOOPBACK: &str = "http://127.0.0.1:9";

async fn check(url: &str, flags: &[&str], variables: &[(&str, &str)]) -> Ended {
    let arguments = [&["check-config", "--upstream-url", url], flags].concat();
    run_with(&arguments, variables).await
}

/// Usual in clusters, and for other programs than this one.
const FOREIGN: &[&str] = &[
    "hyper",
    "warn,",
    "info,h2[span]=debug",
    "a=b=c",
    "http://u:hunter2@h",
];

/// The warnings that `serve` logs.
async fn logged(url: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let mut command = serve(&["--upstream-url", url]);
    let server = Server::start(command.envs(variables.iter().copied())).await;
    let lines = json_lines(&server.end().await.stderr);
    let warnings = lines.iter().filter(|line| line["level"] == "WARN");
    warnings
        .map(|line| line["warning"].as_str().expect("a warning").to_owned())
        .collect()
}

#[tokio::test]
async fn a_foreign_filter_stops_nothing() {
    for foreign in FOREIGN {
        let ended = check(LOOPBACK, &[], &[("RUST_LOG", foreign)]).await;
        assert_eq!(ended.status, Some(0), "{foreign}: {}", ended.stderr);
        let start = format!("{PREFIX}warning: RUST_LOG ");
        assert!(
            ended.stderr.starts_with(&start),
            "{foreign}: {}",
            ended.stderr
        );
        assert_eq!(
            ended.stderr.lines().count(),
            1,
            "{foreign}: {}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);

        // The default is in force, or the line wouldn't be there that the server waits for.
        let warnings = logged(LOOPBACK, &[("RUST_LOG", foreign)]).await;
        assert_eq!(warnings.len(), 1, "{foreign}: {warnings:?}");
        assert!(warnings[0].starts_with("RUST_LOG "), "{warnings:?}");
    }
    // Who doesn't need it isn't warned of it.
    let own = ("VIDEOCONF_LOG_FILTER", "info");
    for (flags, variables) in [
        (&[][..], &[("RUST_LOG", "info,access=debug")][..]),
        (&[], &[("RUST_LOG", "")]),
        (&["--log-filter=info"], &[("RUST_LOG", "hyper")]),
        (&[], &[("RUST_LOG", "hyper"), own]),
    ] {
        let ended = check(LOOPBACK, flags, variables).await;
        assert_eq!(
            (ended.status, &*ended.stderr),
            (Some(0), ""),
            "{variables:?}"
        );
    }
}

#[tokio::test]
async fn our_own_filter_is_read_strictly() {
    for foreign in FOREIGN {
        let flag = format!("--log-filter={foreign}");
        let variable = ("VIDEOCONF_LOG_FILTER", *foreign);
        for (flags, variables) in [
            (&[&*flag][..], &[][..]),
            (
                &[&flag],
                &[("VIDEOCONF_LOG_FILTER", "info"), ("RUST_LOG", "info")],
            ),
            (&[], &[variable, ("RUST_LOG", "info")]),
        ] {
            let ended = check(LOOPBACK, flags, variables).await;
            assert_eq!(ended.status, Some(64), "{flags:?} {variables:?}");
            let start = format!("{PREFIX}--log-filter");
            assert!(ended.stderr.starts_with(&start), "{}", ended.stderr);
        }
        let ended = check(LOOPBACK, &["--log-filter=info"], &[variable]).await;
        assert_eq!(
            (ended.status, &*ended.stderr),
            (Some(0), ""),
            "the flag wins"
        );
    }
}

#[tokio::test]
async fn metrics_for_everybody_are_warned_of() {
    for (address, is_open) in [
        ("127.0.0.1:9464", false),
        ("[::1]:9464", false),
        ("localhost:9464", false),
        ("0.0.0.0:9464", true),
        ("192.0.2.1:9464", true),
        ("metrics.example.org:9464", true),
    ] {
        let ended = check(LOOPBACK, &["--admin-listen", address], &[]).await;
        assert_eq!(ended.status, Some(0), "{address}: {}", ended.stderr);
        let start = format!("{PREFIX}warning: --admin-listen ");
        assert_eq!(ended.stderr.starts_with(&start), is_open, "{address}");
    }
}

#[tokio::test]
async fn tokens_in_clear_are_warned_of() {
    for (url, is_clear) in [
        ("http://chat", true),
        ("HTTP://chat:3000/prefix", true),
        ("http://192.0.2.1", true),
        ("http://[2001:db8::1]:3000", true),
        ("http://localhost.example.org", true),
        ("http://127.0.0.1.example.org", true),
        ("http://b\u{fc}cher.example", true),
        ("http://localhost:3000", false),
        ("http://LOCALHOST", false),
        ("http://127.0.0.1:3000", false),
        ("http://127.1.2.3", false),
        ("http://[::1]:3000", false),
    ] {
        let ended = check(url, &[], &[]).await;
        assert_eq!(ended.status, Some(0), "{url}: {}", ended.stderr);
        assert_eq!(ended.stdout, "the configuration is good\n");
        let start = format!("{PREFIX}warning: --upstream-url ");
        assert_eq!(
            ended.stderr.starts_with(&start),
            is_clear,
            "{url}: {}",
            ended.stderr
        );
        assert_eq!(
            ended.stderr.lines().count(),
            usize::from(is_clear),
            "{}",
            ended.stderr
        );
    }
    let warnings = logged("http://chat.invalid", &[("RUST_LOG", "hyper,info")]).await;
    let starts: Vec<_> = warnings.iter().map(|it| it.split(' ').next()).collect();
    assert_eq!(
        starts,
        [Some("RUST_LOG"), Some("--upstream-url")],
        "{warnings:?}"
    );
}

#[tokio::test]
async fn callers_tokens_in_clear_are_warned_of() {
    for (listen, is_clear) in [
        ("0.0.0.0:0", true),
        ("[::]:0", true),
        ("192.0.2.1:50051", true),
        ("facade.example.org:50051", true),
        ("localhost.example.org:50051", true),
        ("127.0.0.1:0", false),
        ("127.1.2.3:0", false),
        ("[::1]:0", false),
        ("LOCALHOST:0", false),
    ] {
        let ended = check(LOOPBACK, &["--listen", listen], &[]).await;
        assert_eq!(ended.status, Some(0), "{listen}: {}", ended.stderr);
        let start =
            format!("{PREFIX}warning: other machines can connect and there is no --tls-cert");
        assert_eq!(
            ended.stderr.starts_with(&start),
            is_clear,
            "{listen}: {}",
            ended.stderr
        );
        assert_eq!(
            ended.stderr.is_empty(),
            !is_clear,
            "{listen}: {}",
            ended.stderr
        );
    }
    let authority = Authority::new();
    let (certificate, key) = authority.issue_for("facade").files();
    let tls = ["--tls-cert", &certificate, "--tls-key", &key];
    let ended = check(
        LOOPBACK,
        &[&["--listen", "0.0.0.0:0"], &tls[..]].concat(),
        &[],
    )
    .await;
    assert_eq!((ended.status, &*ended.stderr), (Some(0), ""));
}

/// At the start there is nothing better to show.
#[tokio::test]
async fn a_certificate_out_of_its_time_is_warned_of() {
    let mut expired = CertificateParams::new(["facade".to_owned()]).unwrap();
    expired.not_after = date_time_ymd(2020, 1, 1);
    let (certificate, key) = Authority::new().issue(&expired).files();
    let tls = ["--tls-cert", &certificate, "--tls-key", &key];
    let ended = check(LOOPBACK, &tls, &[]).await;
    assert_eq!(ended.status, Some(0));
    let start = format!("{PREFIX}warning: --tls-cert");
    assert!(ended.stderr.starts_with(&start), "{}", ended.stderr);
    let end = ": has expired at 2020-01-01T00:00:00Z\n";
    assert!(ended.stderr.ends_with(end), "{}", ended.stderr);
}

#[tokio::test]
async fn credentials_in_the_list_of_processes_are_warned_of() {
    let start = format!("{PREFIX}warning: --upstream-proxy ");
    for (url, is_secret) in [
        ("http://user:hunter2@127.0.0.1:9", true),
        ("http://127.0.0.1:9", false),
    ] {
        let ended = check(LOOPBACK, &["--upstream-proxy", url], &[]).await;
        assert_eq!(ended.status, Some(0), "{url}: {}", ended.stderr);
        assert_eq!(ended.stderr.starts_with(&start), is_secret, "{url}");
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);

        let ended = check(LOOPBACK, &[], &[("VIDEOCONF_UPSTREAM_PROXY", url)]).await;
        assert_eq!((ended.status, &*ended.stderr), (Some(0), ""), "{url}");
    }
}
