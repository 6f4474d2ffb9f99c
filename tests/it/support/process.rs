//! The command as a process: what it is given, what it prints, how it ends.

use std::{env, net::SocketAddr, process::Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    sync::watch,
    time::timeout,
};
use tonic::{Status, transport::Channel};
use videoconf_facade::{
    proto::v1::{GetInfoResponse, video_conference_service_client::VideoConferenceServiceClient},
    sandbox::Sandbox,
};

use super::{BOUND, as_user, request, soon};

/// A running command. It is killed when it is dropped.
pub struct Process {
    child: Child,
    pub stdout: Printed,
    pub stderr: Printed,
}

/// What a process prints to one of its pipes, read as it comes.
pub struct Printed(watch::Receiver<Text>);

#[derive(Default)]
struct Text {
    bytes: Vec<u8>,
    is_whole: bool,
}

/// A command that has ended, and all that it printed.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    /// `None` after a signal.
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A running `serve`.
pub struct Server {
    pub process: Process,
    pub address: SocketAddr,
}

/// The command with `arguments`, and none of its variables in the environment.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_videoconf-facade"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("VIDEOCONF_") || text.starts_with("OTEL_") || text == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command
}

/// `serve` on a free port, with `flags`.
pub fn serve(flags: &[&str]) -> Command {
    let mut command = command(&["serve", "--listen", "127.0.0.1:0"]);
    command.args(flags);
    command
}

/// Runs the command to its end.
pub async fn run(arguments: &[&str]) -> Ended {
    Process::spawn(&mut command(arguments)).ended().await
}

/// The address in the line that a server prints when it serves.
pub fn serving(line: &str) -> Option<SocketAddr> {
    let address = match serde_json::from_str::<Value>(line) {
        Ok(line) if line["message"] == "serving" => line["listen"].as_str()?.to_owned(),
        Ok(_) => return None,
        Err(_) => {
            let (_, fields) = line.split_once(" serving listen=")?;
            fields.split(' ').next()?.to_owned()
        }
    };
    Some(address.parse().expect("an address"))
}

/// Lines of JSON, all of them.
#[track_caller]
pub fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
        .collect()
}

impl Process {
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("the command");
        Self {
            stdout: Printed::read(child.stdout.take().expect("a pipe")),
            stderr: Printed::read(child.stderr.take().expect("a pipe")),
            child,
        }
    }

    /// Sends `signal` to the command, which must not have ended.
    pub fn signal(&self, signal: Signal) {
        send_signal(&self.child, signal);
    }

    /// Waits for the command's end.
    pub async fn ended(mut self) -> Ended {
        let status = timeout(BOUND, self.child.wait()).await;
        let Ok(status) = status else {
            panic!("no end; stderr so far:\n{}", self.stderr.so_far());
        };
        Ended {
            status: status.expect("a status").code(),
            stdout: self.stdout.whole().await,
            stderr: self.stderr.whole().await,
        }
    }
}

/// Sends `signal` to `child`, which must not have ended.
pub fn send_signal(child: &Child, signal: Signal) {
    let id = child.id().expect("a running process");
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a process id"), signal).expect("a running process");
}

impl Printed {
    fn read(mut pipe: impl AsyncRead + Send + Unpin + 'static) -> Self {
        let (sender, receiver) = watch::channel(Text::default());
        tokio::spawn(async move {
            let mut buffer = [0; 8 * 1024];
            while let Ok(length @ 1..) = pipe.read(&mut buffer).await {
                sender.send_modify(|text| text.bytes.extend_from_slice(&buffer[..length]));
            }
            sender.send_modify(|text| text.is_whole = true);
        });
        Self(receiver)
    }

    pub fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.0.borrow().bytes).into_owned()
    }

    /// Everything up to the end.
    pub async fn whole(&self) -> String {
        let mut text = self.0.clone();
        let text = soon(text.wait_for(|text| text.is_whole)).await;
        let text = text.expect("a reader");
        String::from_utf8_lossy(&text.bytes).into_owned()
    }

    /// Waits until `find` has found what it looks for in a line, from the first one on.
    pub async fn find<T>(&self, mut find: impl FnMut(&str) -> Option<T>) -> T {
        let mut found = None;
        let mut searched = 0;
        let mut text = self.0.clone();
        let search = text.wait_for(|text| {
            while found.is_none()
                && let rest = &text.bytes[searched..]
                && let Some(length) = rest.iter().position(|byte| *byte == b'\n')
            {
                found = find(&String::from_utf8_lossy(&rest[..length]));
                searched += length + 1;
            }
            found.is_some() || text.is_whole
        });
        let _ = timeout(BOUND, search).await;
        found.unwrap_or_else(|| panic!("no such line in:\n{}", self.so_far()))
    }

    /// Waits for a line of JSON.
    pub async fn find_json(&self, is_it: impl Fn(&Value) -> bool) -> Value {
        self.find(|line| serde_json::from_str(line).ok().filter(&is_it))
            .await
    }

    /// Waits for the line of the log with `message`.
    pub async fn message(&self, message: &str) -> Value {
        self.find_json(|line| line["message"] == message).await
    }
}

impl Server {
    /// Starts `command` and waits until it serves.
    pub async fn start(command: &mut Command) -> Self {
        let process = Process::spawn(command);
        let address = process.stderr.find(serving).await;
        Self { process, address }
    }

    /// Starts `serve` before `sandbox`, with more `flags`.
    pub async fn before(sandbox: &Sandbox, flags: &[&str]) -> Self {
        Self::start(serve(&["--upstream-url", &sandbox.url()]).args(flags)).await
    }

    /// A connection of its own.
    pub fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address))
            .expect("a URL")
            .connect_lazy()
    }

    /// A stock client on a connection of its own.
    pub fn client(&self) -> VideoConferenceServiceClient<Channel> {
        VideoConferenceServiceClient::new(self.channel())
    }

    /// Asks for `call_id` as the sandbox's first user.
    pub async fn get(&self, call_id: &str) -> Result<GetInfoResponse, Status> {
        let answer = self.client().get_info(as_user(request(call_id))).await?;
        Ok(answer.into_inner())
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.process.child.id().expect("a running process")
    }

    /// Asks for the end, and waits for it.
    pub async fn end(self) -> Ended {
        self.process.signal(Signal::TERM);
        self.process.ended().await
    }
}
