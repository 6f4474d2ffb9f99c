//! Reading a body as JavaScript would: the JSON of Node, forgiving where Node's own clients are.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// Why a body isn't the JSON that was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What is wrong, in constant words.
    pub problem: &'static str,
    /// Where, if the parser said it. Never a piece of the body.
    pub detail: Option<String>,
}

impl From<&'static str> for Malformed {
    fn from(problem: &'static str) -> Self {
        Self {
            problem,
            detail: None,
        }
    }
}

/// Reads a JSON object. A byte order mark is skipped; of two equal keys the last one holds; a lone
/// surrogate becomes U+FFFD.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, Malformed> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    if body.is_empty() {
        return Err("empty body".into());
    }
    let text = std::str::from_utf8(body).map_err(|_| Malformed::from("not UTF-8"))?;
    match serde_json::from_str(text).or_else(|error| {
        // The parser refuses lone surrogates, which Node writes for a text cut inside an emoji.
        match without_lone_surrogates(text) {
            Cow::Borrowed(_) => Err(error),
            Cow::Owned(text) => serde_json::from_str(&text),
        }
    }) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("not a JSON object".into()),
        Err(error) => Err(Malformed {
            problem: "not JSON that can be read",
            detail: Some(error.to_string()),
        }),
    }
}

/// `text` with every `\uXXXX` that is half of a surrogate pair replaced by `\uFFFD`.
fn without_lone_surrogates(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut repaired = Vec::new();
    let mut copied = 0;
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            at += 1;
            continue;
        }
        match (code_unit(bytes, at), code_unit(bytes, at + 6)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => at += 12,
            (Some(0xD800..=0xDFFF), _) => {
                repaired.extend_from_slice(&bytes[copied..at]);
                repaired.extend_from_slice(br"\uFFFD");
                at += 6;
                copied = at;
            }
            (Some(_), _) => at += 6,
            // Any other escape, `\\` above all, is two bytes.
            (None, _) => at += 2,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    repaired.extend_from_slice(&bytes[copied..]);
    // Only whole ASCII sequences were replaced, so this is UTF-8 as `text` was.
    String::from_utf8(repaired).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// The code unit of an escape `\uXXXX` that begins at `at`.
fn code_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(br"\u")?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn title(body: &str) -> Value {
        object(body.as_bytes()).unwrap().remove("t").unwrap()
    }

    #[test]
    fn lone_surrogates_are_replaced_and_nothing_else() {
        for (body, expected) in [
            (r#"{"t":"cut \ud83d"}"#, "cut \u{fffd}"),
            (r#"{"t":"\ude00 tail"}"#, "\u{fffd} tail"),
            (r#"{"t":"\ud83d\ud83d\ude00"}"#, "\u{fffd}\u{1f600}"),
            (r#"{"t":"\ude00\ud83d"}"#, "\u{fffd}\u{fffd}"),
            (r#"{"t":"\ud83dA"}"#, "\u{fffd}A"),
            (r#"{"t":"\\ud83d \ud83d"}"#, "\\ud83d \u{fffd}"),
            (r#"{"t":"\\\ud83d"}"#, "\\\u{fffd}"),
            (r#"{"t":"\uD83D\uDE00"}"#, "\u{1f600}"),
            (r#"{"t":"\u00e9\ud83d"}"#, "\u{e9}\u{fffd}"),
            (r#"{"t":"\ud83d\ude00\ud83d"}"#, "\u{1f600}\u{fffd}"),
        ] {
            assert_eq!(title(body), json!(expected), "{body}");
        }
    }

    #[test]
    fn reads_as_javascript_does() {
        assert_eq!(title("\u{feff}{\"t\":1}"), json!(1));
        assert_eq!(title(r#"{"t":1,"t":2}"#), json!(2));
        assert_eq!(title(" \r\n\t{\"t\":0.1}\n"), json!(0.1));
    }

    #[test]
    fn says_what_is_wrong() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        for (body, problem) in [
            (&b""[..], "empty body"),
            (b"\xEF\xBB\xBF", "empty body"),
            (b"{\"t\":\"\xff\"}", "not UTF-8"),
            (b"\xff\xfe{\0}\0", "not UTF-8"),
            (b"[1]", "not a JSON object"),
            (b"null", "not a JSON object"),
            (b"{", "not JSON that can be read"),
            (b"{}{}", "not JSON that can be read"),
            (b"<html>", "not JSON that can be read"),
            (b"{\"t\":\"\\ud83d\"", "not JSON that can be read"),
            (deep.as_bytes(), "not JSON that can be read"),
        ] {
            assert_eq!(object(body).unwrap_err().problem, problem);
        }
    }
}
