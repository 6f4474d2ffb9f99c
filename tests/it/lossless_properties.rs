//! What `lossless` shows by examples, for thousands of made-up answers: the translation alone,
//! without a socket.

use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};
use std::fmt::Write;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};
use videoconf_facade::rocketchat::video_conference;

use crate::support::original::{
    date, differences, document, known_values, mirror, typed_fields, untyped,
};

/// JSON as text has it: keys may repeat, a number is its digits, a string is UTF-16 and may have
/// half of a surrogate pair.
#[derive(Clone, Debug)]
enum Json {
    Plain(&'static str),
    Number(String),
    Text(Vec<u16>),
    Array(Vec<Json>),
    Object(Vec<Member>),
}

type Member = (Vec<u16>, Json);

fn units(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

impl Json {
    fn of(value: &Value) -> Self {
        match value {
            Value::Number(number) => Self::Number(number.to_string()),
            Value::String(text) => Self::Text(units(text)),
            other => unreachable!("no value of an enum: {other}"),
        }
    }

    /// The text. With `escaped`, everything that may be escaped is, and there is white space.
    fn write(&self, escaped: bool, text: &mut String) {
        let separator = if escaped { "\r\n\t ," } else { "," };
        match self {
            Self::Plain(word) => text.push_str(word),
            Self::Number(digits) => text.push_str(digits),
            Self::Text(units) => write_text(units, escaped, text),
            Self::Array(values) => {
                text.push('[');
                for (at, value) in values.iter().enumerate() {
                    text.push_str(if at == 0 { "" } else { separator });
                    value.write(escaped, text);
                }
                text.push(']');
            }
            Self::Object(members) => {
                text.push('{');
                for (at, (key, value)) in members.iter().enumerate() {
                    text.push_str(if at == 0 { "" } else { separator });
                    write_text(key, escaped, text);
                    text.push(':');
                    value.write(escaped, text);
                }
                text.push('}');
            }
        }
    }

    /// What the text means.
    fn read(&self) -> Value {
        match self {
            Self::Plain("true") => Value::Bool(true),
            Self::Plain("false") => Value::Bool(false),
            Self::Plain(_) => Value::Null,
            Self::Number(digits) => json!(digits.parse::<f64>().expect("a number")),
            Self::Text(units) => Value::String(String::from_utf16_lossy(units)),
            Self::Array(values) => values.iter().map(Self::read).collect(),
            Self::Object(members) => {
                let mut object = Map::new();
                for (key, value) in members {
                    object.insert(String::from_utf16_lossy(key), value.read());
                }
                Value::Object(object)
            }
        }
    }
}

fn write_text(units: &[u16], escaped: bool, text: &mut String) {
    let escape = |unit: u16, text: &mut String| {
        write!(text, "\\u{unit:04X}").expect("a String takes all");
    };
    text.push('"');
    for unit in char::decode_utf16(units.iter().copied()) {
        match unit {
            Ok(plain) if plain >= ' ' && !escaped && !matches!(plain, '"' | '\\') => {
                text.push(plain);
            }
            Ok(character) => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    escape(*unit, text);
                }
            }
            Err(lone) => escape(lone.unpaired_surrogate(), text),
        }
    }
    text.push('"');
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn text() -> impl Strategy<Value = Vec<u16>> + Clone {
    let special = select(units("\"\\/\u{0}\u{1f}\u{7f}\u{2028}\u{fffd}udé"));
    let unit = prop_oneof![
        4 => 0x20..0x7f_u16,
        2 => special,
        1 => 0xd800..0xe000_u16,
        1 => any::<u16>(),
    ];
    vec(unit, 0..6)
}

/// A key: often one that has a field somewhere.
fn key() -> impl Strategy<Value = Vec<u16>> + Clone {
    let mut known = Vec::new();
    for field in typed_fields(&document()) {
        known.push(units(field.json_name()));
        known.extend(
            mirror(&field)
                .iter()
                .flat_map(|message| typed_fields(message).map(|it| units(it.json_name())))
                .collect::<Vec<_>>(),
        );
    }
    prop_oneof![3 => select(known), 1 => text()]
}

fn number() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        (-2..6_i32).prop_map(|number| number.to_string()),
        any::<i32>().prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>()
            .prop_filter("JSON has no others", |number| number.is_finite())
            .prop_map(|number| format!("{number:e}")),
        "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?",
    ]
}

