//! From Rocket.Chat's JSON object to our message, field by field, without loss.
//!
//! One function a message, in the order of the proto. A key that is missing here is not lost: it
//! stays in `additional_fields`.

use serde_json::Value;

use super::{
    fields::{Fields, whole},
    json::{self, Malformed},
};
use crate::proto::v1::{
    ChatAccess, LeftReason, User, VideoConference, VideoConferenceCapabilities,
    VideoConferenceEvents, VideoConferenceMessages, VideoConferenceStatus, VideoConferenceType,
    VideoConferenceUser,
};

/// Translates the body of a successful `video-conference.info`.
///
/// # Errors
/// Not UTF-8, not JSON or nested too deep for the parser, not an object, `success` not true, no
/// string `_id`.
pub fn video_conference(body: &[u8]) -> Result<VideoConference, Malformed> {
    let mut members = json::object(body)?;
    if members.remove("success") != Some(Value::Bool(true)) {
        return Err("success is not true".into());
    }
    if !members.get("_id").is_some_and(Value::is_string) {
        return Err("no string _id".into());
    }
    Ok(conference(Fields::of_document(members)))
}

fn conference(mut json: Fields) -> VideoConference {
    VideoConference {
        id: json.id(),
        r#type: enumeration(&mut json, "type", conference_type),
        status: enumeration(&mut json, "status", status),
        rid: json.string("rid"),
        users: json.objects("users", conference_user),
        messages: json.object("messages", messages),
        url: json.string("url"),
        created_by: json.object("createdBy", user),
        created_at: json.timestamp("createdAt"),
        updated_at: json.timestamp("_updatedAt"),
        ended_by: json.object("endedBy", user),
        ended_at: json.timestamp("endedAt"),
        provider_name: json.string("providerName"),
        ringing: json.boolean("ringing"),
        capabilities: json.object("capabilities", capabilities),
        title: json.string("title"),
        anonymous_users: json.int32("anonymousUsers"),
        discussion_rid: json.string("discussionRid"),
        external_id: json.string("externalId"),
        caller_extension: json.string("callerExtension"),
        callee_extension: json.string("calleeExtension"),
        external: json.boolean("external"),
        transferred: json.boolean("transferred"),
        duration: json.int32("duration"),
        events: json.object("events", events),
        media_call_ids: json.strings("mediaCallIds"),
        sip_alias: json.string("sipAlias"),
        sip_participant_count: json.int32("sipParticipantCount"),
        webrtc_participant_count: json.int32("webrtcParticipantCount"),
        chat_access: json.object("chatAccess", chat_access),
        additional_fields: json.rest(),
    }
}

fn conference_user(mut json: Fields) -> VideoConferenceUser {
    VideoConferenceUser {
        id: json.id(),
        username: json.string("username"),
        name: json.string("name"),
        avatar_etag: json.string("avatarETag"),
        ts: json.timestamp("ts"),
        joined: json.boolean("joined"),
        declined: json.boolean("declined"),
        joined_at: json.timestamp("joinedAt"),
        declined_at: json.timestamp("declinedAt"),
        left_at: json.timestamp("leftAt"),
        last_seen_at: json.timestamp("lastSeenAt"),
        ringing_at: json.timestamp("ringingAt"),
        left_reason: enumeration(&mut json, "leftReason", left_reason),
        additional_fields: json.rest(),
    }
}

fn user(mut json: Fields) -> User {
    User {
        id: json.id(),
        username: json.string("username"),
        name: json.string("name"),
        additional_fields: json.rest(),
    }
}

fn messages(mut json: Fields) -> VideoConferenceMessages {
    VideoConferenceMessages {
        started: json.string("started"),
        ended: json.string("ended"),
        additional_fields: json.rest(),
    }
}

fn capabilities(mut json: Fields) -> VideoConferenceCapabilities {
    VideoConferenceCapabilities {
        mic: json.boolean("mic"),
        cam: json.boolean("cam"),
        title: json.boolean("title"),
        persistent_chat: json.boolean("persistentChat"),
        embedded: json.boolean("embedded"),
        additional_fields: json.rest(),
    }
}

fn events(mut json: Fields) -> VideoConferenceEvents {
    VideoConferenceEvents {
        outgoing: json.boolean("outgoing"),
        hold: json.boolean("hold"),
        park: json.boolean("park"),
        bridge: json.boolean("bridge"),
        answer: json.boolean("answer"),
        additional_fields: json.rest(),
    }
}

fn chat_access(mut json: Fields) -> ChatAccess {
    ChatAccess {
        rid: json.string("rid"),
        name: json.string("name"),
        r#type: json.string("type"),
        members_without_access: json.strings("membersWithoutAccess"),
        can_invite: json.boolean("canInvite"),
        additional_fields: json.rest(),
    }
}

/// Takes an enum's member, if it has a value that we know.
fn enumeration<E: Into<i32>>(
    json: &mut Fields,
    key: &str,
    known: impl FnOnce(&Value) -> Option<E>,
) -> i32 {
    json.take(key, |value| known(&value).ok_or(value))
        .map_or(0, Into::into)
}

fn conference_type(value: &Value) -> Option<VideoConferenceType> {
    Some(match value.as_str()? {
        "direct" => VideoConferenceType::Direct,
        "videoconference" => VideoConferenceType::Videoconference,
        "livechat" => VideoConferenceType::Livechat,
        "voip" => VideoConferenceType::Voip,
        _ => return None,
    })
}

fn status(value: &Value) -> Option<VideoConferenceStatus> {
    Some(match value.as_number().and_then(whole)? {
        0 => VideoConferenceStatus::Calling,
        1 => VideoConferenceStatus::Started,
        2 => VideoConferenceStatus::Expired,
        3 => VideoConferenceStatus::Ended,
        4 => VideoConferenceStatus::Declined,
        _ => return None,
    })
}

fn left_reason(value: &Value) -> Option<LeftReason> {
    Some(match value.as_str()? {
        "reported" => LeftReason::Reported,
        "timeout" => LeftReason::Timeout,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fails_in_five_ways_only() {
        let deep = format!(
            r#"{{"success":true,"_id":"x","deep":{}{}}}"#,
            "[".repeat(200),
            "]".repeat(200)
        );
        for (body, problem) in [
            (&b"\xff"[..], "not UTF-8"),
            (b"{", "not JSON that can be read"),
            (deep.as_bytes(), "not JSON that can be read"),
            (b"[]", "not a JSON object"),
            (br#"{"_id":"x"}"#, "success is not true"),
            (br#"{"_id":"x","success":false}"#, "success is not true"),
            (br#"{"_id":"x","success":1}"#, "success is not true"),
            (
                br#"{"_id":"x","success":true,"success":null}"#,
                "success is not true",
            ),
            (br#"{"success":true}"#, "no string _id"),
            (br#"{"success":true,"_id":null}"#, "no string _id"),
            (br#"{"success":true,"_id":7}"#, "no string _id"),
            (br#"{"success":true,"id":"x"}"#, "no string _id"),
        ] {
            assert_eq!(video_conference(body).unwrap_err().problem, problem);
        }
        assert!(video_conference(br#"{"success":true,"_id":"x"}"#).is_ok());
    }
}
