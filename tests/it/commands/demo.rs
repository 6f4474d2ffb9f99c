//! The demo: one call that anyone can make.

use std::net::{Ipv4Addr, SocketAddr};

use rustix::process::Signal;
use serde_json::Value;
use videoconf_facade::sandbox::{CALLS, Options, Sandbox};

use super::{PREFIX, as_protobuf_json, assert_conference, get_info, upstream_json};
use crate::support::process::{Process, command, run, serving};

#[tokio::test]
async fn a_demo_prints_the_documented_conference() {
    for version in ["7.0", "8.8", "8.9"] {
        let options = Options {
            version: version.parse().expect("a version"),
            ..Options::default()
        };
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        let sandbox = Sandbox::start(listen, options).await.expect("a free port");
        let expected = as_protobuf_json(&upstream_json(&sandbox, CALLS[0].id).await);
        assert_eq!(expected.get("chatAccess").is_some(), version == "8.9");

        let arguments = ["demo", "--once", "--sandbox-version", version];
        // Neither is in the other's way.
        let (one, other) = tokio::join!(run(&arguments), run(&arguments));
        for ended in [one, other] {
            assert_eq!(ended.status, Some(0), "{version}: {}", ended.stderr);
            assert_conference(&ended.stdout, &expected);
        }
    }
    for version in ["", "8", "9.0", "8.8 "] {
        let ended = run(&["demo", "--once", "--sandbox-version", version]).await;
        assert_eq!(ended.status, Some(64), "{version:?}");
        let start = format!("{PREFIX}--sandbox-version {version:?}: ");
        assert!(ended.stderr.starts_with(&start), "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
}

#[tokio::test]
async fn a_demo_serves_until_it_is_interrupted() {
    let mut demos = Vec::new();
    // The second finds its port taken, if the first hasn't found it taken, too.
    for _ in 0..2 {
        let demo = Process::spawn(&mut command(&["demo"]));
        let address: SocketAddr = demo.stderr.find(serving).await;
        demo.stdout.find(|line| (line == "}").then_some(())).await;
        demos.push((demo, address));
    }
    for (_, address) in &demos {
        for call in CALLS {
            let ended = get_info(*address, call.id).await;
            assert_eq!(ended.status, Some(0), "{}: {}", call.id, ended.stderr);
        }
    }
    for (demo, _) in demos {
        demo.signal(Signal::INT);
        let ended = demo.ended().await;
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        let document = serde_json::from_str::<Value>(&ended.stdout);
        assert!(document.is_ok(), "{}", ended.stdout);
        assert!(
            ended.stderr.contains("grpcurl -plaintext"),
            "{}",
            ended.stderr
        );
    }
}
