//! What the commands refuse, and that they tell all of it.

use std::fs;

use super::{PREFIX, run_with, taken};
use crate::support::process::{Process, command, run};

#[tokio::test]
async fn a_port_in_use_is_one_line() {
    let (_listener, address) = taken();
    let serve = [
        "serve",
        "--upstream-url",
        "http://unused",
        "--listen",
        &address,
    ];
    for arguments in [&serve[..], &["demo", "--once", "--listen", &address]] {
        let ended = run(arguments).await;
        assert_eq!(ended.status, Some(1), "{arguments:?}");
        assert_eq!(ended.stdout, "", "{arguments:?}");
        let start = format!("{PREFIX}can't listen on {address}: ");
        assert!(ended.stderr.starts_with(&start), "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
}

/// Arguments and variables, and how the line of every problem begins, in any order.
struct Wrong {
    arguments: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
    problems: &'static [&'static str],
}

const WRONG: &[Wrong] = &[
    Wrong {
        arguments: &[],
        variables: &[],
        problems: &["--upstream-url is missing"],
    },
    Wrong {
        arguments: &[
            "--unknown",
            "--also-unknown",
            "value",
            "--unknown-too=value",
            "stray",
            "--listen",
            "localhost",
            "--listen",
            "127.0.0.1:1",
            "--upstream-url",
            "chat.example.org",
            "--upstream-ca",
            "no/such/file",
            "--upstream-proxy",
            "socks5://proxy",
            "--tls-cert",
            "no/such/cert.pem",
            "--tls-key",
            "no/such/key.pem",
            "--tls-client-ca",
            "no/such/ca.pem",
            "--reuse-port=perhaps",
            "--connect-timeout",
            "0s",
            "--upstream-connection-max-age",
            "never",
            "--upstream-limit",
            "nonsense",
            "--max-reads-in-flight",
            "0",
            "--fresh-for",
            "5s",
            "--stale-for",
            "2s",
            "--refresh-wait=-1s",
            "--max-cache-bytes",
            "lots",
            "--request-timeout",
            "10",
            "--drain-timeout",
            "2d",
            "--max-body-bytes",
            "0",
            "--max-call-id-bytes",
            "many",
            "--max-request-id-bytes=-1",
            "--log-format",
            "xml",
            "--log-filter",
            "access=loud",
        ],
        variables: &[],
        problems: &[
            "argument 2 is not expected",
            "argument 3 is not expected",
            "argument 5 is not expected",
            "argument 6 is not expected",
            "--listen is given more than once",
            "--listen \"localhost\"",
            "--upstream-url: ",
            "--upstream-ca \"no/such/file\": can't be read",
            "--upstream-proxy: ",
            "--tls-cert \"no/such/cert.pem\": can't be read",
            "--tls-key \"no/such/key.pem\": can't be read",
            "--tls-client-ca \"no/such/ca.pem\": can't be read",
            "--reuse-port \"perhaps\": is neither true nor false",
            "--connect-timeout \"0s\"",
            "--upstream-connection-max-age \"never\": is not a time",
            "--upstream-limit \"nonsense\": is neither none nor a number of requests and a time",
            "--max-reads-in-flight \"0\"",
            "--stale-for \"2s\" is less than --fresh-for \"5s\"",
            "--refresh-wait \"-1s\"",
            "--max-cache-bytes \"lots\"",
            "--request-timeout \"10\"",
            "--drain-timeout \"2d\"",
            "--max-body-bytes \"0\"",
            "--max-call-id-bytes \"many\"",
            "--max-request-id-bytes \"-1\"",
            "--log-format \"xml\"",
            "--log-filter \"access=loud\"",
        ],
    },
    // Without a value, between others and at the end.
    Wrong {
        arguments: &[
            "--upstream-url",
            "http://chat",
            "--request-timeout",
            "--max-body-bytes",
            "0",
            "--log-format",
        ],
        variables: &[],
        problems: &[
            "--request-timeout needs a value",
            "--max-body-bytes \"0\"",
            "--log-format needs a value",
        ],
    },
    // Short flags, of which there are none, alone and in one word.
    Wrong {
        arguments: &[
            "-v",
            "-xyz",
            "--upstream-url",
            "http://chat",
            "--listen",
            "nowhere",
        ],
        variables: &[],
        problems: &[
            "argument 2 is not expected",
            "argument 3 is not expected",
            "--listen \"nowhere\"",
        ],
    },
    // A stray word that is also the value of a flag.
    Wrong {
        arguments: &[
            "json",
            "--log-format",
            "json",
            "--upstream-url",
            "http://chat",
        ],
        variables: &[],
        problems: &["argument 2 is not expected"],
    },
    // A value that looks like a flag.
    Wrong {
        arguments: &[
            "--upstream-url",
            "http://chat",
            "--drain-timeout",
            "-10s",
            "--listen",
            "no",
        ],
        variables: &[],
        problems: &[
            "argument 5 is not expected",
            "--drain-timeout needs a value",
            "--listen \"no\"",
        ],
    },
    Wrong {
        arguments: &[
            "--log-format",
            "json",
            "--drain-timeout",
            "never",
            "--unknown",
        ],
        variables: &[
            ("VIDEOCONF_LISTEN", "nowhere"),
            ("VIDEOCONF_UPSTREAM_URL", "ftp://chat"),
            ("VIDEOCONF_DRAIN_TIMEOUT", "1s"),
            ("VIDEOCONF_CONNECT_TIMEOUT", "soon"),
            ("VIDEOCONF_LOG_FORMAT", "xml"),
            ("VIDEOCONF_LOG_FILTER", "access=loud"),
        ],
        problems: &[
            "argument 6 is not expected",
            "--listen \"nowhere\"",
            "--upstream-url: ",
            "--drain-timeout \"never\"",
            "--connect-timeout \"soon\"",
            "--log-filter \"access=loud\"",
        ],
    },
];

#[tokio::test]
async fn every_problem_is_listed_in_one_run() {
    for Wrong {
        arguments,
        variables,
        problems,
    } in WRONG
    {
        let mut outcomes = Vec::new();
        for command in ["check-config", "serve"] {
            let arguments = [&[command], *arguments].concat();
            let ended = run_with(&arguments, variables).await;
            let case = format!("{arguments:?} {variables:?}:\n{}", ended.stderr);
            assert_eq!(ended.status, Some(64), "{case}");
            assert_eq!(ended.stdout, "", "{case}");
            let lines: Vec<_> = ended
                .stderr
                .lines()
                .map(|line| line.strip_prefix(PREFIX))
                .collect();
            for problem in *problems {
                let is_it = |line: &&str| line.starts_with(problem);
                let times = lines.iter().copied().flatten().filter(is_it).count();
                assert_eq!(times, 1, "{problem} in {case}");
            }
            assert_eq!(lines.len(), problems.len(), "{case}");
            outcomes.push(ended);
        }
        assert_eq!(outcomes[0], outcomes[1], "both commands say the same");
    }
}

#[tokio::test]
async fn a_single_problem_is_enough() {
    for flag in [
        "--listen=localhost",
        "--tls-cert=no/such/file",
        "--tls-key=no/such/file",
        "--tls-client-ca=no/such/file",
        "--reuse-port=1",
        "--upstream-ca=no/such/file",
        "--upstream-proxy=socks5://proxy",
        "--connect-timeout=0s",
        "--upstream-connection-max-age=0s",
        "--upstream-connection-max-age=5",
        "--upstream-limit=nonsense",
        "--upstream-limit=15",
        "--upstream-limit=0/3s",
        "--upstream-limit=-1/3s",
        "--upstream-limit=15/0s",
        "--upstream-limit=15/3",
        "--upstream-limit=99999/3s",
        "--upstream-limit=None",
        "--max-reads-in-flight=0",
        "--max-reads-in-flight=many",
        "--fresh-for=1",
        "--stale-for=500ms",
        "--refresh-wait=soon",
        "--max-cache-bytes=0",
        "--request-timeout=10",
        "--drain-timeout=2d",
        "--max-body-bytes=0",
        "--max-call-id-bytes=-1",
        "--max-request-id-bytes=many",
        "--log-format=xml",
        "--log-filter=access=loud",
        "--log-filter=inof",
        "--log-filter=info,[span]=debug",
        "--log-filter=info,",
        "--max-call-id-bytes=16385",
    ] {
        let ended = run(&["check-config", "--upstream-url", "http://chat", flag]).await;
        let name = flag.split('=').next().expect("a name");
        assert_eq!(ended.status, Some(64), "{flag}: {}", ended.stderr);
        let start = format!("{PREFIX}{name}");
        assert!(ended.stderr.starts_with(&start), "{flag}: {}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{flag}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{flag}");
    }
}

#[tokio::test]
async fn files_that_hold_no_certificate_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let pem = |content: &str| {
        format!("-----BEGIN CERTIFICATE-----\n{content}\n-----END CERTIFICATE-----\n")
    };
    for content in [String::new(), "not PEM".to_owned(), pem("!"), pem("AAAA")] {
        let path = folder.path().join("ca.pem");
        fs::write(&path, &content).expect("a file");
        let path = path.to_str().expect("text");
        let arguments = ["--upstream-url", "https://chat", "--upstream-ca", path];
        let ended = run(&[&["check-config"], &arguments[..]].concat()).await;
        assert_eq!(ended.status, Some(64), "{content:?}");
        assert_eq!(
            ended.stderr.lines().count(),
            1,
            "{content:?}: {}",
            ended.stderr
        );
        let start = format!("{PREFIX}--upstream-ca ");
        assert!(
            ended.stderr.starts_with(&start),
            "{content:?}: {}",
            ended.stderr
        );
    }
}

