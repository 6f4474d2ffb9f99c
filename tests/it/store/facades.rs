//! Facades that share a store, as processes.

use std::{collections::BTreeSet, fs, net::SocketAddr, time::Duration};

use futures_util::future::join_all;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;
use tonic::Code;
use videoconf_facade::sandbox::{CALLS, Reply, Sandbox, USERS};

use super::server::RedisServer;
use crate::{
    metrics::{asked, until, watched},
    support::{any_age, as_user, process::Server, sandbox, soon},
};

/// A store, and the secrets of those who use it.
struct Shared {
    store: RedisServer,
    folder: TempDir,
}

impl Shared {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for secret in ["right", "wrong"] {
            let file = folder.path().join(secret);
            fs::write(file, secret.repeat(10)).expect("a file");
        }
        Self {
            store: RedisServer::start().await,
            folder,
        }
    }

    /// A facade before `sandbox` with this secret, and where operators look.
    async fn facade_with(&self, sandbox: &Sandbox, secret: &str) -> (Server, SocketAddr) {
        let secret = self.folder.path().join(secret);
        let secret = secret.to_str().expect("a path");
        let url = self.store.url();
        let flags = ["--shared-store", &url, "--shared-store-key-file", secret];
        let log = ["--log-filter", "info,access=debug"];
        watched(sandbox, &[flags.as_slice(), &log].concat()).await
    }

    async fn facade(&self, sandbox: &Sandbox) -> (Server, SocketAddr) {
        self.facade_with(sandbox, "right").await
    }

    /// So many, all of which know of each other.
    async fn facades(&self, sandbox: &Sandbox, count: usize) -> Vec<(Server, SocketAddr)> {
        let starting = (0..count).map(|_| self.facade(sandbox));
        let facades = join_all(starting).await;
        for (facade, _) in &facades {
            shares_with(facade, count).await;
        }
        facades
    }
}

/// Waits until the facade says that it shares the limit with so many.
async fn shares_with(facade: &Server, count: usize) {
    let is_it = |line: &Value| {
        line["message"] == "sharing the limit with all replicas" && line["replicas"] == count
    };
    facade.process.stderr.find_json(is_it).await;
}

fn calls(sandbox: &Sandbox) -> usize {
    sandbox.requests().len()
}

/// Where the answer to the last call came from.
async fn source(facade: &Server) -> Value {
    let is_access = |line: &Value| line["target"] == "access";
    let line = facade.process.stderr.find_json(is_access).await;
    line["source"].clone()
}

#[tokio::test]
#[ignore = "needs a redis-server"]
async fn what_one_has_read_another_does_not_read() {
    let (shared, sandbox) = (Shared::start().await, sandbox().await);
    let facades = shared.facades(&sandbox, 2).await;
    let mut answers = Vec::new();
    for (facade, _) in &facades {
        let answer = facade
            .client()
            .get_info(as_user(any_age(CALLS[0].id)))
            .await;
        answers.push(answer.expect("an answer").into_inner());
    }
    assert_eq!(calls(&sandbox), 1);
    assert_eq!(
        answers[0].video_conference, answers[1].video_conference,
        "every field"
    );
    let read_at = |it: usize| answers[it].read_at.expect("a time");
    assert_eq!(read_at(0).seconds, read_at(1).seconds);
    assert_eq!(read_at(0).nanos / 1000, read_at(1).nanos / 1000);
}

