//! Where the server listens.

use std::{
    fs::File,
    net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs},
    os::fd::OwnedFd,
    process::Stdio,
};

use tokio::process::Command;

use crate::support::{
    process::{Process, Server, command, json_lines},
    raw::Connection,
    sandbox,
};

/// The addresses of a name that a socket can be bound to here: in many a container, not that of IPv6.
fn addresses_of(name: &str) -> Vec<IpAddr> {
    let addresses = (name, 0).to_socket_addrs().expect("addresses");
    let mut addresses: Vec<_> = addresses
        .filter(|it| TcpListener::bind(it).is_ok())
        .map(|it| it.ip())
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

#[tokio::test]
async fn a_name_stands_for_all_of_its_addresses() {
    let sandbox = sandbox().await;
    let url = sandbox.url();
    let mut serve = command(&["serve", "--listen", "localhost:0", "--upstream-url", &url]);
    let server = Server::start(&mut serve).await;
    let port = server.address.port();
    let addresses = addresses_of("localhost");
    for ip in &addresses {
        let mut connection = Connection::open((*ip, port).into()).await;
        let answer = connection.get_info("x", &[]).await;
        assert_ne!(answer.grpc_status(), "14", "{ip}");
    }
    let lines = json_lines(&server.end().await.stderr).into_iter();
    let mut listen: Vec<_> = lines
        .filter(|line| line["message"] == "serving")
        .map(|line| {
            line["listen"]
                .as_str()
                .unwrap()
                .parse::<SocketAddr>()
                .unwrap()
        })
        .collect();
    listen.sort_unstable();
    let expected: Vec<_> = addresses
        .iter()
        .map(|ip| SocketAddr::new(*ip, port))
        .collect();
    assert_eq!(listen, expected, "a line for each");
}

#[tokio::test]
async fn a_port_in_use_on_any_of_them_is_a_failure() {
    for ip in addresses_of("localhost") {
        let taken = TcpListener::bind((ip, 0)).expect("a free port");
        let place = format!("localhost:{}", taken.local_addr().unwrap().port());
        let mut serve = command(&[
            "serve",
            "--upstream-url",
            "http://unused",
            "--listen",
            &place,
        ]);
        let ended = Process::spawn(&mut serve).ended().await;
        assert_eq!(ended.status, Some(1), "{ip}");
        let start = format!("videoconf-facade: can't listen on {place}: ");
        assert!(ended.stderr.starts_with(&start), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_a_failure() {
    let mut serve = command(&["serve", "--upstream-url", "http://unused"]);
    let ended = Process::spawn(serve.args(["--listen", "host.invalid:0"]))
        .ended()
        .await;
    assert_eq!(ended.status, Some(1));
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    let start = "videoconf-facade: can't listen on host.invalid:0: ";
    assert!(ended.stderr.starts_with(start), "{}", ended.stderr);
}

/// As systemd does: the descriptors from 3 on are ours to accept on.
#[tokio::test]
async fn a_socket_that_is_passed_is_used() {
    let sandbox = sandbox().await;
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().unwrap();
    let mut shell = passing(socket.try_clone().unwrap(), &sandbox.url());
    let server = Server::start(&mut shell).await;
    assert_eq!(server.address, address);
    drop(socket);
    let answer = Connection::open(address).await.get_info("x", &[]).await;
    assert_ne!(answer.grpc_status(), "14");
    let ended = server.end().await;
    assert_eq!(ended.status, Some(0));
    assert!(!ended.stderr.contains("WARN"), "{}", ended.stderr);

    let mut shell = passing(File::open("/dev/null").unwrap(), &sandbox.url());
    let ended = Process::spawn(&mut shell).ended().await;
    assert_eq!(ended.status, Some(1));
    let start = "videoconf-facade: can't use a socket of LISTEN_FDS: ";
    assert!(ended.stderr.starts_with(start), "{}", ended.stderr);
}

/// A shell that starts `serve` with `passed` as its descriptor 3.
fn passing(passed: impl Into<OwnedFd>, upstream_url: &str) -> Command {
    let script = r#"LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" serve --upstream-url "$1" 3<&0"#;
    let facade = env!("CARGO_BIN_EXE_videoconf-facade");
    let mut shell = Command::new("sh");
    shell
        .args(["-c", script, facade, upstream_url])
        .stdin(passed.into())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    shell
}

#[tokio::test]
async fn processes_share_a_port_if_they_say_so() {
    let sandbox = sandbox().await;
    let url = sandbox.url();
    let first = Server::before(&sandbox, &["--reuse-port"]).await;
    let place = first.address.to_string();
    let serve = |flags: &[&str]| {
        let mut serve = command(&["serve", "--upstream-url", &url, "--listen", &place]);
        serve.args(flags);
        serve
    };
    let second = Server::start(&mut serve(&["--reuse-port=true"])).await;
    let third = Process::spawn(&mut serve(&[])).ended().await;
    assert_eq!(third.status, Some(1), "{}", third.stderr);
    // Either of them goes on alone.
    assert_eq!(first.end().await.status, Some(0));
    let answer = Connection::open(second.address)
        .await
        .get_info("x", &[])
        .await;
    assert_ne!(answer.grpc_status(), "14");
}
