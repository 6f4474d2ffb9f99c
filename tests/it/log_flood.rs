//! Who has no credentials can't fill the log: neither with long lines nor with many.

use std::time::Instant;

use bytes::Bytes;
use serde_json::Value;

use crate::support::{
    process::{Server, json_lines},
    raw::{Answer, Connection},
    sandbox,
};

/// How many lines of calls that failed without a read are written in a second.
const LINES: usize = 100;

/// Several seconds' worth of lines, in far less time than that.
const CALLS: usize = 300;

fn access(log: &str) -> (Vec<Value>, u64) {
    let mut lines = json_lines(log);
    lines.retain(|line| line["target"] == "access");
    let left_out = lines.iter().filter_map(|line| line["left_out"].as_u64());
    let left_out = left_out.sum();
    lines.retain(|line| line["left_out"].is_null());
    (lines, left_out)
}

/// A path of nearly 4 KB costs its sender some twenty bytes, from the second time on.
#[tokio::test]
async fn long_paths_of_nothing_cost_little() {
    let sandbox = sandbox().await;
    let server = Server::before(&sandbox, &[]).await;
    let mut connection = Connection::open(server.address).await;
    // It ends no line and begins none.
    let path = format!("/\"}},{{\"code\":\"OK\"{}", "x".repeat(3900));
    let began = Instant::now();
    for _ in 0..CALLS {
        let answer = connection.send(&path, &[], Bytes::new()).await;
        assert_eq!(Answer::read(answer).await.grpc_status(), "12");
    }
    let log = server.end().await.stderr;
    let windows = began.elapsed().as_secs() + 2;
    assert!(log.len() < 100 << 10, "{} bytes", log.len());
    let (lines, left_out) = access(&log);
    for line in &lines {
        assert_eq!(line["method"], "other");
        assert_eq!(line["path"], path[..128]);
    }
    assert!(lines.len() >= LINES, "{}", lines.len());
    let written = lines.len() as u64;
    assert!(written <= windows * LINES as u64, "{written}");
    assert_eq!(written + left_out, CALLS as u64, "{log}");
}

/// Calls that were paid for with a read have their lines, however many there are.
#[tokio::test]
async fn lines_of_reads_are_never_left_out() {
    let sandbox = sandbox().await;
    let server = Server::before(&sandbox, &["--upstream-limit", "none"]).await;
    let mut connection = Connection::open(server.address).await;
    for _ in 0..CALLS {
        let answer = connection.send("/", &[], Bytes::new()).await;
        Answer::read(answer).await;
        connection.get_info("no-such-call", &[]).await;
    }
    let (lines, left_out) = access(&server.end().await.stderr);
    let reads = lines.iter().filter(|line| !line["upstream_ms"].is_null());
    assert_eq!(reads.count(), CALLS);
    assert_eq!(lines.len() as u64 + left_out, 2 * CALLS as u64);
}
