//! What is looked at before a facade starts that shares a store.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
};

use tempfile::TempDir;

use super::server::RedisServer;
use crate::support::{
    authority::Authority,
    process::{Ended, Process, Server, run, serve},
    sandbox,
};

/// The secret of all replicas, in a file.
pub struct KeyFile(TempDir);

impl KeyFile {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("key"), "k".repeat(32)).expect("a file");
        Self(folder)
    }

    pub fn path(&self) -> String {
        self.file("key")
    }

    fn file(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// A file with this content.
    fn with(&self, content: &str) -> String {
        let name = self.file("other");
        fs::write(&name, content).expect("a file");
        name
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// How a facade ends that doesn't start with this store.
pub async fn refused(url: &str, flags: &[&str]) -> Ended {
    let key = KeyFile::new();
    let mut command = serve(&["--upstream-url", "http://127.0.0.1:1"]);
    command.args([
        "--shared-store",
        url,
        "--shared-store-key-file",
        &key.path(),
    ]);
    command.args(flags);
    Process::spawn(&mut command).ended().await
}

/// Waits until it says that it shares the limit.
pub async fn shares(facade: &Server) {
    let line = "sharing the limit with all replicas";
    facade.process.stderr.message(line).await;
}

#[track_caller]
pub fn is_one_line(ended: &Ended, words: &str) {
    assert_eq!(ended.status, Some(64), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    let start = "videoconf-facade: --shared-store: ";
    assert!(ended.stderr.starts_with(start), "{}", ended.stderr);
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
}

#[tokio::test]
#[ignore = "needs a redis-server"]
async fn a_wrong_password_is_one_line() {
    let server = RedisServer::with(&["--requirepass", "right"]);
    server.listens().await;
    let key = KeyFile::new();
    let wrong = key.with("hunter2\n");
    let ended = refused(&server.url(), &["--shared-store-password-file", &wrong]).await;
    is_one_line(&ended, "password");
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    is_one_line(&refused(&server.url(), &[]).await, "password");
}

#[tokio::test]
#[ignore = "needs a redis-server"]
async fn a_password_comes_from_a_file_or_the_environment() {
    let server = RedisServer::with(&["--requirepass", "right"]);
    server.listens().await;
    let (key, sandbox) = (KeyFile::new(), sandbox().await);
    let (url, upstream) = (server.url(), sandbox.url());
    let flags = [
        "--upstream-url",
        &upstream,
        "--shared-store-key-file",
        &key.path(),
    ];
    let file = key.with("right\nand a note\n");
    let mut by_file = serve(&flags);
    by_file.args([
        "--shared-store",
        &url,
        "--shared-store-password-file",
        &file,
    ]);
    let mut by_variable = serve(&flags);
    by_variable.args(["--shared-store", &url]);
    by_variable.env("VIDEOCONF_SHARED_STORE_PASSWORD", "right");
    for mut command in [by_file, by_variable] {
        let facade = Server::start(&mut command).await;
        shares(&facade).await;
    }
}

#[tokio::test]
#[ignore = "needs a redis-server"]
async fn who_may_not_do_what_is_needed_is_told() {
    let server = RedisServer::start().await;
    server
        .command(&["ACL", "SETUSER", "default", "-xadd"])
        .await;
    is_one_line(&refused(&server.url(), &[]).await, "xadd");
}

#[tokio::test]
#[ignore = "needs a redis-server"]
async fn a_server_of_another_kind_is_one_line() {
    let sandbox = sandbox().await;
    let url = sandbox.url().replace("http://", "redis://");
    is_one_line(&refused(&url, &[]).await, "neither Valkey nor Redis");
}

#[tokio::test]
#[ignore = "needs a redis-server"]
async fn tls_is_spoken_with_whom_the_authority_knows() {
    let (authority, files) = (Authority::new(), KeyFile::new());
    let pair = authority.issue_for("localhost");
    fs::write(files.file("certificate"), &pair.certificate).expect("a file");
    fs::write(files.file("certificate-key"), &pair.key).expect("a file");
    let port = free_port();
    let server = RedisServer::with(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &files.file("certificate"),
        "--tls-key-file",
        &files.file("certificate-key"),
        "--tls-ca-cert-file",
        &authority.file(),
        "--tls-auth-clients",
        "no",
    ]);
    server.is_there().await;
    let (sandbox, url) = (sandbox().await, format!("rediss://localhost:{port}"));
    let flags = [
        "--shared-store",
        &url,
        "--shared-store-key-file",
        &files.path(),
    ];
    let trusting = ["--shared-store-ca", &authority.file()];
    let facade = Server::before(&sandbox, &[&flags[..], &trusting].concat()).await;
    shares(&facade).await;
    is_one_line(&refused(&url, &[]).await, "TLS");
    is_one_line(
        &refused(&url, &["--shared-store-ca", &Authority::new().file()]).await,
        "TLS",
    );
    let sandbox = sandbox.url().replace("http", "rediss");
    is_one_line(&refused(&sandbox, &[]).await, "TLS");
}

/// It may be there soon, and nothing is lost meanwhile.
#[tokio::test]
#[ignore = "needs a redis-server"]
async fn a_store_that_is_not_there_yet_is_waited_for() {
    let (key, sandbox) = (KeyFile::new(), sandbox().await);
    let port = free_port();
    let url = format!("redis://127.0.0.1:{port}");
    let flags = [
        "--shared-store",
        &url,
        "--shared-store-key-file",
        &key.path(),
    ];
    let facade = Server::before(&sandbox, &flags).await;
    let line = "the shared store can't be used: going on alone, with one part of the limit";
    let line = facade.process.stderr.message(line).await;
    assert_eq!(line["parts"], 1);
    facade
        .get(videoconf_facade::sandbox::CALLS[0].id)
        .await
        .expect("an answer");
    let _server = RedisServer::with(&["--port", &port.to_string()]);
    shares(&facade).await;
}

#[tokio::test]
#[ignore = "needs a redis-server"]
async fn nothing_is_asked_of_it_by_a_check_of_the_configuration() {
    let key = KeyFile::new();
    let ended = run(&[
        "check-config",
        "--upstream-url",
        "http://127.0.0.1:1",
        "--shared-store",
        "redis://127.0.0.1:1",
        "--shared-store-key-file",
        &key.path(),
    ])
    .await;
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
}
