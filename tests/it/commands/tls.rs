//! The commands that call a facade, and the demo, over TLS.

use std::fs;

use rustix::process::Signal;
use videoconf_facade::sandbox::{CALLS, USERS};

use super::{PREFIX, run_with, taken};
use crate::support::{
    authority::Authority,
    process::{Process, Server, command, run, serving},
    sandbox,
};

#[tokio::test]
async fn a_facade_is_asked_over_tls_by_whom_it_lets_in() {
    let sandbox = sandbox().await;
    let (servers, clients) = (Authority::new(), Authority::new());
    let (certificate, key) = servers.issue_for("facade.example").files();
    let tls = [
        "--tls-cert",
        &certificate,
        "--tls-key",
        &key,
        "--tls-client-ca",
        &clients.file(),
    ];
    let server = Server::before(&sandbox, &tls).await;
    let address = server.address.to_string();
    let https = format!("https://{address}");
    let (own, own_key) = clients.issue_for("client").files();
    let identity = ["--tls-cert", &own, "--tls-key", &own_key];
    let (ca, other_ca) = (servers.file(), clients.file());
    let known = ["--tls-ca", &ca, "--tls-server-name", "facade.example"];
    for (flags, problem) in [
        (
            [&["--server", &address], &known[..], &identity].concat(),
            None,
        ),
        (
            [&["--server", &https], &known[..], &identity].concat(),
            None,
        ),
        // Without a certificate, with another name, another authority, and without TLS.
        (
            [&["--server", &address], &known[..]].concat(),
            Some("UNAVAILABLE"),
        ),
        (
            [&["--server", &address, "--tls-ca", &ca], &identity[..]].concat(),
            Some("not valid for name"),
        ),
        (
            [
                &["--server", &address, "--tls-ca", &other_ca],
                &identity[..],
            ]
            .concat(),
            Some("invalid peer certificate"),
        ),
        (vec!["--server", &address], Some("UNAVAILABLE")),
    ] {
        let health = run(&[&["health"], &flags[..]].concat()).await;
        let get_info = run_with(
            &[&["get-info", CALLS[0].id], &flags[..]].concat(),
            &[
                ("VIDEOCONF_USER_ID", USERS[0].id),
                ("VIDEOCONF_AUTH_TOKEN", USERS[0].token),
            ],
        )
        .await;
        let Some(problem) = problem else {
            assert_eq!((health.status, &*health.stdout), (Some(0), "SERVING\n"));
            assert_eq!((get_info.status, &*get_info.stderr), (Some(0), ""));
            continue;
        };
        assert_eq!(health.status, Some(1), "{flags:?}");
        assert_eq!(get_info.status, Some(78), "{flags:?}: {}", get_info.stderr);
        for ended in [health, get_info] {
            assert!(
                ended.stderr.contains(problem),
                "{flags:?}: {}",
                ended.stderr
            );
            assert!(
                ended.stderr.starts_with("videoconf-facade: UNAVAILABLE: ")
                    || ended.stderr.starts_with("UNAVAILABLE: "),
                "{}",
                ended.stderr
            );
            assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        }
    }
}

/// As of a facade that is stopped: the probe is for just that.
#[tokio::test]
async fn a_handshake_that_does_not_end_is_bounded_by_the_timeout() {
    let (_silent, silent) = taken();
    let flags = ["--server", &silent, "--tls-ca", &Authority::new().file()];
    for command in [&["health"][..], &["get-info", "x"]] {
        let arguments = [command, &flags, &["--timeout", "300ms"]].concat();
        let credentials = [("VIDEOCONF_USER_ID", "x"), ("VIDEOCONF_AUTH_TOKEN", "x")];
        let ended = run_with(&arguments, &credentials).await;
        assert!(
            ended.stderr.contains("DEADLINE_EXCEEDED"),
            "{}",
            ended.stderr
        );
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_clients_side_is_listed() {
    let (certificate, _) = Authority::new().issue_for("client").files();
    let (_, other_key) = Authority::new().issue_for("client").files();
    for (flags, problems) in [
        (
            &["--tls-ca", "no/such/file"][..],
            &["--tls-ca \"no/such/file\": can't be read"][..],
        ),
        (&["--tls-ca", &other_key], &["--tls-ca"]),
        (&["--tls-cert", &certificate], &["--tls-cert"]),
        (&["--tls-key", &certificate], &["--tls-key"]),
        (
            &["--tls-cert", "no/cert", "--tls-key", "no/key"],
            &["--tls-cert \"no/cert\"", "--tls-key \"no/key\""],
        ),
        (
            &["--tls-cert", &certificate, "--tls-key", &other_key],
            &["--tls-key"],
        ),
        (
            &["--tls-server-name", "a b"],
            &["--tls-server-name \"a b\""],
        ),
        (&["--server", "https://facade"], &["--server"]),
    ] {
        let ended = run(&[&["health"], flags].concat()).await;
        assert_eq!(ended.status, Some(64), "{flags:?}: {}", ended.stderr);
        let lines: Vec<_> = ended.stderr.lines().collect();
        assert_eq!(lines.len(), problems.len(), "{flags:?}: {}", ended.stderr);
        for (line, problem) in lines.iter().zip(problems) {
            assert!(line.starts_with(&format!("{PREFIX}{problem}")), "{line}");
        }
    }
}

#[tokio::test]
async fn a_demo_speaks_tls_with_certificates_of_its_own() {
    let ended = run(&["demo", "--tls", "--once"]).await;
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains(CALLS[0].id), "{}", ended.stdout);

    for signal in [Signal::INT, Signal::HUP] {
        let demo = Process::spawn(&mut command(&["demo", "--tls", "--listen", "localhost:0"]));
        let address = demo.stderr.find(serving).await;
        let find = |line: &str| {
            let (_, rest) = line.split_once("grpcurl -cacert ")?;
            rest.split(' ').next().map(str::to_owned)
        };
        let authority = demo.stderr.find(find).await;
        for server in [address.to_string(), format!("localhost:{}", address.port())] {
            let health = run(&["health", "--server", &server, "--tls-ca", &authority]).await;
            assert_eq!((health.status, &*health.stderr), (Some(0), ""), "{server}");
        }
        demo.signal(signal);
        assert_eq!(demo.ended().await.status, Some(0), "{signal:?}");
        let gone = fs::metadata(&authority).expect_err("no file");
        assert_eq!(gone.kind(), std::io::ErrorKind::NotFound);
    }
}
