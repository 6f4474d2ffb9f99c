//! An answer that is no success: the status decides what callers hear, it is never OK, it says when to come again
//! within reason, and it has neither the caller's token nor more text than there is room for.

#![no_main]

use std::time::Duration;

use http::HeaderValue;
use libfuzzer_sys::fuzz_target;
use tonic::Code;
use tonic_types::StatusExt;
use videoconf_facade::{
    credentials::AuthToken,
    error::status::{DOMAIN, to_status},
    rocketchat::fuzzing,
};

mod http_answer;

/// The caller's.
const TOKEN: &str = "cAnArY-0123456789";

/// The most of Rocket.Chat's own words that is passed on, in bytes, by the key that they stand under.
const WORDS: [(&str, usize); 2] = [("upstream_error", 512), ("upstream_error_type", 128)];

fuzz_target!(|bytes: &[u8]| {
    let Some((status, headers, body)) = http_answer::read(bytes) else {
        return;
    };
    if status.is_success() || status.is_informational() {
        return;
    }
    let token = AuthToken::new(HeaderValue::from_static(TOKEN)).expect("a token");
    let head = fuzzing::head(status, &headers);
    let error = fuzzing::refusal(&head, body, &token);
    assert!(!format!("{error:?}").contains(TOKEN));

    let heard = to_status(&error);
    let expected: &[Code] = match status.as_u16() {
        400 => &[Code::InvalidArgument],
        401 => &[Code::Unauthenticated],
        403 => &[Code::PermissionDenied],
        404 => &[Code::NotFound, Code::Unimplemented],
        405 => &[Code::Unimplemented],
        429 => &[Code::ResourceExhausted],
        408 | 502..=504 | 520..=527 | 530 => &[Code::Unavailable],
        _ => &[Code::Internal],
    };
    assert!(expected.contains(&heard.code()), "{status}: {heard:?}");
    // Not what `Debug` makes of the details: of a character that ends with the byte 9c it makes a `c`.
    assert!(!heard.message().contains(TOKEN));
    assert!(!String::from_utf8_lossy(heard.details()).contains(TOKEN));

    let details = heard.get_error_details();
    let info = details.error_info().expect("an ErrorInfo");
    assert_eq!(info.domain, DOMAIN);
    assert!(!info.reason.is_empty() && !heard.message().is_empty());
    // Ours, and as long as we made it.
    assert!(heard.message().len() < 100);
    for (key, max) in WORDS {
        assert!(
            info.metadata.get(key).is_none_or(|it| it.len() <= max),
            "{key}"
        );
    }
    let retry = details.retry_info().and_then(|it| it.retry_delay);
    let may_retry = [Code::ResourceExhausted, Code::Unavailable].contains(&heard.code());
    assert_eq!(retry.is_some(), may_retry, "{status}");
    if let Some(retry) = retry {
        assert!(
            retry > Duration::ZERO && retry <= Duration::from_secs(600),
            "{retry:?}"
        );
    }
});
