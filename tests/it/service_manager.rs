//! systemd's protocol: a service manager hears when the facade serves, that it is alive, and when it ends.

use rustix::process::Signal;
use tokio::net::UnixDatagram;
use videoconf_facade::sandbox::Reply;

use crate::support::{
    SMALLEST,
    process::{Server, serve},
    sandbox, soon,
};

/// The next thing that `manager` hears.
async fn heard(manager: &UnixDatagram) -> String {
    let mut message = [0; 1024];
    let length = soon(manager.recv(&mut message)).await.expect("a message");
    String::from_utf8_lossy(&message[..length]).into_owned()
}

#[tokio::test]
async fn a_service_manager_hears_of_begin_life_and_end() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).expect("a socket");
    let mut command = serve(&[
        "--upstream-url",
        &sandbox.url(),
        "--shutdown-notice",
        "50ms",
    ]);
    command.env("NOTIFY_SOCKET", &socket);
    command.env("WATCHDOG_USEC", "200000");
    let server = Server::start(&mut command).await;
    assert_eq!(heard(&manager).await, "READY=1\n");
    server.get("x").await.expect("an answer");
    for _ in 0..3 {
        assert_eq!(heard(&manager).await, "WATCHDOG=1\n");
    }
    server.process.signal(Signal::TERM);
    let mut last = heard(&manager).await;
    while last == "WATCHDOG=1\n" {
        last = heard(&manager).await;
    }
    assert_eq!(last, "STOPPING=1\n");
    assert_eq!(server.process.ended().await.status, Some(0));
}

/// Another process's watchdog isn't ours, and a manager that has gone is no reason to end.
#[tokio::test]
async fn a_service_manager_that_is_none_is_no_trouble() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let mut command = serve(&["--upstream-url", &sandbox.url()]);
    command.env("NOTIFY_SOCKET", "/nowhere/at/all");
    command.env("WATCHDOG_USEC", "1000");
    command.env("WATCHDOG_PID", "1");
    let server = Server::start(&mut command).await;
    let told = server
        .process
        .stderr
        .message("the service manager can't be told");
    assert!(told.await["error"].is_string());
    server.get("x").await.expect("an answer");
    let log = server.end().await.stderr;
    let told = log.matches("the service manager can't be told").count();
    assert_eq!(told, 2, "at the beginning and at the end: {log}");
}
