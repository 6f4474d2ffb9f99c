//! The floors: imports point down only, and rooms of one floor don't know each other.

use std::{collections::BTreeSet, fs, path::Path, sync::LazyLock};

use self::reader::Mention;

mod evasions;
mod names;
mod reader;

const TOP: &[&str] = &["cli", "app", "config", "telemetry"];
const MIDDLE: &[&str] = &["server", "api", "lookup", "rocketchat", "store", "sandbox"];
const GROUND: &[&str] = &[
    "route",
    "query",
    "exchange",
    "source",
    "sync",
    "error",
    "credentials",
    "call_id",
    "claim",
    "deadline",
    "journal",
    "record",
    "replicas",
    "metrics",
    "trace",
    "proto",
    "tls",
];

static MENTIONS: LazyLock<BTreeSet<Mention>> = LazyLock::new(mentions);

/// What the files below `src` mention.
fn mentions() -> BTreeSet<Mention> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders = vec![top.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let file = path.strip_prefix(&top).unwrap().to_str().unwrap();
            files.push((file.to_owned(), text));
        }
    }
    reader::read(files.iter().map(|(file, text)| (&**file, &**text)))
}

/// The room that a path leads into, unless it is another crate's. The root has none.
fn room(path: &str) -> Option<&str> {
    path.strip_prefix("crate::")?.split("::").next()
}

fn is_within(path: &str, outer: &str) -> bool {
    let rest = path.strip_prefix(outer);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Functions of `Status` that make one are in lower case, its constants are not.
fn makes_a_status(path: &str) -> bool {
    let makers = ["tonic::Status::", "tonic_types::StatusExt::"];
    let name = makers.iter().find_map(|makers| path.strip_prefix(makers));
    name.is_some_and(|name| name.starts_with(|first: char| first.is_lowercase()))
}

fn assert_only(what: &str, modules: &[&str], is_it: impl Fn(&str) -> bool) {
    let places: Vec<_> = MENTIONS
        .iter()
        .filter(|mention| is_it(&mention.path))
        .filter(|mention| !modules.iter().any(|it| is_within(&mention.module, it)))
        .map(|Mention { module, path }| format!("{module} has {path}"))
        .collect();
    assert!(places.is_empty(), "{what}: {places:#?}");
}

#[test]
fn every_room_has_a_floor() {
    for Mention { module, .. } in &*MENTIONS {
        let known = |room| [TOP, MIDDLE, GROUND].iter().any(|it| it.contains(&room));
        assert!(room(module).is_none_or(known), "{module} is on no floor");
    }
}

#[test]
fn imports_point_down_only() {
    for Mention { module, path } in &*MENTIONS {
        if let (Some(from), Some(to)) = (room(module), room(path)) {
            let allowed = from == to || GROUND.contains(&to) || TOP.contains(&from);
            assert!(allowed, "{module} imports {path}");
        }
    }
}

#[test]
fn each_decision_has_one_room() {
    // The reader can't tell which names a glob brings.
    assert_only("globs", &[], |path| path.ends_with("::*"));
    assert_only(
        "the HTTP client",
        &[
            "crate::rocketchat",
            "crate::cli::server",
            "crate::telemetry::otlp",
        ],
        |path| is_within(path, "hyper_util::client") || is_within(path, "hyper_rustls"),
    );
    assert_only(
        "TLS",
        &[
            "crate::tls",
            "crate::server::tls",
            "crate::rocketchat",
            "crate::cli::server",
            "crate::config::otel",
            "crate::telemetry::otlp",
        ],
        |path| is_within(path, "rustls") && !is_within(path, "rustls::pki_types"),
    );
    assert_only(
        "tonic's requests",
        &[
            "crate::api",
            "crate::cli",
            "crate::server::health",
            "crate::server::reflection",
        ],
        |path| is_within(path, "tonic::Request"),
    );
    assert_only(
        "secrets exposed",
        &["crate::rocketchat::client", "crate::cli::get_info"],
        |path| path.ends_with("::expose"),
    );
    assert_only("statuses made", &["crate::error::status"], makes_a_status);
}
