//! The command line, a word a line: it is read to the end, whatever stands there, and a password in it is shown
//! to nobody; what is accepted is within bounds.

#![no_main]

use std::{ffi::OsString, time::Duration};

use libfuzzer_sys::fuzz_target;
use videoconf_facade::cli::fuzzing::{Read, read};

/// What stands in the place of `\x01`, as somebody's password may.
const SECRET: &str = "u:cAnArY@";

fuzz_target!(|text: &str| {
    let words: Vec<_> = text
        .split('\n')
        .map(|word| word.replace('\u{1}', SECRET))
        .collect();
    let arguments = ["videoconf-facade"]
        .into_iter()
        .chain(words.iter().map(|it| &**it));
    let shown = match read(arguments.map(OsString::from)) {
        Read::Told(text) => text,
        Read::Accepted => String::new(),
        Read::Refused(problems) => {
            assert!(!problems.is_empty());
            // One for each word, each flag, and what is missing.
            assert!(problems.len() <= words.len() + 64, "{}", problems.len());
            problems
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        }
        Read::Configured(config, settings) => {
            let day = Duration::from_hours(24);
            assert!(config.request_timeout > Duration::ZERO && config.request_timeout <= day);
            assert!(config.drain_timeout <= day && config.shutdown_notice <= day);
            assert!(config.max_in_flight > 0 && config.max_request_id_bytes <= 16_384);
            settings + &config.warnings.join("\n")
        }
    };
    assert!(!shown.contains("cAnArY"), "{shown}");
});
