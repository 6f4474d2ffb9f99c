//! Where the server listens.

use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs};

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
