//! What is printed.

use std::time::SystemTime;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use prost_types::{Struct, Value, value::Kind};
use serde_json::json;
use videoconf_client::{
    Refusal,
    proto::{
        DESCRIPTORS,
        rocketchat::videoconference::v1::{
            GetInfoResponse, VideoConference, VideoConferenceStatus, VideoConferenceType,
        },
    },
};

/// protobuf's JSON of the message of this name, which prost doesn't have by itself.
pub fn as_json(name: &str, answer: &impl Message) -> String {
    let pool = DescriptorPool::decode(DESCRIPTORS).expect("descriptors");
    let response = pool.get_message_by_name(name).expect("the message");
    let bytes = answer.encode_to_vec();
    let message = DynamicMessage::decode(response, &bytes[..]).expect("the message");
    let mut json = Vec::new();
    let mut serializer = serde_json::Serializer::pretty(&mut json);
    let options = SerializeOptions::new();
    message
        .serialize_with_options(&mut serializer, &options)
        .expect("JSON");
    String::from_utf8(json).expect("text")
}

/// A refusal as the other languages' clients print it.
pub fn refusal_as_json(refusal: &Refusal) -> serde_json::Value {
    let mut json = json!({
        "code": refusal.code_name(),
        "message": refusal.message,
    });
    if let Some(reason) = &refusal.reason {
        json["reason"] = json!(reason);
    }
    if !refusal.metadata.is_empty() {
        json["metadata"] = json!(refusal.metadata);
    }
    if let Some(retry_after) = refusal.retry_after {
        json["retryDelayMs"] = json!(u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX));
    }
    if !refusal.violations.is_empty() {
        let violations = refusal.violations.iter();
        let violations = violations
            .map(|(field, description)| json!({"field": field, "description": description}));
        json["fieldViolations"] = violations.collect();
    }
    if let Some(request_id) = &refusal.request_id {
        json["requestId"] = json!(request_id);
    }
    json
}

/// A few lines for people.
pub fn in_words(answer: &GetInfoResponse) -> String {
    let mut lines = Vec::new();
    if let Some(conference) = &answer.video_conference {
        lines.push(headline(conference));
        for user in &conference.users {
            lines.push(format!("  with {}", user.username()));
        }
        unknown("", conference.additional_fields.as_ref(), &mut lines);
        if let Some(creator) = &conference.created_by {
            unknown("createdBy.", creator.additional_fields.as_ref(), &mut lines);
        }
    }
    if let Some(read_at) = answer.read_at
        && let Ok(read_at) = SystemTime::try_from(read_at)
    {
        let age = SystemTime::now()
            .duration_since(read_at)
            .unwrap_or_default();
        lines.push(format!("as of {:.1} s ago", age.as_secs_f64()));
    }
    lines.iter().map(|line| one_line(line) + "\n").collect()
}

/// Keeps newlines and a terminal's control codes, which may be in a title or in a message of
/// Rocket.Chat's, from the terminal.
pub fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn headline(conference: &VideoConference) -> String {
    let title = conference.title.as_deref().unwrap_or("a conference");
    // Numbers that this client doesn't know are later versions' values.
    let kind = match VideoConferenceType::try_from(conference.r#type) {
        Ok(kind) => short(kind.as_str_name(), "VIDEO_CONFERENCE_TYPE_"),
        Err(_) => format!("type {}", conference.r#type),
    };
    let status = match VideoConferenceStatus::try_from(conference.status) {
        Ok(status) => short(status.as_str_name(), "VIDEO_CONFERENCE_STATUS_"),
        Err(_) => format!("status {}", conference.status),
    };
    let creator = conference.created_by.as_ref();
    let creator = creator.map_or(String::new(), |it| format!(", by {}", it.username()));
    let created = conference.created_at;
    let created = created.map_or(String::new(), |it| format!(", created {it}"));
    format!("{title} ({kind}): {status}{created}{creator}")
}

fn short(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_lowercase()
}

/// What Rocket.Chat said and this version's proto doesn't know, or couldn't read.
fn unknown(path: &str, fields: Option<&Struct>, lines: &mut Vec<String>) {
    for (key, value) in fields.iter().flat_map(|it| &it.fields) {
        lines.push(format!("  also {path}{key}: {}", json(value)));
    }
}

fn json(value: &Value) -> serde_json::Value {
    match &value.kind {
        None | Some(Kind::NullValue(_)) => serde_json::Value::Null,
        Some(Kind::BoolValue(boolean)) => json!(boolean),
        Some(Kind::NumberValue(number)) => json!(number),
        Some(Kind::StringValue(text)) => json!(text),
        Some(Kind::ListValue(list)) => list.values.iter().map(json).collect(),
        Some(Kind::StructValue(object)) => {
            let members = object.fields.iter();
            members
                .map(|(key, value)| (key.clone(), json(value)))
                .collect()
        }
    }
}
