//! The command as a process of its own, with an environment of its own.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, ChildStderr, Command, Stdio},
};

use serde_json::Value;
use tonic::Status;
use videoconf_facade::proto::v1::{
    GetInfoResponse, video_conference_service_client::VideoConferenceServiceClient,
};

use super::{as_user, request};

/// A running `serve`. Ends when it is dropped.
pub struct Served {
    child: Child,
    address: SocketAddr,
    // Open, so that the process can go on writing.
    _log: BufReader<ChildStderr>,
}

impl Served {
    /// Starts `serve` on a free port with these flags and no other environment than this.
    pub fn start(flags: &[&str], environment: &[(&str, &OsStr)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_videoconf-facade"))
            .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"])
            .args(flags)
            .env_clear()
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command");
        let mut log = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut line = String::new();
        log.read_line(&mut line).expect("a first line");
        let listen = serde_json::from_str(&line)
            .ok()
            .and_then(|line: Value| line["listen"].as_str()?.parse().ok());
        Self {
            address: listen.unwrap_or_else(|| panic!("not serving: {line}")),
            child,
            _log: log,
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks for `call_id` as the sandbox's first user.
    pub async fn get(&self, call_id: &str) -> Result<GetInfoResponse, Status> {
        let mut client = VideoConferenceServiceClient::connect(format!("http://{}", self.address))
            .await
            .expect("a connection");
        let answer = client.get_info(as_user(request(call_id))).await?;
        Ok(answer.into_inner())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
