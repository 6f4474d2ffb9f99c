//! A redis-server of a test's own, on a socket in a folder that goes with it.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use videoconf_facade::{replicas::Replica, store};

/// It runs until this is dropped.
pub struct RedisServer {
    folder: TempDir,
    process: Child,
}

impl RedisServer {
    /// One that keeps nothing.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let process = run(&folder);
        let server = Self { folder, process };
        server.is_there().await;
        server
    }

    /// Where it is, and whose keys are ours.
    pub fn options(&self) -> store::Options {
        let url = format!("redis+unix://{}", self.socket());
        store::Options {
            client: redis::Client::open(url).expect("a URL"),
            prefix: "test".to_owned(),
        }
    }

    /// The ledger, as a new replica has it.
    pub fn ledger(&self) -> (Replica, store::Written, store::Read) {
        let me = Replica::random();
        let (written, read) = store::ledger(&self.options(), me);
        (me, written, read)
    }

    /// Runs a command, and says what comes back.
    pub async fn command(&self, words: &[&str]) -> redis::Value {
        let client = self.options().client;
        let connection = client.get_multiplexed_async_connection().await;
        let mut connection = connection.expect("a connection");
        let mut command = redis::cmd(words[0]);
        let done = command.arg(&words[1..]).query_async(&mut connection);
        done.await.expect("an answer")
    }

    /// What its clock says.
    pub async fn millis(&self) -> u64 {
        let time = self.command(&["TIME"]).await;
        let (seconds, micros): (u64, u64) = redis::from_redis_value(time).expect("a time");
        seconds * 1000 + micros / 1000
    }

    /// Lets it do nothing any more, or go on.
    pub fn hang(&self, hangs: bool) {
        let pid = rustix::process::Pid::from_child(&self.process);
        let signal = if hangs {
            rustix::process::Signal::STOP
        } else {
            rustix::process::Signal::CONT
        };
        rustix::process::kill_process(pid, signal).expect("a process");
    }

    /// Kills it.
    pub fn stop(&mut self) {
        self.process.kill().expect("a process");
        self.process.wait().expect("its end");
    }

    /// Starts it anew; nothing is left of what it had.
    pub async fn start_again(&mut self) {
        self.process = run(&self.folder);
        self.is_there().await;
    }

    fn socket(&self) -> String {
        self.folder.path().join("socket").display().to_string()
    }

    async fn is_there(&self) {
        let client = self.options().client;
        let there = async {
            while client.get_multiplexed_async_connection().await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(10), there)
            .await
            .expect("a server");
    }
}

fn run(folder: &TempDir) -> Child {
    let socket = folder.path().join("socket");
    Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--appendonly", "no"])
        .arg("--unixsocket")
        .arg(socket)
        .arg("--dir")
        .arg(folder.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("a redis-server")
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
