//! From the query to the `callId`, or to the text Rocket.Chat refuses the query with.
//!
//! Two libraries have a say: `qs` makes an object of the query, and `ajv` checks that it has a
//! string `callId` and nothing else. Names of prototype members (`toString=1`), which `qs` drops,
//! are not dropped here.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;

/// From http-router's options for `qs`: the most parameters, and the most of one name.
const MAX_PARAMETERS: usize = 1000;
const MAX_REPEATS: usize = 500;

/// How far `ajv` goes to make a query fit the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Validator {
    /// Takes values as they are, as up to 8.2.
    Plain,
    /// `ajvQuery`, since 8.3: an array of one string will do for a string.
    Coercing,
}

/// Why a query is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Invalid {
    /// `ajv` refuses it with this text.
    Schema(&'static str),
    /// `qs` gives up: too many parameters. Only since [`Validator::Coercing`].
    TooMany,
}

/// A parameter's value, as far as it matters to the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Parameter {
    Text(String),
    /// An array of one string.
    Single(String),
    /// A longer or nested array, or an object.
    Other,
}

/// The `callId` in a query, decoded. `query` is as it came, percent-encoded.
pub(super) fn call_id(query: &str, validator: Validator) -> Result<String, Invalid> {
    let mut parameters = parse(query, validator)?;
    // In this order: ajv stops at its first error, and `required` comes first in it.
    let call_id = parameters
        .remove("callId")
        .ok_or(Invalid::Schema("must have required property 'callId'"))?;
    if !parameters.is_empty() {
        return Err(Invalid::Schema("must NOT have additional properties"));
    }
    match (call_id, validator) {
        (Parameter::Text(text), _) | (Parameter::Single(text), Validator::Coercing) => Ok(text),
        _ => Err(Invalid::Schema("must be string")),
    }
}

fn parse(query: &str, validator: Validator) -> Result<HashMap<String, Parameter>, Invalid> {
    let limited = validator == Validator::Coercing;
    if limited && query.split('&').count() > MAX_PARAMETERS {
        return Err(Invalid::TooMany);
    }
    let mut parameters = HashMap::new();
    let mut repeats = HashMap::<String, usize>::new();
    for part in query.split('&').take(MAX_PARAMETERS) {
        let (key, value) = key_and_value(part);
        let seen = repeats.entry(key.clone()).or_default();
        *seen += 1;
        if limited && *seen > MAX_REPEATS {
            return Err(Invalid::TooMany);
        }
        if key.is_empty() {
            continue;
        }
        let (name, parameter) = unfold(&key, value);
        parameters
            .entry(name.to_owned())
            .and_modify(|known| *known = Parameter::Other)
            .or_insert(parameter);
    }
    Ok(parameters)
}

/// Splits at the first `=` after a closing bracket, or else at the first one.
fn key_and_value(part: &str) -> (String, String) {
    let after_bracket = ["]=", "%5D=", "%5d="]
        .into_iter()
        .filter_map(|end| Some(part.find(end)? + end.len() - 1))
        .min();
    let (key, value) = match after_bracket.or_else(|| part.find('=')) {
        Some(equals) => (&part[..equals], &part[equals + 1..]),
        None => (part, ""),
    };
    (decode(key), decode(value))
}

/// `+` is a space. A text that cannot be decoded as a whole keeps its escapes.
fn decode(text: &str) -> String {
    let text = text.replace('+', " ");
    let escapes = text.split('%').skip(1);
    let broken = escapes.map(str::as_bytes).any(
        |after| !matches!(after, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()),
    );
    match percent_decode_str(&text).decode_utf8() {
        Ok(decoded) if !broken => decoded.into_owned(),
        _ => text,
    }
}

/// Reads the brackets in a key: `a[]` and `a[0]` make an array, all else an object.
fn unfold(key: &str, value: String) -> (&str, Parameter) {
    let Some((name, brackets)) = key.split_once('[') else {
        return (key, Parameter::Text(value));
    };
    match (name, brackets.split_once(']')) {
        ("", Some((inner, ""))) if !inner.is_empty() => (inner, Parameter::Text(value)),
        ("", _) => (key, Parameter::Other),
        (_, Some((index, rest))) if is_index(index) && !rest.contains('[') => {
            (name, Parameter::Single(value))
        }
        _ => (name, Parameter::Other),
    }
}

fn is_index(text: &str) -> bool {
    let canonical = |index: &usize| *index < MAX_REPEATS && index.to_string() == text;
    text.is_empty() || text.parse().is_ok_and(|index| canonical(&index))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MISSING: Invalid = Invalid::Schema("must have required property 'callId'");
    const EXTRA: Invalid = Invalid::Schema("must NOT have additional properties");
    const TYPE: Invalid = Invalid::Schema("must be string");

    /// What qs 6.17 and ajv 8.20 make of these.
    #[test]
    fn both_validators() {
        let cases: &[(&str, Result<&str, Invalid>)] = &[
            ("", Err(MISSING)),
            ("callid=a", Err(MISSING)),
            ("x=1", Err(MISSING)),
            ("callId]=a", Err(MISSING)),
            ("callId", Ok("")),
            ("callId=", Ok("")),
            ("&&callId=a&", Ok("a")),
            ("=x&callId=a", Ok("a")),
            ("callId=a+b", Ok("a b")),
            ("callId=a=b", Ok("a=b")),
            ("callId=%00%C3%A9", Ok("\0é")),
            ("callId=%zz+%41", Ok("%zz %41")),
            ("callId=%ff", Ok("%ff")),
            ("call%49d=a", Ok("a")),
            ("[callId]=a", Ok("a")),
            ("callId=a&_=1", Err(EXTRA)),
            ("callId[$ne]=a&_=1&x=2", Err(EXTRA)),
            ("callId[$ne]=a", Err(TYPE)),
            ("callId[01]=a", Err(TYPE)),
            ("callId[", Err(TYPE)),
            ("callId=a&callId=a", Err(TYPE)),
            ("callId=a&callId[]=b", Err(TYPE)),
            ("callId[]=a&callId[]=b", Err(TYPE)),
        ];
        for (query, expected) in cases {
            for validator in [Validator::Plain, Validator::Coercing] {
                let found = call_id(query, validator);
                assert_eq!(found, expected.map(str::to_owned), "{query} {validator:?}");
            }
        }
    }

    #[test]
    fn only_the_newer_one_coerces() {
        for query in [
            "callId[]=a",
            "callId%5b%5D=a",
            "callId[0]=a",
            "callId[499]=a",
        ] {
            assert_eq!(call_id(query, Validator::Plain), Err(TYPE), "{query}");
            assert_eq!(
                call_id(query, Validator::Coercing),
                Ok("a".to_owned()),
                "{query}"
            );
        }
    }

    #[test]
    fn only_the_newer_one_is_limited() {
        let many = "&callId=a".repeat(501);
        assert_eq!(call_id(&many, Validator::Plain), Err(TYPE));
        assert_eq!(call_id(&many, Validator::Coercing), Err(Invalid::TooMany));
        let fewer = "&callId=a".repeat(500);
        assert_eq!(call_id(&fewer, Validator::Coercing), Err(TYPE));
        let empty = "&".repeat(1000);
        assert_eq!(call_id(&empty, Validator::Coercing), Err(Invalid::TooMany));
    }
}
