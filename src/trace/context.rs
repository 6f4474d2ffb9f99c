//! W3C's trace context.

use std::{collections::HashSet, fmt::Display, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator},
    trace::{SpanContext, TraceContextExt, TraceFlags},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The longest `tracestate` that is passed on, in bytes: as much as the standard asks for. A longer one could be
/// more than the server behind us takes for a head.
const MAX_STATE: usize = 512;

/// The most members of one, by the standard.
const MAX_MEMBERS: usize = 32;

/// Where in a trace something happens: which trace, within which span, and whether it is recorded. By default in
/// none. Clones are cheap.
#[derive(Clone, Debug, Default)]
pub struct TraceContext(Option<Arc<SpanContext>>);

/// What a caller says.
struct Said<'a> {
    parent: &'a str,
    state: String,
}

impl TraceContext {
    pub(super) fn new(span: SpanContext) -> Self {
        Self(span.is_valid().then(|| Arc::new(span)))
    }

    /// What `headers` say. As the standard has it, a `traceparent` that isn't one counts for nothing, and so does a
    /// `tracestate`, by itself.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Self {
        let mut parents = headers.get_all(TRACEPARENT).iter();
        let (Some(parent), None) = (parents.next(), parents.next()) else {
            return Self::default();
        };
        let Some(parent) = parent.to_str().ok().filter(|it| is_traceparent(it)) else {
            return Self::default();
        };
        let states = headers.get_all(TRACESTATE).iter();
        let states: Option<Vec<_>> = states.map(|it| it.to_str().ok()).collect();
        let state = states.and_then(|it| tracestate(&it.join(",")));
        let said = Said {
            parent,
            state: state.unwrap_or_default(),
        };
        let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &said);
        Self::new(context.span().span_context().clone())
    }

    /// Says it in `headers`.
    pub fn write(&self, headers: &mut HeaderMap) {
        let Some(span) = &self.0 else {
            return;
        };
        let flags = span.trace_flags() & TraceFlags::SAMPLED;
        let parent = format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id());
        let state = span.trace_state().header();
        for (name, value) in [(TRACEPARENT, parent), (TRACESTATE, state)] {
            if let Some(value) = HeaderValue::try_from(value)
                .ok()
                .filter(|it| !it.is_empty())
            {
                headers.insert(name, value);
            }
        }
    }

    /// Whether it is in no trace.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Which trace, as logs have it.
    #[must_use]
    pub fn trace_id(&self) -> Option<impl Display + use<>> {
        self.0.as_ref().map(|span| span.trace_id())
    }

    /// The span, if there is one.
    pub(super) fn span(&self) -> Option<&SpanContext> {
        self.0.as_deref()
    }

    /// As the library has a span's parent.
    pub(super) fn as_parent(&self) -> Context {
        match &self.0 {
            Some(span) => Context::new().with_remote_span_context(SpanContext::clone(span)),
            None => Context::new(),
        }
    }
}

impl Extractor for Said<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => Some(self.parent),
            "tracestate" => Some(&self.state),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}

/// Whether `text` has the form of a `traceparent`. The library doesn't look at lengths, nor at signs.
fn is_traceparent(text: &str) -> bool {
    const LENGTHS: [usize; 4] = [2, 32, 16, 2];
    let mut fields = text.split('-');
    let is_hex = |field: &str, length| {
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        field.len() == length && field.as_bytes().iter().all(is_digit)
    };
    let mut has_field = |length| fields.next().is_some_and(|field| is_hex(field, length));
    let has_all = LENGTHS.into_iter().all(&mut has_field);
    // Later versions may have more of them.
    has_all && (!text.starts_with("00") || fields.next().is_none())
}

