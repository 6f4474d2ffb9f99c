//! The floors: imports point down only, and rooms of one floor don't know each other.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const TOP: &[&str] = &["cli", "app", "config", "telemetry"];
const MIDDLE: &[&str] = &["server", "api", "lookup", "rocketchat", "sandbox"];
const GROUND: &[&str] = &[
    "route",
    "query",
    "exchange",
    "source",
    "error",
    "credentials",
    "call_id",
    "deadline",
    "journal",
    "record",
    "proto",
];

/// What a source file is, and what it says outside of its tests.
struct Source {
    path: PathBuf,
    room: String,
    code: String,
}

fn sources() -> Vec<Source> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    let mut folders = vec![top.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let code: Vec<_> = code
                .lines()
                .filter(|line| !line.trim().starts_with("//"))
                .collect();
            let path = path.strip_prefix(&top).unwrap().to_owned();
            let room = path.iter().next().unwrap().to_str().unwrap();
            sources.push(Source {
                room: room.trim_end_matches(".rs").to_owned(),
                code: code.join("\n"),
                path,
            });
        }
    }
    sources.retain(|source| !matches!(source.room.as_str(), "lib" | "main"));
    sources
}

/// The rooms that `code` imports, as `crate::room` or in a list `crate::{room, …}`.
fn imports(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut name = String::new();
            for character in list.chars() {
                match character {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => rooms.extend(first_name(&std::mem::take(&mut name))),
                    other if depth == 0 => name.push(other),
                    _ => {}
                }
            }
            rooms.extend(first_name(&name));
        } else {
            rooms.extend(first_name(rest));
        }
    }
    rooms
}

fn first_name(path: &str) -> Option<String> {
    let name: String = path
        .trim()
        .chars()
        .take_while(|it| it.is_alphanumeric() || *it == '_')
        .collect();
    (!name.is_empty()).then_some(name)
}

fn assert_only(code: &str, allowed: &[&str], what: &str) {
    let places: Vec<_> = sources()
        .into_iter()
        .filter(|source| source.code.contains(code))
        .filter(|source| !allowed.iter().any(|place| source.path.starts_with(place)))
        .map(|source| source.path)
        .collect();
    assert!(places.is_empty(), "{what}: {places:?}");
}

#[test]
fn every_room_has_a_floor() {
    for source in sources() {
        let floors = [TOP, MIDDLE, GROUND];
        let known = floors.iter().any(|floor| floor.contains(&&*source.room));
        assert!(known, "{:?} stands on no floor", source.path);
    }
}

#[test]
fn imports_point_down_only() {
    for Source { path, room, code } in sources() {
        for import in imports(&code) {
            let allowed = import == room || GROUND.contains(&&*import) || TOP.contains(&&*room);
            assert!(allowed, "{path:?} imports {import}");
        }
    }
}

#[test]
fn each_decision_has_one_room() {
    assert_only("reqwest::", &["rocketchat"], "reqwest");
    assert_only("tonic::Request", &["api", "cli"], "tonic's requests");
    assert_only(
        ".expose()",
        &["rocketchat/client.rs", "cli/get_info.rs"],
        "secrets exposed",
    );
    // Functions of `Status` that make one are in lower case, constants and other enums are not.
    for letter in 'a'..='z' {
        let made = format!("Status::{letter}");
        assert_only(&made, &["error/status.rs"], "statuses made");
    }
}

#[test]
fn the_import_reader_reads() {
    let code =
        "use crate::{api, error::{Error, status}, server::{self, x::{y}}};\ncrate::proto::v1";
    let expected = ["api", "error", "proto", "server"].map(str::to_owned);
    assert_eq!(imports(code), BTreeSet::from(expected));
}
