//! The commands: what each says of itself, what it refuses, what it prints where, how it ends.

mod config;
mod demo;
mod descriptor;
mod get_info;
mod health;
mod help;
mod printing;
mod secrets;
mod tls;
mod warnings;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use videoconf_facade::sandbox::{Sandbox, USERS};

use crate::support::process::{Ended, Process, command};

const COMMANDS: [&str; 6] = [
    "serve",
    "demo",
    "get-info",
    "health",
    "check-config",
    "descriptor",
];

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

/// `get-info` with the sandbox's first user in the environment.
async fn get_info(server: SocketAddr, call_id: &str) -> Ended {
    let credentials = [
        ("VIDEOCONF_USER_ID", USERS[0].id),
        ("VIDEOCONF_AUTH_TOKEN", USERS[0].token),
    ];
    let arguments = ["get-info", "--server", &server.to_string(), call_id];
    run_with(&arguments, &credentials).await
}
