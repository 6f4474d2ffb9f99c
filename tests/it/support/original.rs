//! Rebuilds Rocket.Chat's JSON from a message and compares it with the original. Knows the rules
//! by which fields are named and nothing else: no field, no message, no enum by its name.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor,
    ReflectMessage, Value as Field,
};
use prost_types::{Struct, Timestamp, value::Kind as StructKind};
use serde_json::{Map, Value, json};
use videoconf_facade::proto::{FILE_DESCRIPTOR_SET, v1};

/// Where a message keeps what no typed field holds.
const ADDITIONAL: &str = "additional_fields";

/// Objects and arrays below this level of the document are strings of their JSON.
pub const MAX_LEVEL: usize = 24;

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("descriptors"));

/// The message that mirrors the whole document.
pub fn document() -> MessageDescriptor {
    POOL.get_message_by_name("rocketchat.videoconference.v1.VideoConference")
        .expect("the conference")
}

/// The fields of a message that mirror one member each.
pub fn typed_fields(message: &MessageDescriptor) -> impl Iterator<Item = FieldDescriptor> {
    message.fields().filter(|field| field.name() != ADDITIONAL)
}

/// The message that mirrors the field's object or objects.
pub fn mirror(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match field.kind() {
        Kind::Message(message) if message.package_name() == document().package_name() => {
            Some(message)
        }
        _ => None,
    }
}

/// The members that Rocket.Chat's values of an enum stand for.
pub fn known_values(field: &FieldDescriptor, values: &EnumDescriptor) -> Vec<Value> {
    let numbers = values.values().map(|value| value.number());
    numbers
        .filter(|number| *number != 0)
        .map(|number| from_enum(field, values, number).expect("a value of the enum"))
        .collect()
}

/// Everything that is wrong with `conference` as the translation of `original`.
pub fn differences(conference: &v1::VideoConference, original: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let bytes = conference.encode_to_vec();
    let message = DynamicMessage::decode(document(), &bytes[..]).expect("a message");
    let rebuilt = Value::Object(rebuild(&message, "", &mut problems));
    let mut expected = original.clone();
    if let Value::Object(members) = &mut expected {
        // It is the status of the call.
        members.remove("success");
        leave_absent_out(members, &document());
    }
    compare(&expected, &rebuilt, 1, "", &mut problems);
    problems
}

#[track_caller]
pub fn assert_lossless(conference: &v1::VideoConference, original: &Value, case: &str) {
    let problems = differences(conference, original);
    assert!(problems.is_empty(), "{case}: {problems:#?}");
}

/// Where something stands in `additional_fields`, as paths in the document.
pub fn untyped(conference: &v1::VideoConference) -> Vec<String> {
    let bytes = conference.encode_to_vec();
    let message = DynamicMessage::decode(document(), &bytes[..]).expect("a message");
    let mut paths = Vec::new();
    collect_untyped(&message, "", &mut paths);
    paths.sort();
    paths
}

