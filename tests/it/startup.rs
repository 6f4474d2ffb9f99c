//! The beginning of `serve`: ready when it says so, and configured in any of its ways.

use std::{fs, process::Stdio};

use videoconf_facade::{
    api::SERVICE_NAME,
    proto::health::{
        HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
    },
};

use crate::support::{
    process::{Process, Server, command, run, serve},
    sandbox,
};

#[tokio::test]
async fn whoever_asks_after_the_first_line_is_answered() {
    let sandbox = sandbox().await;
    let server = Server::before(&sandbox, &[]).await;
    let mut health = HealthClient::new(server.channel());
    for service in ["", SERVICE_NAME] {
        let service = service.to_owned();
        let answer = health.check(HealthCheckRequest { service }).await;
        let answer = answer.expect("a status").into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving);
    }
    assert!(sandbox.requests().is_empty(), "nothing is asked by itself");
}

/// The flags of `help` with the variables beside them.
fn flags(help: &str) -> Vec<(String, String)> {
    let options = help.split("\nOptions:\n").nth(1).expect("options");
    let options = options.split("-h, --help").next().expect("options");
    let text = options.split_whitespace().collect::<Vec<_>>().join(" ");
    let option = |option: &str| {
        let flag = option.split([' ', '[']).next().expect("a flag").to_owned();
        let (_, variable) = option.split_once("[env: ").expect("a variable");
        let (variable, _) = variable.split_once(']').expect("its end");
        (flag, variable.to_owned())
    };
    text.split(" --")
        .map(|text| option(text.trim_start_matches("--")))
        .collect()
}

#[tokio::test]
async fn every_flag_has_a_variable() {
    // Not an address, a URL, a file, a time, a number, a format or a filter.
    let wrong = "a=b=c";
    let help = run(&["serve", "--help"]).await.stdout;
    let flags = flags(&help);
    assert!(flags.len() >= 12, "{flags:?}");
    for (flag, variable) in flags {
        let name = format!("VIDEOCONF_{}", flag.replace('-', "_").to_uppercase());
        assert_eq!(variable, name, "{flag}");
        let mut command = command(&["check-config"]);
        command.env("VIDEOCONF_UPSTREAM_URL", "http://chat");
        command.env(&variable, wrong);
        let ended = Process::spawn(&mut command).ended().await;
        assert_eq!(ended.status, Some(64), "{flag}");
        let start = format!("videoconf-facade: --{flag}");
        assert!(ended.stderr.starts_with(&start), "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
}

/// Shells set a low one of files, which would be the limit on connections, too; and memory with tokens in it is nothing
/// to be written to disk at a crash.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn more_files_may_be_open_and_no_core_is_dumped() {
    let facade = serve(&["--upstream-url", "http://127.0.0.1:1"]);
    let facade = facade.as_std();
    let mut shell = tokio::process::Command::new("sh");
    let limits = "ulimit -S -n 64; ulimit -S -c \"$(ulimit -H -c)\"; exec \"$@\"";
    shell
        .args(["-c", limits, "sh"])
        .arg(facade.get_program())
        .args(facade.get_args())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let server = Server::start(&mut shell).await;
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    let limit = |name: &str| {
        let line = limits.lines().find_map(|line| line.strip_prefix(name));
        let mut words = line.expect("a limit").split_whitespace();
        (words.next(), words.next())
    };
    let (soft, hard) = limit("Max open files");
    assert_eq!(soft, hard);
    let (soft, _) = limit("Max core file size");
    assert_eq!(soft, Some("0"));
}