/// A refusal, too, and a 401 drops what all were told.
#[tokio::test]
#[ignore = "needs a redis-server"]
async fn a_401_drops_what_all_were_told() {
    let (shared, sandbox) = (Shared::start().await, sandbox().await);
    let facades = shared.facades(&sandbox, 2).await;
    for (facade, _) in &facades {
        let answer = facade
            .client()
            .get_info(as_user(any_age(CALLS[0].id)))
            .await;
        answer.expect("an answer");
    }
    sandbox.always(Reply::json(
        401,
        r#"{"status":"error","message":"You must be logged in to do this."}"#,
    ));
    let refused = facades[0].0.get(CALLS[1].id).await.expect_err("a 401");
    assert_eq!(refused.code(), Code::Unauthenticated);
    // The ledger is read within milliseconds.
    soon(async {
        loop {
            let client = &mut facades[1].0.client();
            match client.get_info(as_user(any_age(CALLS[0].id))).await {
                Ok(_) => {}
                Err(refused) => return assert_eq!(refused.code(), Code::Unauthenticated),
            }
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a redis-server"]
async fn a_read_goes_on_at_one_of_them_at_a_time() {
    let (shared, sandbox) = (Shared::start().await, sandbox().await);
    let facades = shared.facades(&sandbox, 3).await;
    sandbox.always(
        Reply::json(200, r#"{"_id":"x","success":true}"#).delay(Duration::from_millis(300)),
    );
    let asking = facades.iter().map(async |(facade, _)| {
        let answer = facade.client().get_info(as_user(any_age("x"))).await;
        answer.expect("an answer");
    });
    join_all(asking).await;
    assert_eq!(calls(&sandbox), 1);
}

#[tokio::test]
#[ignore = "needs a redis-server"]
async fn one_with_another_key_file_reads_nothing_and_says_so() {
    let (shared, sandbox) = (Shared::start().await, sandbox().await);
    let (right, _) = shared.facade(&sandbox).await;
    right
        .client()
        .get_info(as_user(any_age(CALLS[0].id)))
        .await
        .expect("an answer");
    let (wrong, admin) = shared.facade_with(&sandbox, "wrong").await;
    let says = "replicas have another --shared-store-key-file: answers aren't shared with them";
    for facade in [&right, &wrong] {
        assert_eq!(facade.process.stderr.message(says).await["replicas"], 1);
    }
    wrong
        .client()
        .get_info(as_user(any_age(CALLS[0].id)))
        .await
        .expect("an answer");
    assert_eq!(calls(&sandbox), 2);
    let ready = asked(admin, "GET", "/readyz").await;
    assert!(
        ready.ends_with(
            "\nok\nshared store: reached, 2 replicas, 1 of them with another key file\n"
        ),
        "{ready}"
    );
}

/// All bytes of what the store has said, as they are.
fn add_bytes(all: &mut Vec<u8>, said: &redis::Value) {
    match said {
        redis::Value::BulkString(bytes) => all.extend(bytes),
        redis::Value::Array(values) => values.iter().for_each(|value| add_bytes(all, value)),
        other => panic!("{other:?}"),
    }
}

/// What anybody sees who can read all of the store.
#[tokio::test]
#[ignore = "needs a redis-server"]
async fn nobody_who_reads_the_store_learns_anything() {
    let (shared, sandbox) = (Shared::start().await, sandbox().await);
    let facades = shared.facades(&sandbox, 2).await;
    let secrets = [
        USERS[0].id,
        USERS[0].token,
        CALLS[0].id,
        "canary-name",
        "https://canary.example.org",
        "canary-error",
    ];
    sandbox.script(Reply::json(
        200,
        r#"{"_id":"x","title":"canary-name","url":"https://canary.example.org/call","success":true}"#,
    ));
    facades[0].0.get(CALLS[0].id).await.expect("an answer");
    sandbox.script(Reply::json(
        400,
        r#"{"success":false,"error":"canary-error"}"#,
    ));
    facades[1].0.get(CALLS[1].id).await.expect_err("a refusal");
    let (mut all, mut kinds) = (Vec::new(), Vec::new());
    for name in shared.store.names("*").await {
        let command: &[&str] = if name.ends_with(":ledger") {
            kinds.push("ledger");
            &["XRANGE", &name, "-", "+"]
        } else {
            kinds.push("said");
            &["GET", &name]
        };
        all.extend(name.as_bytes());
        add_bytes(&mut all, &shared.store.command(command).await);
    }
    kinds.sort_unstable();
    assert_eq!(kinds, ["ledger", "said", "said"]);
    let all = String::from_utf8_lossy(&all);
    for secret in secrets {
        assert!(!all.contains(secret), "{secret}");
    }
}

#[tokio::test]
#[ignore = "needs a redis-server"]
async fn one_that_ends_is_not_waited_for() {
    let (shared, sandbox) = (Shared::start().await, sandbox().await);
    let mut facades = shared.facades(&sandbox, 2).await;
    let (leaves, _) = facades.remove(0);
    assert_eq!(leaves.end().await.status, Some(0));
    let ended = Instant::now();
    shares_with(&facades[0].0, 1).await;
    // Who is only silent is taken for dead after 800 ms.
    assert!(
        ended.elapsed() < Duration::from_millis(600),
        "{:?}",
        ended.elapsed()
    );
}

#[tokio::test]
#[ignore = "needs a redis-server"]
async fn a_store_that_goes_and_comes_is_told_and_harms_no_call() {
    let (mut shared, sandbox) = (Shared::start().await, sandbox().await);
    let facades = shared.facades(&sandbox, 2).await;
    let (facade, admin) = &facades[0];
    facade.get(CALLS[0].id).await.expect("an answer");
    until(*admin, |measured| {
        let gauge = |name: &str| {
            let series = format!("{name}{{route=\"video-conference.info\"}}");
            measured.get(&series).map(String::as_str)
        };
        gauge("videoconf_store_reachable") == Some("1") && gauge("videoconf_replicas") == Some("2")
    })
    .await;
    shared.store.stop();
    let line = facade
        .process
        .stderr
        .message("the shared store can't be used: going on alone, with one part of the limit")
        .await;
    assert_eq!(
        (&line["level"], &line["parts"]),
        (&"WARN".into(), &2.into())
    );
    let ready = asked(*admin, "GET", "/readyz").await;
    let is_apart = "\nok\nshared store: out of reach, going on with 1 of 2 parts of the limit: ";
    assert!(ready.contains(is_apart), "{ready}");
    until(*admin, |measured| {
        measured
            .iter()
            .any(|(name, value)| name.starts_with("videoconf_store_reachable") && value == "0")
    })
    .await;
    let asked_at = Instant::now();
    facade
        .client()
        .get_info(as_user(any_age(CALLS[0].id)))
        .await
        .expect("what is known");
    facade.get(CALLS[1].id).await.expect("a read");
    assert!(asked_at.elapsed() < Duration::from_millis(300));
    shared.store.start_again().await;
    let back = Instant::now();
    soon(async {
        while !asked(*admin, "GET", "/readyz")
            .await
            .contains("reached, 2 replicas")
        {}
    })
    .await;
    assert!(
        back.elapsed() < Duration::from_secs(2),
        "{:?}",
        back.elapsed()
    );
}

/// Where an answer came from is told in the access log.
#[tokio::test]
#[ignore = "needs a redis-server"]
async fn an_answer_of_another_replica_is_called_that() {
    let (shared, sandbox) = (Shared::start().await, sandbox().await);
    let facades = shared.facades(&sandbox, 2).await;
    for ((facade, _), expected) in facades.iter().zip(["own read", "another replica"]) {
        facade
            .client()
            .get_info(as_user(any_age(CALLS[0].id)))
            .await
            .expect("an answer");
        assert_eq!(source(facade).await, expected);
    }
}

#[tokio::test]
#[ignore = "needs a redis-server"]
async fn what_is_measured_of_it_is_in_the_docs() {
    let (shared, sandbox) = (Shared::start().await, sandbox().await);
    let facades = shared.facades(&sandbox, 1).await;
    let (facade, admin) = &facades[0];
    facade.get(CALLS[0].id).await.expect("an answer");
    let ledger = shared.store.name("*:ledger").await;
    shared
        .store
        .command(&["XADD", &ledger, "*", "kind", "rubbish"])
        .await;
    until(*admin, |it| {
        it.keys()
            .any(|it| it.starts_with("videoconf_store_unreadable"))
    })
    .await;
    let text = asked(*admin, "GET", "/metrics").await;
    let ours = |name: &str| {
        ["db_", "videoconf_store_", "videoconf_replicas"]
            .iter()
            .any(|it| name.starts_with(it))
    };
    let shown: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .filter(|(name, _)| ours(name))
        .collect();
    let told: BTreeSet<_> = include_str!("../../../docs/metrics.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| <code>")?.split_once("</code> | "))
        .filter_map(|(name, rest)| Some((name, rest.split_once(" | ")?.0)))
        .filter(|(name, _)| ours(name))
        .collect();
    assert_eq!(shown, told);
}