/// A moment as Rocket.Chat writes it.
pub fn date(seconds: i64, millis: u32) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days since 1 March of the year 0, when a cycle of 400 years begins.
    let days = days + 719_468;
    let (cycle, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = cycle * 400 + year + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

fn collect_untyped(message: &DynamicMessage, path: &str, paths: &mut Vec<String>) {
    let keys = additional(message).into_iter().map(|(key, _)| key);
    paths.extend(keys.map(|key| path.to_owned() + &key));
    for (field, value) in message.fields() {
        if mirror(&field).is_none() {
            continue;
        }
        let path = format!("{path}{}.", field.json_name());
        let messages = match value {
            Field::Message(message) => vec![message],
            Field::List(list) => list.iter().filter_map(Field::as_message).collect(),
            _ => vec![],
        };
        for message in messages {
            collect_untyped(message, &path, paths);
        }
    }
}

fn rebuild(message: &DynamicMessage, path: &str, problems: &mut Vec<String>) -> Map<String, Value> {
    let descriptor = message.descriptor();
    let mut members = Map::new();
    for field in typed_fields(&descriptor).filter(|field| message.has_field(field)) {
        let path = format!("{path}.{}", field.json_name());
        if let Some(value) = from_field(&field, &message.get_field(&field), &path, problems) {
            members.insert(field.json_name().to_owned(), value);
        }
    }
    for (key, value) in additional(message) {
        let field = typed_fields(&descriptor).find(|field| field.json_name() == key);
        if field.is_some_and(|field| fits(&field, &value)) {
            problems.push(format!(
                "{path}.{key} fits its field and isn't in it: {value}"
            ));
        }
        if let Some(typed) = members.insert(key.clone(), value) {
            problems.push(format!("{path}.{key} stands in two places: {typed}"));
        }
    }
    members
}

fn additional(message: &DynamicMessage) -> Map<String, Value> {
    let Some(value) = message.get_field_by_name(ADDITIONAL) else {
        return Map::new();
    };
    let additional = value.as_message().expect("a Struct");
    from_struct(additional.transcode_to().expect("a Struct"))
}

fn from_struct(object: Struct) -> Map<String, Value> {
    let members = object.fields.into_iter();
    members
        .map(|(key, value)| (key, from_value(value)))
        .collect()
}

fn from_value(value: prost_types::Value) -> Value {
    match value.kind.expect("a value of some kind") {
        StructKind::NullValue(_) => Value::Null,
        StructKind::BoolValue(boolean) => Value::Bool(boolean),
        StructKind::NumberValue(number) => json!(number),
        StructKind::StringValue(text) => Value::String(text),
        StructKind::ListValue(list) => list.values.into_iter().map(from_value).collect(),
        StructKind::StructValue(object) => Value::Object(from_struct(object)),
    }
}

fn from_field(
    field: &FieldDescriptor,
    value: &Field,
    path: &str,
    problems: &mut Vec<String>,
) -> Option<Value> {
    Some(match value {
        Field::Bool(boolean) => json!(boolean),
        Field::I32(number) => json!(number),
        Field::String(text) => json!(text),
        Field::EnumNumber(number) => {
            let Kind::Enum(values) = field.kind() else {
                unreachable!("an enum's field")
            };
            let known = from_enum(field, &values, *number);
            if known.is_none() {
                problems.push(format!("{path} has the unknown value {number}"));
            }
            known?
        }
        Field::Message(message) if mirror(field).is_some() => {
            Value::Object(rebuild(message, path, problems))
        }
        Field::Message(message) => {
            let Timestamp { seconds, nanos } = message.transcode_to().expect("a Timestamp");
            let millis = u32::try_from(nanos).expect("a fraction that isn't negative") / 1_000_000;
            if nanos % 1_000_000 != 0 {
                problems.push(format!("{path} has more than milliseconds: {nanos}"));
            }
            Value::String(date(seconds, millis))
        }
        Field::List(list) => list
            .iter()
            .filter_map(|value| from_field(field, value, path, problems))
            .collect(),
        other => {
            problems.push(format!("{path} has a type without a rule: {other:?}"));
            return None;
        }
    })
}

fn from_enum(field: &FieldDescriptor, values: &EnumDescriptor, number: i32) -> Option<Value> {
    let value = values.get_value(number)?;
    if field.name() == "status" {
        return Some(json!(number - 1));
    }
    let name = value.name().strip_prefix(&*prefix(values))?;
    Some(Value::String(name.to_lowercase()))
}

/// What the names of an enum's values begin with.
fn prefix(values: &EnumDescriptor) -> String {
    let first = values.get_value(0).expect("a first value");
    let prefix = first.name().strip_suffix("UNSPECIFIED");
    prefix.expect("a first value named so").to_owned()
}

/// Whether a member that was found in `additional_fields` belongs into its typed field.
fn fits(field: &FieldDescriptor, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) if field.is_list() => values.iter().all(|it| fits_one(field, it)),
        value => !field.is_list() && fits_one(field, value),
    }
}

