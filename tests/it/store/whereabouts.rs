//! Stores that are found through a Sentinel, or through another node of their cluster.

use std::{fs, time::Duration};

use redis::Value;
use tempfile::TempDir;
use tokio::time::sleep;
use videoconf_facade::sandbox::{CALLS, Sandbox};

use super::{
    server::RedisServer,
    start::{KeyFile, free_port, is_one_line, refused, shares},
};
use crate::support::{any_age, as_user, process::Server, sandbox, soon};

const SHARES: &str = "sharing the limit with all replicas";

async fn facade(sandbox: &Sandbox, key: &KeyFile, url: &str) -> Server {
    let flags = [
        "--shared-store",
        url,
        "--shared-store-key-file",
        &key.path(),
    ];
    Server::before(sandbox, &flags).await
}

async fn get(facade: &Server) {
    let answer = facade
        .client()
        .get_info(as_user(any_age(CALLS[0].id)))
        .await;
    answer.expect("an answer");
}

/// A node of a cluster, and its port.
async fn node() -> (RedisServer, u16) {
    let [port, bus] = [free_port(), free_port()];
    let node = RedisServer::with(&[
        "--cluster-enabled",
        "yes",
        "--bind",
        "127.0.0.1",
        "--port",
        &port.to_string(),
        "--cluster-port",
        &bus.to_string(),
    ]);
    node.is_there().await;
    (node, port)
}

/// Waits until the cluster of which this is a node is complete.
async fn complete(node: &RedisServer) {
    soon(async {
        loop {
            let Value::BulkString(info) = node.command(&["CLUSTER", "INFO"]).await else {
                panic!("no text");
            };
            let info = String::from_utf8_lossy(&info);
            if info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:2") {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a redis-server"]
async fn all_nodes_of_a_cluster_lead_to_the_one() {
    let ((one, one_port), (other, other_port)) = (node().await, node().await);
    one.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "8191"])
        .await;
    other
        .command(&["CLUSTER", "ADDSLOTSRANGE", "8192", "16383"])
        .await;
    let bus = other.command(&["CONFIG", "GET", "cluster-port"]).await;
    let bus: Vec<String> = redis::from_redis_value(bus).expect("a setting");
    one.command(&[
        "CLUSTER",
        "MEET",
        "127.0.0.1",
        &other_port.to_string(),
        &bus[1],
    ])
    .await;
    complete(&one).await;
    complete(&other).await;
    let (sandbox, key) = (sandbox().await, KeyFile::new());
    for port in [one_port, other_port] {
        let facade = facade(&sandbox, &key, &format!("redis://127.0.0.1:{port}")).await;
        shares(&facade).await;
        get(&facade).await;
    }
    assert_eq!(sandbox.requests().len(), 1, "the second one found it");
}

/// A Sentinel that watches a primary on this port by the name of "store", and its own port.
fn sentinel(folder: &TempDir, port: u16, more: &str) -> (RedisServer, u16) {
    let own_port = free_port();
    let file = folder.path().join("sentinel.conf");
    let config = format!(
        "port {own_port}\nbind 127.0.0.1\nsentinel monitor store 127.0.0.1 {port} 1\n\
         sentinel down-after-milliseconds store 500\nsentinel failover-timeout store 2000\n{more}\n"
    );
    fs::write(&file, config).expect("a file");
    let file = file.to_str().expect("a path");
    (RedisServer::sentinel(file), own_port)
}

#[tokio::test]
#[ignore = "needs a redis-server"]
async fn a_sentinel_leads_to_the_primary_and_to_the_next_one() {
    let [port, next_port] = [free_port(), free_port()];
    let listen = |port: u16| {
        [
            "--bind".to_owned(),
            "127.0.0.1".to_owned(),
            "--port".to_owned(),
            port.to_string(),
        ]
    };
    let listening = |port| {
        let listen = listen(port);
        RedisServer::with(&listen.each_ref().map(String::as_str))
    };
    let (mut primary, next) = (listening(port), listening(next_port));
    primary.is_there().await;
    next.is_there().await;
    next.command(&["REPLICAOF", "127.0.0.1", &port.to_string()])
        .await;
    let folder = tempfile::tempdir().expect("a folder");
    let (_sentinel, sentinel_port) = sentinel(&folder, port, "");
    let (sandbox, key) = (sandbox().await, KeyFile::new());
    let url = format!("redis://127.0.0.1:{sentinel_port}");
    // It may not be there yet.
    let facade = facade(&sandbox, &key, &url).await;
    shares(&facade).await;
    get(&facade).await;
    assert!(!primary.names("*:ledger").await.is_empty());
    soon(async {
        // The Sentinel hears of it by asking the primary now and then, and there has to be something to promote.
        while next.names("*:ledger").await.is_empty() {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    primary.stop();
    soon(async {
        while sentinels_primary(sentinel_port).await != next_port {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let before = facade.process.stderr.so_far().matches(SHARES).count();
    soon(async {
        while facade.process.stderr.so_far().matches(SHARES).count() == before {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

/// Where the primary is, as a Sentinel says.
async fn sentinels_primary(port: u16) -> u16 {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).expect("a URL");
    let connection = client.get_multiplexed_async_connection().await;
    let mut connection = connection.expect("a Sentinel");
    let mut ask = redis::cmd("SENTINEL");
    ask.arg("GET-MASTER-ADDR-BY-NAME").arg("store");
    let (_, port): (String, u16) = ask.query_async(&mut connection).await.expect("an address");
    port
}

#[tokio::test]
#[ignore = "needs a redis-server"]
async fn of_several_primaries_one_has_to_be_named() {
    let port = free_port();
    let password = ["--requirepass", "right", "--bind", "127.0.0.1", "--port"];
    let primary = RedisServer::with(&[&password[..], &[&port.to_string()]].concat());
    primary.listens().await;
    let folder = tempfile::tempdir().expect("a folder");
    let other = format!("sentinel monitor other 127.0.0.1 {} 1", free_port());
    let (sentinel, sentinel_port) = sentinel(&folder, port, &other);
    sentinel.listens_at(sentinel_port).await;
    let url = format!("redis://127.0.0.1:{sentinel_port}");
    for (url, words) in [(url.clone(), "other"), (format!("{url}#none"), "store")] {
        is_one_line(&refused(&url, &[]).await, words);
    }
    // It has no password, and the store has one.
    let (sandbox, key) = (sandbox().await, KeyFile::new());
    let mut command = crate::support::process::serve(&["--upstream-url", &sandbox.url()]);
    command.args(["--shared-store", &format!("{url}#store")]);
    command.args(["--shared-store-key-file", &key.path()]);
    command.env("VIDEOCONF_SHARED_STORE_PASSWORD", "right");
    let facade = Server::start(&mut command).await;
    shares(&facade).await;
}
