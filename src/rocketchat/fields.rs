//! Taking typed fields out of a JSON object, and turning what is left into a `Struct`.
//!
//! A field is taken if, and only if, its whole value fits; otherwise it stays where it is. So
//! nothing can be lost by being forgotten.

use prost_types::{ListValue, Struct, Timestamp, value::Kind};
use serde_json::{Map, Number, Value};

/// Objects and arrays below this level of the document are kept as JSON text. Each level costs a
/// `Struct` three levels of protobuf, whose parsers stop at 100.
const MAX_LEVEL: usize = 24;

/// An object of which some fields are still to be taken.
pub(super) struct Fields {
    members: Map<String, Value>,
    /// How deep in the document the object stands; the document itself is level 1.
    level: usize,
}

impl Fields {
    /// The object that is the whole document.
    pub(super) fn of_document(members: Map<String, Value>) -> Self {
        Self { members, level: 1 }
    }

    /// Takes the member `key` as what `fit` makes of it. Null counts as absent; a value that
    /// `fit` gives back stays.
    pub(super) fn take<T>(
        &mut self,
        key: &str,
        fit: impl FnOnce(Value) -> Result<T, Value>,
    ) -> Option<T> {
        match fit(self.members.remove(key)?) {
            Ok(field) => Some(field),
            Err(Value::Null) => None,
            Err(value) => {
                self.members.insert(key.to_owned(), value);
                None
            }
        }
    }

    /// A string.
    pub(super) fn string(&mut self, key: &str) -> Option<String> {
        self.take(key, string)
    }

    /// An object's own `_id`: a string that isn't empty, since a field without presence can't tell
    /// an empty one from none.
    pub(super) fn id(&mut self) -> String {
        self.take("_id", |value| match value {
            Value::String(id) if !id.is_empty() => Ok(id),
            value => Err(value),
        })
        .unwrap_or_default()
    }

    /// True or false.
    pub(super) fn boolean(&mut self, key: &str) -> Option<bool> {
        self.take(key, |value| value.as_bool().ok_or(value))
    }

    /// A number without a fraction in the range of `i32`.
    pub(super) fn int32(&mut self, key: &str) -> Option<i32> {
        self.take(key, |value| value.as_number().and_then(whole).ok_or(value))
    }

    /// A date as Rocket.Chat writes it.
    pub(super) fn timestamp(&mut self, key: &str) -> Option<Timestamp> {
        self.take(key, |value| value.as_str().and_then(timestamp).ok_or(value))
    }

    /// An object, translated by `translate`.
    pub(super) fn object<T>(
        &mut self,
        key: &str,
        translate: impl FnOnce(Fields) -> T,
    ) -> Option<T> {
        let level = self.level + 1;
        self.take(key, |value| match value {
            Value::Object(members) => Ok(translate(Fields { members, level })),
            value => Err(value),
        })
    }

    /// An array of nothing but objects, each translated by `translate`.
    pub(super) fn objects<T>(&mut self, key: &str, translate: impl Fn(Fields) -> T) -> Vec<T> {
        let level = self.level + 2;
        self.array(key, Value::is_object, |value| match value {
            Value::Object(members) => Some(translate(Fields { members, level })),
            _ => None,
        })
    }

    /// An array of nothing but strings.
    pub(super) fn strings(&mut self, key: &str) -> Vec<String> {
        self.array(key, Value::is_string, |value| string(value).ok())
    }

    /// What nobody took.
    pub(super) fn rest(self) -> Option<Struct> {
        (!self.members.is_empty()).then(|| to_struct(self.members, self.level))
    }

    fn array<T>(
        &mut self,
        key: &str,
        fits: impl Fn(&Value) -> bool,
        translate: impl Fn(Value) -> Option<T>,
    ) -> Vec<T> {
        self.take(key, |value| match value {
            Value::Array(values) if values.iter().all(fits) => {
                Ok(values.into_iter().filter_map(translate).collect())
            }
            value => Err(value),
        })
        .unwrap_or_default()
    }
}

fn string(value: Value) -> Result<String, Value> {
    match value {
        Value::String(text) => Ok(text),
        value => Err(value),
    }
}

/// The value of a number without a fraction, `1.0` included; -0 is a number of its own in
/// JavaScript, and no integer.
pub(super) fn whole(number: &Number) -> Option<i32> {
    if let Some(integer) = number.as_i64() {
        return i32::try_from(integer).ok();
    }
    let double = number.as_f64()?;
    let is_negative_zero = double == 0.0 && double.is_sign_negative();
    let in_range = (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&double);
    #[allow(clippy::cast_possible_truncation)] // In range and without a fraction.
    (in_range && double.fract() == 0.0 && !is_negative_zero).then_some(double as i32)
}