fn fits_one(field: &FieldDescriptor, value: &Value) -> bool {
    match (field.kind(), value) {
        (Kind::Bool, Value::Bool(_)) => true,
        (Kind::String, Value::String(text)) => {
            // Without presence, an empty text would be none.
            !text.is_empty() || field.supports_presence() || field.is_list()
        }
        (Kind::Int32, Value::Number(number)) => {
            let number = number.as_f64().expect("a double");
            number.fract() == 0.0
                && number.abs() <= 2_147_483_648.0
                && number.to_bits() != 2_147_483_648_f64.to_bits()
                && number.to_bits() != (-0.0_f64).to_bits()
        }
        (Kind::Enum(values), value) => known_values(field, &values)
            .iter()
            .any(|known| same(known, value)),
        (Kind::Message(_), Value::Object(_)) => mirror(field).is_some(),
        (Kind::Message(_), Value::String(text)) => mirror(field).is_none() && is_date(text),
        _ => false,
    }
}

/// Whether the text is a date that can be had back from its moment.
fn is_date(text: &str) -> bool {
    let number = |from, to| -> i64 {
        let digits = text.get(from..to).map(str::parse);
        digits.and_then(Result::ok).unwrap_or(-1)
    };
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let (hour, minute, second) = (number(11, 13), number(14, 16), number(17, 19));
    if year < 1 || !(1..=12).contains(&month) {
        return false;
    }
    // Years that begin in March have their leap day at the end.
    let (march_year, march_month) = (year - i64::from(month <= 2), (month + 9) % 12);
    let days = march_year * 365 + march_year.div_euclid(4) - march_year.div_euclid(100)
        + march_year.div_euclid(400)
        + (153 * march_month + 2) / 5
        + day
        - 1
        - 719_468;
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
    let millis = u32::try_from(number(20, 23)).unwrap_or(u32::MAX);
    date(seconds, millis) == text
}

/// Null, and an empty array where there would be a list, equal absence in a typed field.
fn leave_absent_out(members: &mut Map<String, Value>, message: &MessageDescriptor) {
    for field in typed_fields(message) {
        let key = field.json_name();
        match (members.get_mut(key), mirror(&field)) {
            (Some(Value::Null), _) => {
                members.remove(key);
            }
            (Some(Value::Array(values)), _) if field.is_list() && values.is_empty() => {
                members.remove(key);
            }
            (Some(Value::Object(object)), Some(message)) if !field.is_list() => {
                leave_absent_out(object, &message);
            }
            (Some(Value::Array(values)), Some(message))
                if field.is_list() && values.iter().all(Value::is_object) =>
            {
                let objects = values.iter_mut().filter_map(Value::as_object_mut);
                objects.for_each(|object| leave_absent_out(object, &message));
            }
            _ => {}
        }
    }
}

fn compare(
    expected: &Value,
    rebuilt: &Value,
    level: usize,
    path: &str,
    problems: &mut Vec<String>,
) {
    let is_container = expected.is_object() || expected.is_array();
    match (expected, rebuilt) {
        (_, Value::String(text)) if is_container && level > MAX_LEVEL => {
            let inner = serde_json::from_str(text).unwrap_or(Value::Null);
            if !same(expected, &inner) {
                problems.push(format!("{path} should be the text of {expected}: {text}"));
            }
        }
        _ if is_container && level > MAX_LEVEL => {
            problems.push(format!("{path} is too deep for {rebuilt}"));
        }
        (Value::Object(expected), Value::Object(rebuilt)) => {
            for (key, expected) in expected {
                let path = format!("{path}.{key}");
                match rebuilt.get(key) {
                    Some(rebuilt) => compare(expected, rebuilt, level + 1, &path, problems),
                    None => problems.push(format!("{path} is lost: {expected}")),
                }
            }
            for (key, rebuilt) in rebuilt {
                if !expected.contains_key(key) {
                    problems.push(format!("{path}.{key} is invented: {rebuilt}"));
                }
            }
        }
        (Value::Array(expected), Value::Array(rebuilt)) if expected.len() == rebuilt.len() => {
            for (at, (expected, rebuilt)) in expected.iter().zip(rebuilt).enumerate() {
                let path = format!("{path}[{at}]");
                compare(expected, rebuilt, level + 1, &path, problems);
            }
        }
        _ if same(expected, rebuilt) => {}
        _ => problems.push(format!("{path} should be {expected}: {rebuilt}")),
    }
}

/// Equality with numbers as doubles, the sign of zero included.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one.as_f64().map(f64::to_bits) == other.as_f64().map(f64::to_bits)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, one)| other.get(key).is_some_and(|other| same(one, other)))
        }
        _ => one == other,
    }
}
