//! A redis-server of a test's own, on a socket in a folder that goes with it.

use std::{
    env,
    ffi::OsString,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    net::{TcpStream, UnixStream},
    time::{sleep, timeout},
};
use videoconf_facade::{
    metrics::Metrics,
    replicas::Replica,
    route::INFO,
    store::{self, Namespace, Secret, Seed},
};

/// It runs until this is dropped.
pub struct RedisServer {
    folder: TempDir,
    options: Vec<String>,
    process: Child,
}

impl RedisServer {
    /// One that keeps nothing.
    pub async fn start() -> Self {
        let server = Self::with(&[]);
        server.is_there().await;
        server
    }

    /// One with these options, too, which may not be there yet.
    pub fn with(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let options: Vec<_> = options.iter().map(|it| (*it).to_owned()).collect();
        let process = run(&folder, &options);
        Self {
            folder,
            options,
            process,
        }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("unix://{}", self.socket())
    }

    /// What all replicas with this secret have.
    pub fn options(&self, secret: u8) -> store::Options {
        store::Options {
            seed: Seed {
                client: redis::Client::open(self.url()).expect("a URL"),
                primary: None,
            },
            secret: Secret::new(&[secret; 32]).expect("a secret"),
            namespace: Namespace::of("http://chat"),
        }
    }

    /// What a new replica has, which has this secret.
    pub fn open(&self, secret: u8) -> (Replica, store::Opened) {
        let me = Replica::random();
        let opened = store::open(
            &self.options(secret),
            &INFO,
            me,
            Duration::from_secs(30),
            &Metrics::off(),
        );
        (me, opened)
    }

    /// The ledger, as a new replica has it.
    pub fn ledger(&self) -> (Replica, store::Written, store::Read) {
        let (me, opened) = self.open(b'x');
        (me, opened.ledger, opened.reader)
    }

    /// The names that there are which match `pattern`.
    pub async fn names(&self, pattern: &str) -> Vec<String> {
        let names = self.command(&["KEYS", pattern]).await;
        redis::from_redis_value(names).expect("names")
    }

    /// The one name that matches `pattern`.
    pub async fn name(&self, pattern: &str) -> String {
        let names = self.names(pattern).await;
        let [name] = &names[..] else {
            panic!("not one: {names:?}");
        };
        name.clone()
    }

    /// Runs a command, and says what comes back.
    pub async fn command(&self, words: &[&str]) -> redis::Value {
        let client = redis::Client::open(self.url()).expect("a URL");
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
        self.process = run(&self.folder, &self.options);
        self.is_there().await;
    }

    fn socket(&self) -> String {
        self.folder.path().join("socket").display().to_string()
    }

    /// A Sentinel with this file.
    pub fn sentinel(file: &str) -> Self {
        let mut command = Command::new(program());
        command.args([file, "--sentinel"]).stdout(Stdio::null());
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            options: Vec::new(),
            process: command.spawn().expect("a redis-server"),
        }
    }

    /// Waits until it listens on this port.
    pub async fn listens_at(&self, port: u16) {
        let there = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(10), there)
            .await
            .expect("a server");
    }

    /// Waits until it listens, whatever it says then.
    pub async fn listens(&self) {
        let there = async {
            while UnixStream::connect(self.socket()).await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(10), there)
            .await
            .expect("a server");
    }

    /// Waits until it is there.
    pub async fn is_there(&self) {
        let client = redis::Client::open(self.url()).expect("a URL");
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

/// The server's program, which may be another one than the system's.
fn program() -> OsString {
    env::var_os("STORE_SERVER").unwrap_or_else(|| "redis-server".into())
}

fn run(folder: &TempDir, options: &[String]) -> Child {
    let socket = folder.path().join("socket");
    Command::new(program())
        .args(["--port", "0", "--save", "", "--appendonly", "no"])
        .arg("--unixsocket")
        .arg(socket)
        .arg("--dir")
        .arg(folder.path())
        .args(options)
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