fn moment() -> impl Strategy<Value = Json> + Clone {
    // The years 1 to 9999.
    let seconds = -62_135_596_800..253_402_300_800_i64;
    (seconds, 0..1000_u32).prop_map(|(second, millis)| Json::Text(units(&date(second, millis))))
}

fn leaf() -> impl Strategy<Value = Json> + Clone {
    prop_oneof![
        select(vec!["null", "true", "false"]).prop_map(Json::Plain),
        number().prop_map(Json::Number),
        text().prop_map(Json::Text),
        moment(),
        select(vec!["direct", "voip", "timeout", "2026-01-27T07:18:46Z"])
            .prop_map(|text| Json::Text(units(text))),
    ]
}

fn any_json() -> impl Strategy<Value = Json> + Clone {
    leaf().prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Json::Array),
            vec((key(), inner), 0..5).prop_map(Json::Object),
        ]
    })
}

/// A value that fits a typed field.
fn fitting(field: &FieldDescriptor) -> BoxedStrategy<Json> {
    let one = match field.kind() {
        Kind::Bool => select(vec!["true", "false"]).prop_map(Json::Plain).boxed(),
        Kind::Int32 => (any::<i32>(), select(vec!["", ".0", "e0"]))
            .prop_filter("-0 is no integer", |(number, form)| {
                *number != 0 || form.is_empty()
            })
            .prop_map(|(number, form)| Json::Number(format!("{number}{form}")))
            .boxed(),
        Kind::String if field.supports_presence() || field.is_list() => {
            text().prop_map(Json::Text).boxed()
        }
        // Without presence, an empty text would be none.
        Kind::String => (1..u16::MAX, text())
            .prop_map(|(first, rest)| Json::Text([vec![first], rest].concat()))
            .boxed(),
        Kind::Enum(values) => {
            let known = known_values(field, &values);
            select(known).prop_map(|value| Json::of(&value)).boxed()
        }
        Kind::Message(_) => match mirror(field) {
            Some(message) => members(&message).prop_map(Json::Object).boxed(),
            None => moment().boxed(),
        },
        other => unreachable!("a field without a rule: {other:?}"),
    };
    if field.is_list() {
        vec(one, 0..3).prop_map(Json::Array).boxed()
    } else {
        one
    }
}

/// Members of which each fits its typed field, in any order.
fn members(message: &MessageDescriptor) -> BoxedStrategy<Vec<Member>> {
    let fields: Vec<_> = typed_fields(message)
        .map(|field| {
            let key = units(field.json_name());
            let member = fitting(&field).prop_map(move |value| (key.clone(), value));
            proptest::option::weighted(0.6, member)
        })
        .collect();
    fields
        .prop_shuffle()
        .prop_map(|members| members.into_iter().flatten().collect())
        .boxed()
}

#[derive(Clone, Debug)]
enum Mutation {
    Drop,
    Replace(Json),
    Rename(Vec<u16>),
    IntoArray,
    IntoObject(Vec<u16>),
    Duplicate(Json),
}

fn mutation() -> impl Strategy<Value = Mutation> + Clone {
    prop_oneof![
        1 => Just(Mutation::Drop),
        1 => Just(Mutation::Replace(Json::Plain("null"))),
        3 => any_json().prop_map(Mutation::Replace),
        2 => key().prop_map(Mutation::Rename),
        1 => Just(Mutation::IntoArray),
        1 => key().prop_map(Mutation::IntoObject),
        2 => any_json().prop_map(Mutation::Duplicate),
    ]
}

/// Every member of the objects within, as a way to it.
fn ways(members: &[Member], here: &[usize], found: &mut Vec<Vec<usize>>) {
    for (at, (_, value)) in members.iter().enumerate() {
        let way = [here, &[at]].concat();
        match value {
            Json::Object(members) => ways(members, &way, found),
            Json::Array(values) => {
                for (at, value) in values.iter().enumerate() {
                    if let Json::Object(members) = value {
                        ways(members, &[&way[..], &[at]].concat(), found);
                    }
                }
            }
            _ => {}
        }
        found.push(way);
    }
}

