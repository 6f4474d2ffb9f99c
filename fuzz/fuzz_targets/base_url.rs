//! The URL of Rocket.Chat and of a proxy: what is accepted can be called, leads to the host that it names, carries
//! any value unchanged, and shows no password.

#![no_main]

use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode_str;
use url::Url;
use videoconf_facade::{
    rocketchat::{BaseUrl, Proxy, fuzzing},
    route::INFO,
};

/// Longer ones may be too long for a URL.
const MAX_VALUE: usize = 1000;

fuzz_target!(|text: &str| {
    let (base, value) = text.split_once('\n').unwrap_or((text, "x"));
    check_proxy(base);
    // May be the proxy's password, which nobody is told.
    if let Err(problem) = Proxy::parse(&format!("http://user:cAnArY@{base}")) {
        assert!(!problem.contains("cAnArY"));
    }
    let with_password = base.replacen("://", "://user:cAnArY@", 1);
    match BaseUrl::parse(&with_password) {
        Err(problem) => assert!(!problem.contains("cAnArY"), "{problem}"),
        Ok(_) => assert!(!with_password.contains("cAnArY"), "a password was accepted"),
    }
    let Ok(url) = BaseUrl::parse(base) else {
        return;
    };
    let target = url.target(&INFO);
    // As browsers read it.
    let meant = Url::parse(base).expect("a URL");
    assert_eq!(meant.host_str(), Some(&*target.host));
    assert_eq!(meant.port_or_known_default(), Some(target.port));
    assert!(!target.host.is_empty() && target.port != 0);
    assert!(
        target
            .url
            .ends_with("/api/v1/video-conference.info?REDACTED")
    );
    if value.len() > MAX_VALUE || base.len() > MAX_VALUE {
        return;
    }
    let called = fuzzing::url(&url, &INFO, "callId", value).expect("a URL");
    assert_eq!(called.host(), Some(&*target.host));
    assert!(matches!(called.scheme_str(), Some("http" | "https")));
    assert!(
        called.path().ends_with("/api/v1/video-conference.info"),
        "{called}"
    );
    assert!(!called.path().starts_with("//"), "{called}");
    let sent = called
        .query()
        .and_then(|it| it.strip_prefix("callId="))
        .expect("the parameter");
    assert!(
        sent.bytes()
            .all(|it| it.is_ascii_alphanumeric() || b"-._~%".contains(&it)),
        "{sent}"
    );
    assert_eq!(percent_decode_str(sent).decode_utf8().as_deref(), Ok(value));
    // As it is shown, it is the same once more.
    let again = BaseUrl::parse(&format!(
        "{}://{}",
        called.scheme_str().unwrap(),
        called.authority().unwrap()
    ));
    assert_eq!(again.expect("a URL").target(&INFO).host, target.host);
});

/// A proxy that is accepted is where browsers would look for it, and is told who uses it, and nothing else.
fn check_proxy(text: &str) {
    let Ok(proxy) = Proxy::parse(text) else {
        return;
    };
    let (place, authorization) = fuzzing::proxy(&proxy);
    let meant = Url::parse(text).expect("a URL");
    assert_eq!(place.scheme_str(), Some(meant.scheme()));
    assert_eq!(place.host(), meant.host_str());
    let default_port = if meant.scheme() == "https" { 443 } else { 80 };
    let port = place.port_u16().unwrap_or(default_port);
    assert_eq!(meant.port_or_known_default(), Some(port));
    let is_anonymous = meant.username().is_empty() && meant.password().is_none();
    assert_eq!(authorization.is_none(), is_anonymous, "{text}");
    assert!(authorization.is_none_or(|it| it.as_bytes().starts_with(b"Basic ")));
}