/// As environment files have them whose quotes nobody takes off.
#[tokio::test]
async fn a_url_in_quotes_is_told_how_to_begin() {
    for flag in ["--upstream-url", "--upstream-proxy"] {
        for url in [
            "\"http://chat\"",
            "'https://chat'",
            "chat.example.org",
            "//chat",
            "ftp://chat",
        ] {
            let arguments = ["check-config", "--upstream-url", "http://chat", flag, url];
            let skipped = usize::from(flag == "--upstream-url") * 2;
            let arguments = [&arguments[..1], &arguments[1 + skipped..]].concat();
            let ended = run(&arguments).await;
            let line = format!("{PREFIX}{flag}: must begin with http:// or https://\n");
            assert_eq!((ended.status, ended.stderr), (Some(64), line), "{url}");
        }
    }
}

#[tokio::test]
async fn a_system_without_authorities_is_told_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("none.pem");
    fs::write(&empty, "").expect("a file");
    let mut command = command(&["check-config", "--upstream-url", "https://chat"]);
    let ended = Process::spawn(
        command
            .env("SSL_CERT_FILE", &empty)
            .env("SSL_CERT_DIR", folder.path()),
    )
    .ended()
    .await;
    assert_eq!(ended.status, Some(64));
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .starts_with(&format!("{PREFIX}the system has no")),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("--upstream-ca"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("url"), "{}", ended.stderr);
}