fn mutate(members: &mut Vec<Member>, way: &[usize], mutation: Mutation) {
    let (at, rest) = way.split_first().expect("a way to a member");
    if let Some((element, below)) = rest.split_first() {
        match &mut members[*at].1 {
            Json::Object(members) => mutate(members, rest, mutation),
            Json::Array(values) => match &mut values[*element] {
                Json::Object(members) => mutate(members, below, mutation),
                _ => unreachable!("the way ends in a member"),
            },
            _ => unreachable!("the way ends in a member"),
        }
        return;
    }
    let (key, value) = &mut members[*at];
    match mutation {
        Mutation::Drop => drop(members.remove(*at)),
        Mutation::Replace(other) => *value = other,
        Mutation::Rename(other) => *key = other,
        Mutation::IntoArray => *value = Json::Array(vec![value.clone()]),
        Mutation::IntoObject(key) => *value = Json::Object(vec![(key, value.clone())]),
        Mutation::Duplicate(other) => {
            let double = (key.clone(), other);
            members.push(double);
        }
    }
}

/// The members as the answer of a success, and what it means.
fn success(mut members: Vec<Member>, escaped: bool) -> (String, Value) {
    let is_id = |(key, value): &Member| *key == units("_id") && matches!(value, Json::Text(_));
    if !members
        .iter()
        .rev()
        .find(|(key, _)| *key == units("_id"))
        .is_some_and(is_id)
    {
        members.push((units("_id"), Json::Text(units("x"))));
    }
    members.push((units("success"), Json::Plain("true")));
    let json = Json::Object(members);
    let mut body = String::new();
    json.write(escaped, &mut body);
    (body, json.read())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_object_comes_through(members in vec((key(), any_json()), 0..8), escaped: bool) {
        let (body, original) = success(members, escaped);
        let conference = video_conference(body.as_bytes()).expect(&body);
        prop_assert_eq!(differences(&conference, &original), [""; 0], "{}", body);
    }

    #[test]
    fn what_fits_is_typed(members in members(&document()), escaped: bool) {
        let (body, original) = success(members, escaped);
        let conference = video_conference(body.as_bytes()).expect(&body);
        prop_assert_eq!(differences(&conference, &original), [""; 0], "{}", body);
        prop_assert_eq!(untyped(&conference), [""; 0], "{}", body);
    }

    #[test]
    fn a_conference_with_errors_comes_through(
        mut members in members(&document()),
        mutations in vec((any::<Index>(), mutation()), 1..5),
        escaped: bool,
    ) {
        for (at, mutation) in mutations {
            let mut found = Vec::new();
            ways(&members, &[], &mut found);
            if !found.is_empty() {
                let way: &Vec<_> = at.get(&found);
                mutate(&mut members, way, mutation);
            }
        }
        let (body, original) = success(members, escaped);
        let conference = video_conference(body.as_bytes()).expect(&body);
        prop_assert_eq!(differences(&conference, &original), [""; 0], "{}", body);
    }

    #[test]
    fn any_bytes_are_refused_or_translated(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(video_conference(&bytes).is_err());
        let text = String::from_utf8_lossy(&bytes);
        let _ = video_conference(text.as_bytes());
        let nearly = [br#"{"_id":"x","success":true,"new":"#, &bytes[..], b"}"].concat();
        let _ = video_conference(&nearly);
    }

    #[test]
    fn a_truncated_body_is_refused(members in members(&document()), cut: Index, escaped: bool) {
        let (body, _) = success(members, escaped);
        let last_ones = body.len() - 2..body.len();
        for cut in last_ones.chain([cut.index(body.len())]) {
            prop_assert!(video_conference(&body.as_bytes()[..cut]).is_err(), "{} {}", cut, body);
        }
    }

    /// A body with flipped bits may still be one, but then it is that one.
    #[test]
    fn flipped_bits_are_refused_or_translated(
        members in members(&document()),
        flips in vec((any::<Index>(), 0..8_u32), 1..4),
        escaped: bool,
    ) {
        let mut body = success(members, escaped).0.into_bytes();
        for (at, bit) in flips {
            let at = at.index(body.len());
            body[at] ^= 1 << bit;
        }
        let conference = video_conference(&body);
        if let (Ok(conference), Ok(original)) = (conference, serde_json::from_slice(&body)) {
            let body = String::from_utf8_lossy(&body);
            prop_assert_eq!(differences(&conference, &original), [""; 0], "{}", body);
        }
    }
}
