//! The commands: what each says of itself, what it refuses, what it prints where, how it ends.

use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Mutex,
    time::Duration,
};

use rustix::process::Signal;
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use videoconf_facade::{
    deadline::Limit,
    error::{Error, UpstreamText},
    proto::SERVICE_NAME,
    rocketchat::sandbox::{CALLS, Options, Sandbox, USERS},
    source::{Answer, ConferenceSource, Lookup},
};

use crate::support::{
    Facade,
    process::{Ended, Process, command, run, serving},
    sandbox,
};

const COMMANDS: [&str; 5] = ["serve", "demo", "get-info", "health", "check-config"];

/// The name of the program, before every problem.
const PREFIX: &str = "videoconf-facade: ";

/// A port that is taken for as long as this lives.
fn taken() -> (TcpListener, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    (listener, address)
}

async fn run_with(arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let mut command = command(arguments);
    command.envs(variables.iter().copied());
    Process::spawn(&mut command).ended().await
}

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
        "connect-timeout",
        "request-timeout",
        "drain-timeout",
        "max-body-bytes",
        "max-call-id-bytes",
        "max-request-id-bytes",
        "log-format",
        "log-filter",
    ];
    let upstream = ["upstream-url", "upstream-ca", "upstream-proxy"];
    let serve = [&["listen"], &upstream[..], &common].concat();
    let demo = [&["once", "sandbox-version", "listen"], &common[..]].concat();
    let get_info = [
        "server",
        "timeout",
        "max-age",
        "user-id-file",
        "auth-token-file",
    ];
    for (command, flags) in [
        (None, vec!["version"]),
        (Some("serve"), serve.clone()),
        (Some("check-config"), serve),
        (Some("demo"), demo),
        (Some("get-info"), get_info.to_vec()),
        (Some("health"), vec!["server", "timeout", "service"]),
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
            .filter_map(|option| option.split_whitespace().next())
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
            "--connect-timeout",
            "0s",
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
            "unexpected argument '--unknown'",
            "unexpected argument '--also-unknown'",
            "unexpected argument '--unknown-too'",
            "unexpected argument 'stray'",
            "the argument '--listen <ADDR:PORT>' cannot be used multiple times",
            "--listen \"localhost\"",
            "--upstream-url: ",
            "--upstream-ca \"no/such/file\": can't be read",
            "--upstream-proxy: ",
            "--connect-timeout \"0s\"",
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
            "a value is required for '--request-timeout <TIME>'",
            "--max-body-bytes \"0\"",
            "a value is required for '--log-format <FORMAT>'",
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
            "unexpected argument '-v'",
            "unexpected argument '-x",
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
        problems: &["unexpected argument 'json'"],
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
            "unexpected argument '-1",
            "a value is required for '--drain-timeout <TIME>'",
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
            ("RUST_LOG", "access=loud"),
        ],
        problems: &[
            "unexpected argument '--unknown'",
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
        "--upstream-ca=no/such/file",
        "--upstream-proxy=socks5://proxy",
        "--connect-timeout=0s",
        "--request-timeout=10",
        "--drain-timeout=2d",
        "--max-body-bytes=0",
        "--max-call-id-bytes=-1",
        "--max-request-id-bytes=many",
        "--log-format=xml",
        "--log-filter=access=loud",
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

/// Bytes that are no text are a problem like any other, and named.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn variables_that_are_no_text_are_listed_with_the_rest() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let mut command = command(&["check-config", "--upstream-url", "chat"]);
    command.env("VIDEOCONF_LISTEN", OsStr::from_bytes(b"\xff"));
    let ended = Process::spawn(&mut command).ended().await;
    assert_eq!(ended.status, Some(64));
    for flag in ["--listen", "--upstream-url"] {
        assert!(ended.stderr.contains(flag), "{flag}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn nothing_is_bound_by_a_check_or_before_it() {
    let (_listener, address) = taken();
    let listen = ["--listen", &address, "--upstream-url"];
    let good = [&["check-config"], &listen[..], &["http://unused"]].concat();
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
        let arguments = [&["check-config", "--upstream-url", "http://chat"], flags].concat();
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

#[tokio::test]
async fn passwords_in_urls_are_not_printed() {
    for (arguments, variables) in [
        (vec!["--upstream-url", "http://user:hunter2@chat"], vec![]),
        (vec!["--upstream-url=http://user:hunter2@chat:port"], vec![]),
        (
            vec![],
            vec![("VIDEOCONF_UPSTREAM_URL", "http://user:hunter2@chat")],
        ),
        (
            vec!["--upstream-proxy", "http://user:hunter2@proxy:port"],
            vec![],
        ),
        (vec!["--upstream-proxy=socks5://user:hunter2@proxy"], vec![]),
        (
            vec![],
            vec![("VIDEOCONF_UPSTREAM_PROXY", "ftp://user:hunter2@proxy")],
        ),
        (vec!["--upstream-prox=http://user:hunter2@proxy"], vec![]),
        (vec!["--upstream-prox", "http://user:hunter2@proxy"], vec![]),
        (
            vec![
                "--upstream-proxy",
                "http://user:hunter2@a",
                "--upstream-proxy=http://user:hunter2@b",
            ],
            vec![],
        ),
    ] {
        let all = [&["check-config"], &arguments[..]].concat();
        let ended = run_with(&all, &variables).await;
        let case = format!("{arguments:?} {variables:?}: {}", ended.stderr);
        assert_eq!(ended.status, Some(64), "{case}");
        assert!(!ended.stderr.contains("hunter2"), "{case}");
    }
    for command in ["serve", "check-config"] {
        let url = ("VIDEOCONF_UPSTREAM_PROXY", "http://user:hunter2@proxy");
        let ended = run_with(&[command, "--help"], &[url]).await;
        assert!(!ended.stdout.contains("hunter2"), "{}", ended.stdout);
    }
}

/// What Rocket.Chat says of `call_id`, as the sandbox plays it.
async fn upstream_json(sandbox: &Sandbox, call_id: &str) -> Value {
    let mut socket = TcpStream::connect(sandbox.address())
        .await
        .expect("a connection");
    let (id, token) = (USERS[0].id, USERS[0].token);
    let request = format!(
        "GET /api/v1/video-conference.info?callId={call_id} HTTP/1.1\r\nConnection: close\r\n\
         X-User-Id: {id}\r\nX-Auth-Token: {token}\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.expect("a write");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("an answer");
    // One chunk, and no other brace.
    let (start, end) = (answer.find('{'), answer.rfind('}'));
    let body = &answer[start.expect("an object")..=end.expect("an object")];
    serde_json::from_str(body).expect("JSON")
}

/// The same as protobuf's JSON has it: names as they are, numbers and strings of enums by their
/// constants, and nothing for null and for arrays without elements.
fn as_protobuf_json(upstream: &Value) -> Value {
    fn without_nothing(value: &Value) -> Value {
        match value {
            Value::Array(values) => values.iter().map(without_nothing).collect(),
            Value::Object(members) => {
                let is_something = |value: &Value| !value.is_null() && *value != json!([]);
                let members = members.iter().filter(|(_, value)| is_something(value));
                let members = members.map(|(key, value)| (key.clone(), without_nothing(value)));
                Value::Object(members.collect::<Map<_, _>>())
            }
            value => value.clone(),
        }
    }
    let mut conference = without_nothing(upstream);
    assert_eq!(conference["success"], true);
    conference
        .as_object_mut()
        .expect("an object")
        .remove("success");
    let kind = conference["type"].as_str().expect("a type").to_uppercase();
    conference["type"] = json!(format!("VIDEO_CONFERENCE_TYPE_{kind}"));
    let names = ["CALLING", "STARTED", "EXPIRED", "ENDED", "DECLINED"];
    let status = conference["status"]
        .as_u64()
        .and_then(|it| usize::try_from(it).ok());
    let name = names[status.expect("a status")];
    conference["status"] = json!(format!("VIDEO_CONFERENCE_STATUS_{name}"));
    conference
}

#[track_caller]
fn assert_conference(stdout: &str, expected: &Value) {
    let mut document: Value = serde_json::from_str(stdout).expect("one document of JSON");
    let members = document.as_object_mut().expect("an object");
    let read_at = members.remove("readAt").expect("a time");
    assert!(
        read_at.as_str().is_some_and(|it| it.ends_with('Z')),
        "{read_at}"
    );
    assert_eq!(document, json!({"videoConference": expected}));
}

#[tokio::test]
async fn a_demo_prints_the_documented_conference() {
    for version in ["7.0", "8.8", "8.9"] {
        let options = Options {
            version: version.parse().expect("a version"),
            ..Options::default()
        };
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        let sandbox = Sandbox::start(listen, options).await.expect("a free port");
        let expected = as_protobuf_json(&upstream_json(&sandbox, CALLS[0].id).await);
        assert_eq!(expected.get("chatAccess").is_some(), version == "8.9");

        let arguments = ["demo", "--once", "--sandbox-version", version];
        // Neither is in the other's way.
        let (one, other) = tokio::join!(run(&arguments), run(&arguments));
        for ended in [one, other] {
            assert_eq!(ended.status, Some(0), "{version}: {}", ended.stderr);
            assert_conference(&ended.stdout, &expected);
        }
    }
    for version in ["", "8", "9.0", "8.8 "] {
        let ended = run(&["demo", "--once", "--sandbox-version", version]).await;
        assert_eq!(ended.status, Some(64), "{version:?}");
        let start = format!("{PREFIX}--sandbox-version {version:?}: ");
        assert!(ended.stderr.starts_with(&start), "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
}

#[tokio::test]
async fn a_demo_serves_until_it_is_interrupted() {
    let mut demos = Vec::new();
    // The second finds its port taken, if the first hasn't found it taken, too.
    for _ in 0..2 {
        let demo = Process::spawn(&mut command(&["demo"]));
        let address: SocketAddr = demo.stderr.find(serving).await;
        demo.stdout.find(|line| (line == "}").then_some(())).await;
        demos.push((demo, address));
    }
    for (_, address) in &demos {
        for call in CALLS {
            let ended = get_info(*address, call.id).await;
            assert_eq!(ended.status, Some(0), "{}: {}", call.id, ended.stderr);
        }
    }
    for (demo, _) in demos {
        demo.signal(Signal::INT);
        let ended = demo.ended().await;
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        let document = serde_json::from_str::<Value>(&ended.stdout);
        assert!(document.is_ok(), "{}", ended.stdout);
        assert!(
            ended.stderr.contains("grpcurl -plaintext"),
            "{}",
            ended.stderr
        );
    }
}

/// `get-info` with the sandbox's first user in the environment.
async fn get_info(server: SocketAddr, call_id: &str) -> Ended {
    let credentials = [
        ("VIDEOCONF_USER_ID", USERS[0].id),
        ("VIDEOCONF_AUTH_TOKEN", USERS[0].token),
    ];
    let arguments = ["get-info", "--server", &server.to_string(), call_id];
    run_with(&arguments, &credentials).await
}

#[tokio::test]
async fn a_conference_is_printed_as_json() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    // Those that don't change with every look.
    for call in CALLS
        .iter()
        .filter(|call| call.purpose.contains("never changes"))
    {
        let expected = as_protobuf_json(&upstream_json(&sandbox, call.id).await);
        let ended = get_info(facade.address, call.id).await;
        assert_eq!((ended.status, &*ended.stderr), (Some(0), ""));
        assert_conference(&ended.stdout, &expected);
    }
}

#[tokio::test]
async fn credentials_come_from_files_or_variables() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    let server = facade.address.to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("a file");
        path.to_str().expect("text").to_owned()
    };
    let (id, token) = (USERS[0].id, USERS[0].token);
    let id_file = file("id", &format!("{id}\n"));
    let token_file = file("token", &format!("{token}\r\n"));
    let bare_file = file("bare", token);
    let (no_id, no_token) = (("VIDEOCONF_USER_ID", "x"), ("VIDEOCONF_AUTH_TOKEN", "x"));
    for (flags, variables) in [
        (
            vec!["--user-id-file", &id_file, "--auth-token-file", &token_file],
            vec![],
        ),
        (
            vec!["--user-id-file", &id_file, "--auth-token-file", &bare_file],
            vec![],
        ),
        (
            vec!["--auth-token-file", &token_file],
            vec![("VIDEOCONF_USER_ID", id)],
        ),
        (
            vec!["--user-id-file", &id_file, "--auth-token-file", &token_file],
            vec![no_id, no_token],
        ),
        (
            vec![],
            vec![
                no_id,
                no_token,
                ("VIDEOCONF_USER_ID_FILE", &*id_file),
                ("VIDEOCONF_AUTH_TOKEN_FILE", &token_file),
            ],
        ),
    ] {
        let arguments = [&["get-info", "--server", &server, CALLS[0].id], &flags[..]].concat();
        let ended = run_with(&arguments, &variables).await;
        let case = format!("{flags:?} {variables:?}: {}", ended.stderr);
        assert_eq!(ended.status, Some(0), "{case}");
    }

    let blank_file = file("blank", "\n");
    let two_lines = file("two", "one\ntwo\n");
    for (flags, variables, problems) in [
        (
            vec![],
            vec![],
            ["VIDEOCONF_USER_ID: ", "VIDEOCONF_AUTH_TOKEN: "],
        ),
        (
            vec![
                "--user-id-file",
                "no/such/file",
                "--auth-token-file",
                &blank_file,
            ],
            vec![no_id, no_token],
            [
                "VIDEOCONF_USER_ID_FILE \"no/such/file\"",
                "VIDEOCONF_AUTH_TOKEN_FILE ",
            ],
        ),
        (
            vec!["--auth-token-file", &two_lines],
            vec![("VIDEOCONF_USER_ID", " ")],
            ["VIDEOCONF_USER_ID: ", "VIDEOCONF_AUTH_TOKEN_FILE "],
        ),
        (
            vec![],
            vec![
                ("VIDEOCONF_USER_ID", "caf\u{e9}"),
                ("VIDEOCONF_AUTH_TOKEN", "a\tb"),
            ],
            ["VIDEOCONF_USER_ID: ", "VIDEOCONF_AUTH_TOKEN: "],
        ),
    ] {
        let arguments = [&["get-info", "--server", &server, "x"], &flags[..]].concat();
        let ended = run_with(&arguments, &variables).await;
        let case = format!("{flags:?} {variables:?}: {}", ended.stderr);
        assert_eq!(ended.status, Some(64), "{case}");
        assert_eq!(ended.stdout, "", "{case}");
        let lines: Vec<_> = ended.stderr.lines().collect();
        assert_eq!(lines.len(), 2, "{case}");
        for (line, problem) in lines.iter().zip(problems) {
            assert!(line.starts_with(&format!("{PREFIX}{problem}")), "{case}");
        }
    }
}

#[tokio::test]
async fn every_code_has_its_exit_status() {
    struct Failing(Mutex<Option<Error>>);

    impl ConferenceSource for Failing {
        async fn find(&self, _: &Lookup) -> Result<Answer, Error> {
            let error = self.0.lock().expect("no panic").take();
            Err(error.expect("one call"))
        }
    }

    let retry_after = Duration::from_secs(1);
    for (error, status, start, reason) in [
        (
            Error::CallNotFoundOrNotVisible,
            67,
            "INVALID_ARGUMENT: ",
            "CALL_NOT_FOUND_OR_NOT_VISIBLE",
        ),
        (
            Error::DeadlineExceeded(Limit::Server),
            68,
            "DEADLINE_EXCEEDED: ",
            "DEADLINE_EXCEEDED",
        ),
        (Error::CallNotFound, 69, "NOT_FOUND: ", "CALL_NOT_FOUND"),
        (
            Error::Forbidden(UpstreamText::default()),
            71,
            "PERMISSION_DENIED: ",
            "FORBIDDEN",
        ),
        (
            Error::BudgetExhausted { retry_after },
            72,
            "RESOURCE_EXHAUSTED: ",
            "BUDGET_EXHAUSTED",
        ),
        (
            Error::UpstreamEndpointMissing { http_status: 405 },
            76,
            "UNIMPLEMENTED: ",
            "UPSTREAM_ENDPOINT_MISSING",
        ),
        (Error::Internal, 77, "INTERNAL: ", "INTERNAL"),
        (Error::Overloaded, 78, "UNAVAILABLE: ", "OVERLOADED"),
        (
            Error::CredentialsRejected,
            80,
            "UNAUTHENTICATED: ",
            "CREDENTIALS_REJECTED",
        ),
    ] {
        let facade = Facade::around(Failing(Mutex::new(Some(error)))).await;
        let ended = get_info(facade.address, "x").await;
        assert_eq!(
            (ended.status, &*ended.stdout),
            (Some(status), ""),
            "{reason}"
        );
        let (message, details) = ended.stderr.split_once('\n').expect("two lines");
        assert!(message.starts_with(start), "{message}");
        let details: Value = serde_json::from_str(details).expect("JSON");
        assert_eq!(details["code"], status - 64, "{details}");
        let details = details["details"].as_array().expect("details");
        assert!(
            details.iter().any(|it| it["reason"] == reason),
            "{details:?}"
        );
    }
}

#[tokio::test]
async fn no_connection_is_unavailable() {
    let (listener, address) = taken();
    let credentials = [("VIDEOCONF_USER_ID", "u"), ("VIDEOCONF_AUTH_TOKEN", "t")];
    let arguments = ["get-info", "--server", &address, "--timeout", "300ms", "x"];

    // Nobody accepts: the connection stands, and nothing comes.
    let silent = run_with(&arguments, &credentials).await;
    assert_eq!(silent.stdout, "");
    assert_eq!(silent.status, Some(68), "{}", silent.stderr);
    assert!(
        silent.stderr.starts_with("DEADLINE_EXCEEDED: "),
        "{}",
        silent.stderr
    );
    drop(listener);

    let refused = run_with(&arguments, &credentials).await;
    assert_eq!(refused.stdout, "");
    assert_eq!(refused.status, Some(78), "{}", refused.stderr);
    assert!(
        refused.stderr.starts_with("UNAVAILABLE: "),
        "{}",
        refused.stderr
    );
}

#[tokio::test]
async fn health_is_told_by_the_exit_status() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    let server = facade.address.to_string();
    let (_silent, silent) = taken();
    for (flags, status, stdout, stderr) in [
        (&["--server", &server][..], 0, "SERVING\n", ""),
        (
            &["--server", &server, "--service", SERVICE_NAME],
            0,
            "SERVING\n",
            "",
        ),
        (&["--server", &server, "--service", "x"], 1, "", "NOT_FOUND"),
        (&["--server", "127.0.0.1:1"], 1, "", "UNAVAILABLE"),
        (&["--server", &silent, "--timeout", "300ms"], 1, "", ""),
        (&["--server", "a b", "--timeout", "0s"], 64, "", "--server"),
        (&["--unknown"], 64, "", "--unknown"),
    ] {
        let ended = run(&[&["health"], flags].concat()).await;
        assert_eq!(ended.status, Some(status), "{flags:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, stdout, "{flags:?}");
        assert!(ended.stderr.contains(stderr), "{flags:?}: {}", ended.stderr);
        assert_eq!(
            ended.stderr.is_empty(),
            status == 0,
            "{flags:?}: {}",
            ended.stderr
        );
    }
    let variable = ("VIDEOCONF_SERVER", &*server);
    assert_eq!(run_with(&["health"], &[variable]).await.status, Some(0));
}