/// Bytes that are no text are a problem like any other, and named.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn bytes_that_are_no_text_are_listed_with_the_rest() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let no_text = OsStr::from_bytes(b"\xff");
    let variables = [
        ("VIDEOCONF_LISTEN", "--listen"),
        ("VIDEOCONF_UPSTREAM_CA", "--upstream-ca"),
        ("VIDEOCONF_UPSTREAM_PROXY", "--upstream-proxy"),
        ("VIDEOCONF_TLS_CERT", "--tls-cert"),
        ("VIDEOCONF_TLS_KEY", "--tls-key"),
        ("VIDEOCONF_TLS_CLIENT_CA", "--tls-client-ca"),
        ("VIDEOCONF_CONNECT_TIMEOUT", "--connect-timeout"),
        (
            "VIDEOCONF_UPSTREAM_CONNECTION_MAX_AGE",
            "--upstream-connection-max-age",
        ),
        ("VIDEOCONF_REQUEST_TIMEOUT", "--request-timeout"),
        ("VIDEOCONF_DRAIN_TIMEOUT", "--drain-timeout"),
        ("VIDEOCONF_MAX_BODY_BYTES", "--max-body-bytes"),
        ("VIDEOCONF_MAX_CALL_ID_BYTES", "--max-call-id-bytes"),
        ("VIDEOCONF_MAX_REQUEST_ID_BYTES", "--max-request-id-bytes"),
        ("VIDEOCONF_LOG_FORMAT", "--log-format"),
        ("VIDEOCONF_LOG_FILTER", "--log-filter"),
    ];
    let mut command = command(&["check-config", "--upstream-url"]);
    command.arg(no_text);
    command.envs(variables.map(|(name, _)| (name, no_text)));
    let ended = Process::spawn(&mut command).ended().await;
    assert_eq!(ended.status, Some(64));
    for (_, flag) in variables {
        let expected = format!("{PREFIX}{flag}: is not UTF-8");
        let has_line = ended.stderr.lines().any(|line| line == expected);
        assert!(has_line, "{flag}: {}", ended.stderr);
    }
    let argument = format!("{PREFIX}argument 3 is not UTF-8\n");
    assert!(ended.stderr.starts_with(&argument), "{}", ended.stderr);
}

#[tokio::test]
async fn nothing_is_bound_by_a_check_or_before_it() {
    let (_listener, address) = taken();
    let listen = ["--listen", &address, "--upstream-url"];
    let good = [&["check-config"], &listen[..], &["http://127.0.0.1"]].concat();
    let good = run(&good).await;
    assert_eq!((good.status, &*good.stderr), (Some(0), ""));
    assert_eq!(good.stdout, "the configuration is good\n");
    let wrong = [&["serve"], &listen[..], &["unused"]].concat();
    let wrong = run(&wrong).await;
    // 1 would be that of the port.
    assert_eq!(wrong.status, Some(64), "{}", wrong.stderr);
}

