//! The flag that says which pages browsers may make calls from.

use http::HeaderValue;
use url::Url;

use crate::server::layers::Origins;

/// Origins with commas between them, or all.
pub(super) fn origins(text: &str) -> Result<Origins, String> {
    if text == "*" {
        return Ok(Origins::Any);
    }
    let origins: Result<_, _> = text.split(',').map(|it| origin(it.trim())).collect();
    origins.map(Origins::Listed)
}

/// An origin in the form in which browsers send it, since it is compared with that.
fn origin(text: &str) -> Result<HeaderValue, String> {
    let url = Url::parse(text).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
    let sent = url.map(|url| url.origin().ascii_serialization());
    match sent {
        Some(sent) if sent == text => HeaderValue::try_from(sent).map_err(|it| it.to_string()),
        Some(sent) => Err(format!("has an origin that browsers send as {sent}")),
        None => {
            Err("is neither * nor an origin like https://app.example.org, or several with commas between".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_browsers_send() {
        let listed = |origins: &[&'static str]| {
            let values = origins.iter().map(|it| HeaderValue::from_static(it));
            Ok(Origins::Listed(values.collect()))
        };
        assert_eq!(origins("*"), Ok(Origins::Any));
        for text in [
            "https://app.example.org",
            "http://localhost:3000",
            "http://[::1]:8080",
            "https://xn--bcher-kva.example",
        ] {
            assert_eq!(origins(text), listed(&[text]), "{text}");
        }
        assert_eq!(
            origins("https://a.example, http://b.example:81"),
            listed(&["https://a.example", "http://b.example:81"])
        );
        for (text, sent) in [
            ("https://app.example.org/", "https://app.example.org"),
            ("https://app.example.org/page", "https://app.example.org"),
            ("https://App.example.org", "https://app.example.org"),
            ("https://app.example.org:443", "https://app.example.org"),
            (
                "https://jane:secret@app.example.org",
                "https://app.example.org",
            ),
        ] {
            let problem = Err(format!("has an origin that browsers send as {sent}"));
            assert_eq!(origins(text), problem, "{text}");
        }
        for text in [
            "",
            "app.example.org",
            "ftp://a.example",
            "null",
            "https://a.example,",
            "*,https://a.example",
        ] {
            assert!(origins(text).is_err(), "{text}");
        }
    }
}
