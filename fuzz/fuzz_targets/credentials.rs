//! Credentials and call ids: what is accepted arrives at Rocket.Chat as it was given, and no token is shown, also
//! where others quote it.

#![no_main]

use http::HeaderValue;
use libfuzzer_sys::fuzz_target;
use videoconf_facade::{
    call_id::CallId,
    credentials::{AuthToken, UserId},
    rocketchat::{BaseUrl, fuzzing},
    route::INFO,
};

const MAX_CALL_ID: usize = 20_000;

/// What stands where a token stood.
const REDACTED: &str = "[redacted]";

fuzz_target!(|input: &str| {
    let (value, text) = input.split_once('\n').unwrap_or((input, "x"));
    if let Ok(header) = HeaderValue::from_str(value) {
        let is_accepted = AuthToken::new(header.clone());
        assert_eq!(is_accepted.is_ok(), UserId::new(header).is_ok());
        if let Ok(token) = is_accepted {
            assert!(
                value.bytes().all(|it| (b' '..=b'~').contains(&it)),
                "{value:?}"
            );
            // HTTP cuts spaces off.
            assert_eq!(value.trim(), value);
            assert_eq!(token.expose(), value);
            redact(&token, value, text);
        }
    }
    let base = BaseUrl::parse("http://127.0.0.1:3000/prefix").expect("a URL");
    // Also one that is longer than fuzzers like it.
    for text in [text, &text.repeat(8)] {
        let Ok(id) = CallId::new(text.to_owned(), MAX_CALL_ID) else {
            continue;
        };
        assert_eq!(id.as_str(), text);
        assert!(!text.is_empty() && !text.contains(char::is_control));
        let url = fuzzing::url(&base, &INFO, "callId", id.as_str()).expect("a URL");
        assert!(url.to_string().len() < 15_100);
    }
});

fn redact(token: &AuthToken, secret: &str, text: &str) {
    // Such a short one stands everywhere.
    if REDACTED.contains(secret) || secret.contains(['[', ']']) {
        return;
    }
    assert!(
        !format!("{token:?} {:?}", token.expose()).contains(secret)
            || "AuthToken(Sensitive) ".contains(secret)
    );
    let quoted = [text, secret, text, secret, secret].concat();
    let redacted = token.redact(&quoted);
    assert!(!redacted.contains(secret), "{redacted:?}");
    assert!(redacted.contains(REDACTED));
    if !text.contains(secret) {
        assert_eq!(token.redact(text), text);
    }
}
