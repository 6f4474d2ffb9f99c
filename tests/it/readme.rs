//! The README's tables against what they describe.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use videoconf_facade::{error::status::code_name, proto::v1::ErrorReason};

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect(name)
}

/// What the help of `command` says of its flags, as the README's rows begin.
fn rows_of_help(command: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_videoconf-facade"))
        .args([command, "--help"])
        .output()
        .expect("help");
    let help = String::from_utf8(output.stdout).expect("text");
    let options = help.split("\nOptions:\n").nth(1).expect("options");
    let options = options.split("\n  -h, --help").next().expect("options");
    let mut rows = Vec::new();
    for option in options.split("\n      --").map(str::trim_start) {
        let option = option.split_whitespace().collect::<Vec<_>>().join(" ");
        let flag = option
            .trim_start_matches("--")
            .split([' ', '['])
            .next()
            .expect("a flag");
        let variable = between(&option, "[env: ", "]").unwrap_or_default();
        // A default in words is one that the program works out by itself.
        let default = between(&option, "[default: ", "]")
            .filter(|default| !default.contains(' '))
            .unwrap_or_default();
        let code = |text: &str| match text {
            "" => " ".to_owned(),
            text => format!(" `{text}` "),
        };
        rows.push(format!(
            "| `--{flag}` |{}|{}|",
            code(variable),
            code(default)
        ));
    }
    rows
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.split(start).nth(1)?.split(end).next()
}

#[test]
fn every_flag_has_its_row_and_every_row_its_flag() {
    let readme = file("README.md");
    let known: BTreeSet<_> = ["serve", "check-config", "demo", "get-info", "health"]
        .into_iter()
        .flat_map(rows_of_help)
        .collect();
    let written: BTreeSet<_> = readme
        .lines()
        .filter(|line| line.starts_with("| `--"))
        .filter_map(|line| line.match_indices('|').nth(3).map(|(at, _)| &line[..=at]))
        .map(str::to_owned)
        .collect();
    assert_eq!(written, known);
}

#[test]
fn every_reason_has_its_row_with_its_code() {
    let readme = file("README.md");
    let proto = file("proto/rocketchat/videoconference/v1/video_conference_service.proto");
    for number in 1.. {
        let Ok(reason) = ErrorReason::try_from(number) else {
            assert!(number > 20, "reasons were read");
            break;
        };
        let name = reason.as_str_name();
        let short = name.trim_start_matches("ERROR_REASON_");
        let row = readme
            .lines()
            .find(|line| line.contains(&format!("| `{short}` |")))
            .unwrap_or_else(|| panic!("the README lacks {short}"));
        // The proto's comment of a reason begins with its code.
        let before = proto
            .split(&format!("  {name} = "))
            .next()
            .expect("a comment");
        let comment = before.rsplit("\n\n").next().expect("a comment");
        let code = between(comment, "// ", ":").expect("a code");
        assert_eq!(row.split('|').nth(1).map(str::trim), Some(code), "{short}");
        assert!((0..17).any(|known| code_name(tonic::Code::from_i32(known)) == code));
    }
}

/// `room::name` in the table of threats is a test of that name in that room's file.
#[test]
fn every_threat_is_held_by_a_test_that_exists() {
    let security = file("SECURITY.md");
    let table = between(&security, "## Threats", "\n## ").expect("the table");
    let rows: Vec<_> = table
        .lines()
        .filter(|line| line.starts_with("| "))
        .collect();
    let mut named = 0;
    for row in &rows[1..] {
        let words = row.split('`').skip(1).step_by(2);
        for (room, name) in words.filter_map(|word| word.rsplit_once("::")) {
            named += 1;
            let room = room.replace("::", "/");
            let files = [
                format!("tests/it/{room}.rs"),
                format!("tests/it/commands/{room}.rs"),
            ];
            let found = files.iter().any(|path| {
                let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
                let text = text.unwrap_or_default();
                let (before, _) = text.split_once(&format!("fn {name}(")).unwrap_or_default();
                let before = before.trim_end_matches("async ").trim_end_matches("pub ");
                let attributes = before.lines().rev();
                attributes
                    .take_while(|it| it.starts_with("#["))
                    .any(|it| it.contains("test"))
            });
            assert!(found, "{room}::{name}");
        }
    }
    assert!(
        named > rows.len(),
        "{named} tests for {} threats",
        rows.len()
    );
}