/// The members of a `tracestate`, without what may be left out between them; `None` if it isn't one, or is too long. The
/// library would take empty members for some of the most that there may be, and keys that are empty or come again.
fn tracestate(text: &str) -> Option<String> {
    let is_key = |key: &str| {
        let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        key.bytes().next().is_some_and(is_letter)
            && key
                .bytes()
                .all(|it| is_letter(it) || b"_-*/@".contains(&it))
    };
    let is_value = |value: &str| {
        let is_sign = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'=';
        !value.is_empty() && value.bytes().all(is_sign)
    };
    let members = text.split(',').map(|it| it.trim_matches([' ', '\t']));
    let members: Vec<_> = members.filter(|it| !it.is_empty()).collect();
    let mut keys = HashSet::new();
    let are_members = members.iter().all(|member| {
        let member = member.split_once('=');
        member.is_some_and(|(key, value)| is_key(key) && is_value(value) && keys.insert(key))
    });
    let state = members.join(",");
    (are_members && members.len() <= MAX_MEMBERS && state.len() <= MAX_STATE).then_some(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    /// What is said of what was said.
    fn passed_on(lines: &[(HeaderName, &str)]) -> HeaderMap {
        let mut passed_on = HeaderMap::new();
        TraceContext::read(&headers(lines)).write(&mut passed_on);
        passed_on
    }

    #[test]
    fn what_was_said_is_passed_on() {
        let long = format!("a={0},b={0},c={0}", "x".repeat(200));
        for (lines, expected) in [
            (vec![(TRACEPARENT, PARENT)], vec![(TRACEPARENT, PARENT)]),
            (
                vec![
                    (TRACEPARENT, PARENT),
                    (TRACESTATE, "a=1,b=2"),
                    (TRACESTATE, "c=3"),
                ],
                vec![(TRACEPARENT, PARENT), (TRACESTATE, "a=1,b=2,c=3")],
            ),
            (
                vec![(TRACEPARENT, PARENT), (TRACESTATE, "no state")],
                vec![(TRACEPARENT, PARENT)],
            ),
            // More than has to be passed on.
            (
                vec![(TRACEPARENT, PARENT), (TRACESTATE, &*long)],
                vec![(TRACEPARENT, PARENT)],
            ),
            // Of a later version what is known of this one.
            (
                vec![(
                    TRACEPARENT,
                    "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-else",
                )],
                vec![(TRACEPARENT, PARENT)],
            ),
            // Not sampled, and a flag that isn't known.
            (
                vec![(
                    TRACEPARENT,
                    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02",
                )],
                vec![(
                    TRACEPARENT,
                    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
                )],
            ),
        ] {
            assert_eq!(passed_on(&lines), headers(&expected), "{lines:?}");
        }
    }

    #[test]
    fn what_is_no_tracestate_is_not_passed_on() {
        let passed_on = |lines: &[&[u8]]| {
            let mut said = headers(&[(TRACEPARENT, PARENT)]);
            for line in lines {
                said.append(TRACESTATE, HeaderValue::from_bytes(line).unwrap());
            }
            let mut passed_on = HeaderMap::new();
            TraceContext::read(&said).write(&mut passed_on);
            assert_eq!(passed_on[TRACEPARENT], PARENT);
            let state = passed_on.get(TRACESTATE).map(HeaderValue::to_str);
            state.map(|it| it.expect("text").to_owned())
        };
        let members = |count| {
            let members: Vec<_> = (0..count).map(|it| format!("k{it}=v")).collect();
            members.join(",")
        };
        let (most, more) = (members(32), members(33));
        for (said, expected) in [
            ("a=1", "a=1"),
            (" a=1\t, ,b=x y,", "a=1,b=x y"),
            ("0-_*/@x=!~:;", "0-_*/@x=!~:;"),
            (&most, &most),
            (&",".repeat(40), ""),
            (&format!("a=1{}b=2", ",".repeat(40)), "a=1,b=2"),
        ] {
            let expected = Some(expected).filter(|it| !it.is_empty());
            assert_eq!(passed_on(&[said.as_bytes()]).as_deref(), expected);
        }
        for said in [
            "a", "=x", "A=1", "@a=1", "a b=1", "a=", "a==1", "a=1=2", "a=1\t2", "a=1,a=2", "a=1,b",
            &more,
        ] {
            assert_eq!(passed_on(&[said.as_bytes()]), None, "{said:?}");
        }
        assert_eq!(passed_on(&[b"a=1", b"a=2"]), None);
        assert_eq!(passed_on(&[b"a=1", b"b=\xff"]), None);
    }

    #[test]
    fn what_is_no_traceparent_counts_for_nothing() {
        for parent in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert!(passed_on(&[(TRACEPARENT, parent)]).is_empty(), "{parent:?}");
        }
        let twice = [(TRACEPARENT, PARENT), (TRACEPARENT, PARENT)];
        assert!(passed_on(&twice).is_empty(), "which one?");
        assert!(passed_on(&[(TRACESTATE, "a=1")]).is_empty());
    }
}
