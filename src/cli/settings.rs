//! The flags of a command as they were given, and where each comes from, for operators to look at.

use clap::{ArgMatches, Command, CommandFactory, parser::ValueSource};
use serde_json::{Map, Value, json};
use url::{Origin, Url};

use super::{Cli, VERSION};

/// URLs that may have a password in them, or a path that lets anybody in.
const SECRET: [&str; 3] = ["upstream-url", "upstream-proxy", "shared-store"];

/// The flags of the command that was given, as JSON.
pub(super) fn settings(matches: &ArgMatches) -> Value {
    let Some((name, given)) = matches.subcommand() else {
        return Value::Null;
    };
    let root = Cli::command();
    let command = root.find_subcommand(name);
    let arguments = command.into_iter().flat_map(Command::get_arguments);
    let mut flags = Map::new();
    for argument in arguments {
        let (Some(flag), id) = (argument.get_long(), argument.get_id().as_str()) else {
            continue;
        };
        // Help has none.
        let Ok(Some(mut values)) = given.try_get_raw(id) else {
            flags.insert(flag.to_owned(), json!({ "value": null, "from": "default" }));
            continue;
        };
        let value = values.next_back().map(|it| it.to_string_lossy());
        let value = value.map(|it| shown(flag, &it));
        let from = match given.value_source(id) {
            Some(ValueSource::CommandLine) => "flag",
            Some(ValueSource::EnvVariable) => "variable",
            _ => "default",
        };
        flags.insert(flag.to_owned(), json!({ "value": value, "from": from }));
    }
    for built_in in ["help", "version"] {
        flags.remove(built_in);
    }
    json!({ "version": VERSION, "command": name, "flags": flags })
}

/// A value without what isn't for everybody.
fn shown(flag: &str, value: &str) -> String {
    if !SECRET.contains(&flag) {
        return value.to_owned();
    }
    let Ok(url) = Url::parse(value) else {
        return "not shown".to_owned();
    };
    let origin = match url.origin() {
        Origin::Tuple(..) => url.origin().ascii_serialization(),
        // Of a scheme that isn't the web's.
        Origin::Opaque(_) => {
            let port = url.port().map(|it| format!(":{it}")).unwrap_or_default();
            let host = url.host_str().unwrap_or_default();
            format!("{}://{host}{port}", url.scheme())
        }
    };
    if url.as_str().trim_end_matches('/') == origin {
        origin
    } else {
        format!("{origin}, and more")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_urls_the_origin_is_shown() {
        for (url, expected) in [
            ("https://chat.example.org", "https://chat.example.org"),
            ("https://chat.example.org/", "https://chat.example.org"),
            (
                "https://chat.example.org/prefix",
                "https://chat.example.org, and more",
            ),
            ("http://u:hunter2@chat:3000", "http://chat:3000, and more"),
            ("http://chat?hunter2", "http://chat, and more"),
            ("hunter2", "not shown"),
            ("redis://store:6379", "redis://store:6379"),
            ("rediss://mia:hunter2@[::1]/1", "rediss://[::1], and more"),
            ("unix:///run/hunter2", "unix://, and more"),
        ] {
            assert_eq!(shown("upstream-url", url), expected, "{url}");
            assert_eq!(shown("upstream-proxy", url), expected, "{url}");
            assert_eq!(shown("shared-store", url), expected, "{url}");
        }
        assert_eq!(shown("listen", "localhost:1"), "localhost:1");
    }
}