/// Reads `YYYY-MM-DDTHH:mm:ss.sssZ`, the only form in which `JSON.stringify` writes a date of our
/// age, and no other, so that the text can be had back from the timestamp.
fn timestamp(text: &str) -> Option<Timestamp> {
    const FORM: &[u8; 24] = b"0000-00-00T00:00:00.000Z";
    let bytes = text.as_bytes();
    let has_form = bytes.len() == FORM.len()
        && bytes.iter().zip(FORM).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            form => byte == form,
        });
    if !has_form {
        return None;
    }
    let year = text[..4].parse().ok().filter(|year| *year >= 1)?;
    let part = |from: usize| text[from..from + 2].parse().ok();
    let millis: u32 = text[20..23].parse().ok()?;
    Timestamp::date_time_nanos(
        year,
        part(5)?,
        part(8)?,
        part(11)?,
        part(14)?,
        part(17)?,
        millis * 1_000_000,
    )
    .ok()
}

fn to_struct(members: Map<String, Value>, level: usize) -> Struct {
    let fields = members
        .into_iter()
        .map(|(key, value)| (key, to_value(value, level + 1)))
        .collect();
    Struct { fields }
}

/// `level` is the one of `value` itself, should it be an object or an array.
fn to_value(value: Value, level: usize) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(boolean) => Kind::BoolValue(boolean),
        // The parser refuses numbers that no double can hold.
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text),
        deep if level > MAX_LEVEL => Kind::StringValue(deep.to_string()),
        Value::Array(values) => Kind::ListValue(ListValue {
            values: values
                .into_iter()
                .map(|value| to_value(value, level + 1))
                .collect(),
        }),
        Value::Object(members) => Kind::StructValue(to_struct(members, level)),
    };
    prost_types::Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dates_of_the_one_form_are_taken() {
        for (text, expected) in [
            ("1970-01-01T00:00:00.000Z", Some((0, 0))),
            (
                "2026-01-27T07:18:46.491Z",
                Some((1_769_498_326, 491_000_000)),
            ),
            (
                "2024-02-29T23:59:59.999Z",
                Some((1_709_251_199, 999_000_000)),
            ),
            ("0001-01-01T00:00:00.000Z", Some((-62_135_596_800, 0))),
            (
                "9999-12-31T23:59:59.999Z",
                Some((253_402_300_799, 999_000_000)),
            ),
            ("1969-12-31T23:59:59.500Z", Some((-1, 500_000_000))),
            ("0000-01-01T00:00:00.000Z", None),
            ("2023-02-29T00:00:00.000Z", None),
            ("2026-13-01T00:00:00.000Z", None),
            ("2026-00-01T00:00:00.000Z", None),
            ("2026-01-00T00:00:00.000Z", None),
            ("2026-01-01T24:00:00.000Z", None),
            ("2026-01-01T23:60:00.000Z", None),
            ("2026-06-30T23:59:60.000Z", None),
            ("2026-01-27T07:18:46Z", None),
            ("2026-01-27T07:18:46.49Z", None),
            ("2026-01-27T07:18:46.491+00:00", None),
            ("2026-01-27T07:18:46.491z", None),
            ("2026-01-27 07:18:46.491Z", None),
            ("+275760-09-13T00:00:00.000Z", None),
            ("2026-01-27T07:18:4é.91Z", None),
            ("", None),
        ] {
            let taken = timestamp(text).map(|time| (time.seconds, time.nanos));
            assert_eq!(taken, expected, "{text}");
        }
    }

    #[test]
    fn whole_numbers_in_range_are_taken() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1.0", Some(1)),
            ("2e1", Some(20)),
            ("-7", Some(-7)),
            ("2147483647", Some(i32::MAX)),
            ("-2147483648.0", Some(i32::MIN)),
            ("2147483648", None),
            ("2147483648.0", None),
            ("18446744073709551615", None),
            ("-0.0", None),
            ("-0", None),
            ("0.5", None),
            ("1e300", None),
        ] {
            let number: Number = serde_json::from_str(text).unwrap();
            assert_eq!(whole(&number), expected, "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_stays() {
        let Value::Object(members) = json!({
            "fits": "text", "null": null, "other": 5, "list": [{}, 1], "empty": []
        }) else {
            unreachable!()
        };
        let mut fields = Fields::of_document(members);
        assert_eq!(fields.string("fits").as_deref(), Some("text"));
        assert_eq!(fields.string("null"), None);
        assert_eq!(fields.string("other"), None);
        assert!(fields.objects("list", |_| ()).is_empty());
        assert!(fields.objects("empty", |_| ()).is_empty());
        assert_eq!(fields.string("absent"), None);
        let rest = fields.rest().unwrap();
        assert_eq!(rest.fields.keys().collect::<Vec<_>>(), ["list", "other"]);
    }

    #[test]
    fn what_is_too_deep_becomes_text() {
        let mut value = json!({"bottom": true});
        for _ in 2..=MAX_LEVEL {
            value = json!({"down": value});
        }
        let Value::Object(members) = json!({"down": value}) else {
            unreachable!()
        };
        let mut rest = Fields::of_document(members).rest().unwrap();
        for _ in 2..=MAX_LEVEL {
            let Some(Kind::StructValue(inner)) = rest.fields["down"].kind.clone() else {
                panic!("cut too early")
            };
            rest = inner;
        }
        let expected = Kind::StringValue(r#"{"bottom":true}"#.to_owned());
        assert_eq!(rest.fields["down"].kind, Some(expected));
    }
}
