//! The client for the command line.

use std::{fs, time::Duration};

use serde_json::Value;
use videoconf_facade::{
    deadline::Limit,
    error::{Error, UpstreamText},
    route::INFO,
    sandbox::{CALLS, USERS},
};

use super::{
    PREFIX, as_protobuf_json, assert_conference, get_info, run_with, taken, upstream_json,
};
use crate::support::{Facade, Failing, sandbox};

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
            ["VIDEOCONF_USER_ID_FILE: ", "VIDEOCONF_AUTH_TOKEN_FILE: "],
        ),
        (
            vec!["--auth-token-file", &two_lines],
            vec![("VIDEOCONF_USER_ID", " ")],
            ["VIDEOCONF_USER_ID: ", "VIDEOCONF_AUTH_TOKEN_FILE: "],
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
            Error::BudgetExhausted {
                route: &INFO,
                retry_after,
            },
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
        let facade = Facade::around(Failing(error)).await;
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