#[tokio::test]
async fn a_flag_wins_over_its_variable_and_that_over_the_default() {
    let variable = "VIDEOCONF_MAX_BODY_BYTES";
    for (variables, flags, problem) in [
        (&[][..], &[][..], None),
        (&[(variable, "7")], &[], None),
        (&[(variable, "x")], &[], Some("\"x\"")),
        (&[(variable, "x")], &["--max-body-bytes", "7"], None),
        (
            &[(variable, "7")],
            &["--max-body-bytes", "y"],
            Some("\"y\""),
        ),
        (
            &[(variable, "x")],
            &["--max-body-bytes", "y"],
            Some("\"y\""),
        ),
        (&[(variable, "")], &[], None),
    ] {
        let arguments = [&["check-config", "--upstream-url", "http://[::1]"], flags].concat();
        let ended = run_with(&arguments, variables).await;
        let case = format!("{variables:?} {flags:?}: {}", ended.stderr);
        let expected = problem.map_or(String::new(), |value| {
            format!("{PREFIX}--max-body-bytes {value}: ")
        });
        assert!(ended.stderr.starts_with(&expected), "{case}");
        assert_eq!(
            ended.stderr.lines().count(),
            usize::from(problem.is_some()),
            "{case}"
        );
        assert_eq!(ended.status, Some(problem.map_or(0, |_| 64)), "{case}");
    }
}

/// Each part of what replicas share is told what is missing or wrong, and no password of a URL is shown.
#[tokio::test]
async fn a_shared_store_is_checked() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("a file");
        path.to_str().expect("text").to_owned()
    };
    let (key, short) = (file("key", &"k".repeat(32)), file("short", "k\n"));
    let (password, empty) = (file("password", "secret\n"), file("empty", "\n"));
    let key_flag = ["--shared-store-key-file", &key];
    let store_flag = ["--shared-store", "redis://localhost"];
    let with = |flags: &[&'static str]| [flags, &store_flag, &key_flag].concat();
    let url = |url: &'static str| ["--shared-store", url, key_flag[0], key_flag[1]].to_vec();
    let password_flag = ["--shared-store-password-file", &password];
    for (flags, problem) in [
        (store_flag.to_vec(), "--shared-store-key-file is missing: "),
        (
            key_flag.to_vec(),
            "--shared-store-key-file needs --shared-store",
        ),
        (
            password_flag.to_vec(),
            "--shared-store-password-file needs --shared-store",
        ),
        (
            [&store_flag[..], &["--shared-store-key-file", &short]].concat(),
            "--shared-store-key-file \"",
        ),
        (
            [&with(&[])[..], &["--shared-store-password-file", &empty]].concat(),
            "--shared-store-password-file \"",
        ),
        (
            [&with(&[])[..], &["--shared-store-ca", &key]].concat(),
            "--shared-store-ca \"",
        ),
        (url("localhost:6379"), "--shared-store: is not a URL"),
        (url("http://localhost"), "--shared-store: is not a URL"),
        (url("redis:///0"), "--shared-store: is not a URL"),
        (url("unix://"), "--shared-store: is not a URL"),
        (url("redis://localhost/zero"), "--shared-store: "),
        (
            url("unix:///socket?pass=hunter2"),
            "--shared-store: must not have a query",
        ),
        (
            url("redis://:hunter2@localhost"),
            "--shared-store: has a password, ",
        ),
    ] {
        let always = ["check-config", "--upstream-url", "http://localhost"];
        let ended = run(&[&always, &flags[..]].concat()).await;
        assert_eq!(ended.status, Some(64), "{flags:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        let start = format!("{PREFIX}{problem}");
        assert!(
            ended.stderr.starts_with(&start),
            "{flags:?}: {}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
    for store in [
        "redis://localhost",
        "redis://mia@[::1]:1/3",
        "rediss://store",
        "rediss://sentinels:26379/#store",
        "unix:///socket",
    ] {
        let always = ["check-config", "--upstream-url", "http://localhost"];
        let flags = ["--shared-store", store, key_flag[0], key_flag[1]];
        let ended = run(&[&always[..], &flags, &password_flag].concat()).await;
        assert_eq!((ended.status, &*ended.stderr), (Some(0), ""), "{store}");
    }
}

/// Nobody sees what is in another's environment.
#[tokio::test]
async fn a_password_of_the_store_may_be_in_the_variable_of_its_url() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key");
    fs::write(&key, "k".repeat(32)).expect("a file");
    let mut command = command(&["check-config", "--upstream-url", "http://localhost"]);
    command.env("VIDEOCONF_SHARED_STORE", "redis://:hunter2@store");
    command.env("VIDEOCONF_SHARED_STORE_KEY_FILE", key);
    let ended = Process::spawn(&mut command).ended().await;
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let warning = "videoconf-facade: warning: --shared-store is redis to another machine";
    assert!(ended.stderr.starts_with(warning), "{}", ended.stderr);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
}
