//! Nothing that Rocket.Chat says is lost on the way to the caller, nothing is invented, and what
//! fits a typed field stands there: the original JSON is rebuilt from every answer and compared.

use prost_reflect::{Kind, MessageDescriptor};
use prost_types::Timestamp;
use serde_json::{Map, Value, json};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt;
use videoconf_facade::{
    proto::v1::{
        GetInfoResponse, LeftReason, VideoConference, VideoConferenceCapabilities,
        VideoConferenceMessages, VideoConferenceStatus, VideoConferenceType,
        video_conference_service_client::VideoConferenceServiceClient,
    },
    sandbox::{Reply, Sandbox},
};

use crate::support::{
    Facade, as_user,
    original::{assert_lossless, document, known_values, mirror, typed_fields, untyped},
    request, sandbox,
};

/// A facade that asks a Rocket.Chat which answers what it is told.
struct Wire {
    sandbox: Sandbox,
    client: VideoConferenceServiceClient<Channel>,
    _facade: Facade,
}

impl Wire {
    async fn new() -> Self {
        let sandbox = sandbox().await;
        let facade = Facade::before(&sandbox).await;
        Self {
            client: facade.client(),
            sandbox,
            _facade: facade,
        }
    }

    /// What the caller gets when Rocket.Chat answers `body`.
    async fn answer(&mut self, body: impl Into<Vec<u8>>) -> Result<VideoConference, Status> {
        self.sandbox.script(Reply::json(200, body.into()).chunked());
        let answer = self.client.get_info(as_user(request("x"))).await?;
        let GetInfoResponse {
            video_conference,
            read_at,
        } = answer.into_inner();
        assert!(read_at.is_some());
        Ok(video_conference.expect("a conference"))
    }

    /// The same, for an answer that must come through as `original`.
    async fn lossless(&mut self, body: &str, original: &Value) -> VideoConference {
        let case = || body.chars().take(2000).collect::<String>();
        let answer = self.answer(body).await;
        let conference = answer.unwrap_or_else(|status| panic!("{}: {status:?}", case()));
        assert_lossless(&conference, original, &case());
        conference
    }

    /// The same for the JSON of `original`.
    async fn keeps(&mut self, original: &Value) -> VideoConference {
        self.lossless(&original.to_string(), original).await
    }
}

/// A body with these members besides the two that make it a success.
fn body(members: &str) -> String {
    format!(r#"{{"_id":"x",{members},"success":true}}"#)
}

/// The body's JSON as JavaScript reads it, with these members besides those two.
fn original(mut members: Value) -> Value {
    members["_id"] = json!("x");
    members["success"] = json!(true);
    members
}

macro_rules! samples {
    ($($name:literal: $untyped:expr,)*) => {
        [$(($name, include_str!(concat!("bodies/", $name, ".json")), &$untyped),)*]
    };
}

/// Every answer that is known of Rocket.Chat, and which of its members have no typed field.
const SAMPLES: [(&str, &str, &[&str]); 11] = samples! {
    "documented-example": [],
    "direct-calling-no-url": [],
    "direct-started": [],
    "direct-declined-ended-by": [],
    "group-docs-shape-avatar-null": [],
    "group-ended-bbb-guest-url": [],
    "group-empty-title-provider-gone": [],
    "livechat-started": [],
    "voip-events": [],
    "8.9-members-chat-access": [],
    "unknown-future-fields": ["messages.summary", "recordings", "scheduledFor", "status"],
};

fn sample(name: &str) -> &'static str {
    let found = SAMPLES.iter().find(|(known, ..)| *known == name);
    found.expect("a sample of that name").1
}

#[tokio::test]
async fn every_known_answer_comes_through() {
    let mut wire = Wire::new().await;
    for (name, body, expected) in SAMPLES {
        let original = serde_json::from_str(body).unwrap();
        let conference = wire.lossless(body, &original).await;
        assert_eq!(untyped(&conference), expected, "{name}");
    }
}

#[tokio::test]
async fn typed_fields_have_rocketchats_values() {
    let mut wire = Wire::new().await;
    let at = |seconds, millis: i32| {
        Some(Timestamp {
            seconds,
            nanos: millis * 1_000_000,
        })
    };

    let call = wire.answer(sample("documented-example")).await.unwrap();
    assert_eq!(call.id, "697866d5c8b053302078137a");
    assert_eq!(call.r#type(), VideoConferenceType::Videoconference);
    assert_eq!(call.status(), VideoConferenceStatus::Started);
    assert_eq!(call.rid(), "68c8071650223764573dd2dc");
    assert_eq!(call.provider_name(), "googlemeet");
    assert_eq!(call.title(), "testdiscussion");
    assert_eq!(call.anonymous_users, Some(0));
    assert_eq!(call.ringing, Some(true));
    assert_eq!(
        call.url(),
        "http://g.co/meet/RocketChat_697866d5c8b053302078137a"
    );
    assert_eq!(call.created_at, at(1_769_498_325, 956));
    assert_eq!(call.updated_at, at(1_769_498_326, 491));
    assert_eq!(call.ended_at, None);
    assert_eq!(call.users[0].id, "fRv4qm8ycWHXSA7af");
    assert_eq!(call.users[0].username(), "jane.doe");
    assert_eq!(call.users[0].name(), "jane");
    assert_eq!(call.users[0].avatar_etag, None);
    assert_eq!(call.users[0].ts, at(1_769_498_326, 491));
    assert_eq!(call.created_by.unwrap().username(), "jane.doe");
    assert_eq!(call.messages.unwrap().started(), "RdiQLFktbFxtK2XTZ");
    let capabilities = call.capabilities.unwrap();
    assert_eq!(
        (capabilities.mic, capabilities.cam),
        (Some(false), Some(false))
    );
    assert_eq!(capabilities.persistent_chat, None);

    let call = wire.answer(sample("direct-calling-no-url")).await.unwrap();
    assert_eq!(call.r#type(), VideoConferenceType::Direct);
    assert_eq!(call.status(), VideoConferenceStatus::Calling);
    assert_eq!(call.url, None);
    assert_eq!(call.messages, Some(VideoConferenceMessages::default()));
    assert!(call.users.is_empty());

    let call = wire.answer(sample("direct-started")).await.unwrap();
    assert_eq!(call.users[0].avatar_etag(), "pC4mBvYt3ZkQd7RxN");
    assert_eq!(call.users[1].avatar_etag.as_deref(), Some(""));

    let call = wire
        .answer(sample("direct-declined-ended-by"))
        .await
        .unwrap();
    assert_eq!(call.status(), VideoConferenceStatus::Declined);
    assert_eq!(call.ended_by.unwrap().id, "CkCPNctrgCDfmWLqC");
    assert_eq!(call.ended_at, at(1_743_829_240, 12));

    let call = wire
        .answer(sample("group-empty-title-provider-gone"))
        .await
        .unwrap();
    assert_eq!(call.title.as_deref(), Some(""));
    assert_eq!(
        call.capabilities,
        Some(VideoConferenceCapabilities::default())
    );

    let call = wire.answer(sample("livechat-started")).await.unwrap();
    assert_eq!(call.r#type(), VideoConferenceType::Livechat);
    assert_eq!(
        (call.title, call.anonymous_users, call.ringing),
        (None, None, None)
    );

    let call = wire.answer(sample("voip-events")).await.unwrap();
    assert_eq!(call.r#type(), VideoConferenceType::Voip);
    assert_eq!(call.status(), VideoConferenceStatus::Ended);
    assert_eq!(call.caller_extension(), "1001");
    assert_eq!(call.callee_extension(), "1002");
    assert_eq!(call.duration, Some(135));
    assert!(call.external_id().starts_with("4b1f0c52-"));
    let events = call.events.unwrap();
    assert_eq!((events.bridge, events.park), (Some(true), None));

    let call = wire
        .answer(sample("8.9-members-chat-access"))
        .await
        .unwrap();
    let access = call.chat_access.unwrap();
    assert_eq!(access.r#type(), "p");
    assert_eq!(access.members_without_access, ["fRv4qm8ycWHXSA7af"]);
    assert_eq!(access.can_invite, Some(true));
    assert_eq!(call.media_call_ids, ["66f2c0a1b7d3e4f5a6b70001"]);
    assert_eq!(call.sip_alias.as_deref(), Some("40917733"));
    assert_eq!(call.sip_participant_count, Some(1));
    assert_eq!(call.webrtc_participant_count, Some(2));
    assert_eq!(call.users[1].declined_at, at(1_792_486_928, 500));
    assert_eq!(call.users[1].joined, Some(false));
    assert_eq!(call.users[2].left_reason(), LeftReason::Timeout);

    let call = wire.answer(sample("unknown-future-fields")).await.unwrap();
    assert_eq!(call.status(), VideoConferenceStatus::Unspecified);
    assert_eq!(call.url.as_deref(), Some(""));
    assert_eq!(call.capabilities.unwrap().embedded, Some(true));
}

/// An object in which every typed field has this value, but for `_id` at the root.
fn with_everywhere(value: &Value, message: &MessageDescriptor, is_root: bool) -> Value {
    let members: Map<_, _> = typed_fields(message)
        .filter(|field| !is_root || field.json_name() != "_id")
        .map(|field| (field.json_name().to_owned(), value.clone()))
        .collect();
    Value::Object(members)
}

/// An object in which every field that mirrors objects has such, with this value in their fields.
fn with_nested(value: &Value) -> Value {
    let members: Map<_, _> = typed_fields(&document())
        .filter_map(|field| {
            let object = with_everywhere(value, &mirror(&field)?, false);
            let member = if field.is_list() {
                json!([object, {}, object])
            } else {
                object
            };
            Some((field.json_name().to_owned(), member))
        })
        .collect();
    Value::Object(members)
}

/// Every value in every field of every message: it is in its place if it fits and verbatim if not.
#[tokio::test]
async fn any_value_in_any_field() {
    let values = json!([
        null, true, false,
        0, 1, 4, 5, -1, 7.5, 1e300, 9_007_199_254_740_993_u64,
        "", "text", "direct", "Direct", "unspecified", "timeout", "1", "\u{0}\u{fffd}😀",
        "2026-01-27T07:18:46.491Z", "2026-01-27T07:18:46Z",
        [], [null], ["a"], ["a", ""], ["a", 1], [[]], [1],
        [{}], [{}, 1], [{}, null], [{"_id": "a"}, {"new": [null]}],
        {}, {"new": {"new": null}}, {"_id": null}, {"_id": ""}, {"success": true}
    ]);
    let mut wire = Wire::new().await;
    for value in values.as_array().unwrap() {
        let root = with_everywhere(value, &document(), true);
        wire.keeps(&original(root)).await;
        wire.keeps(&original(with_nested(value))).await;
        wire.keeps(&original(json!({"unknown": value}))).await;
    }
}

#[tokio::test]
async fn every_value_of_every_enum_is_typed() {
    let mut wire = Wire::new().await;
    let mut tried = 0;
    for field in typed_fields(&document()) {
        if let Kind::Enum(values) = field.kind() {
            for value in known_values(&field, &values) {
                let call = wire
                    .keeps(&original(json!({field.json_name(): value})))
                    .await;
                assert_eq!(untyped(&call), [""; 0], "{value}");
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 4 + 5);
    for reason in ["reported", "timeout"] {
        let call = wire
            .keeps(&original(json!({"users": [{"leftReason": reason}]})))
            .await;
        assert_eq!(untyped(&call), [""; 0], "{reason}");
    }
}

#[tokio::test]
async fn numbers_are_doubles_and_whole_ones_are_typed() {
    const KEYS: [&str; 4] = [
        "anonymousUsers",
        "duration",
        "sipParticipantCount",
        "webrtcParticipantCount",
    ];
    let mut wire = Wire::new().await;
    for (text, double, typed) in [
        ("0", 0.0, Some(0)),
        ("1.0", 1.0, Some(1)),
        ("1e0", 1.0, Some(1)),
        ("10E-1", 1.0, Some(1)),
        ("-3", -3.0, Some(-3)),
        ("2147483647", 2_147_483_647.0, Some(i32::MAX)),
        ("-2147483648", -2_147_483_648.0, Some(i32::MIN)),
        ("2147483648", 2_147_483_648.0, None),
        ("-2147483649", -2_147_483_649.0, None),
        ("-0", -0.0, None),
        ("-0.0", -0.0, None),
        ("0.1", 0.1, None),
        ("1e300", 1e300, None),
        ("5e-324", 5e-324, None),
        ("1.7976931348623157e308", f64::MAX, None),
        ("9007199254740993", 9_007_199_254_740_992.0, None),
        ("18446744073709551616", 18_446_744_073_709_551_616.0, None),
        ("0.30000000000000004", 0.1 + 0.2, None),
        (
            "123456789012345678901234567890",
            1.234_567_890_123_456_8e29,
            None,
        ),
        ("2.2250738585072011e-308", 2.225_073_858_507_201e-308, None),
    ] {
        let mut members = Map::from_iter(KEYS.map(|key| (key.to_owned(), json!(double))));
        let texts = KEYS.map(|key| format!(r#""{key}":{text}"#)).join(",");
        members.insert("new".to_owned(), json!([double]));
        let texts = format!(r#"{texts},"new":[{text}]"#);
        let call = wire
            .lossless(&body(&texts), &original(members.into()))
            .await;
        let fields = [
            call.anonymous_users,
            call.duration,
            call.sip_participant_count,
            call.webrtc_participant_count,
        ];
        assert_eq!(fields, [typed; 4], "{text}");
    }
    for (text, expected) in [
        ("1.0", VideoConferenceStatus::Started),
        ("4e0", VideoConferenceStatus::Declined),
        ("-0", VideoConferenceStatus::Unspecified),
        ("0.5", VideoConferenceStatus::Unspecified),
        ("-1", VideoConferenceStatus::Unspecified),
    ] {
        let json = original(json!({"status": text.parse::<f64>().unwrap()}));
        let call = wire
            .lossless(&body(&format!(r#""status":{text}"#)), &json)
            .await;
        assert_eq!(call.status(), expected, "{text}");
    }
}

#[tokio::test]
async fn dates_of_another_form_stay_as_they_are() {
    let mut wire = Wire::new().await;
    for (text, expected) in [
        ("1970-01-01T00:00:00.000Z", Some((0, 0))),
        ("1969-12-31T23:59:59.999Z", Some((-1, 999_000_000))),
        ("2024-02-29T12:00:00.001Z", Some((1_709_208_000, 1_000_000))),
        ("0001-01-01T00:00:00.000Z", Some((-62_135_596_800, 0))),
        (
            "9999-12-31T23:59:59.999Z",
            Some((253_402_300_799, 999_000_000)),
        ),
        ("0000-12-31T00:00:00.000Z", None),
        ("2023-02-29T12:00:00.000Z", None),
        ("2024-02-29T24:00:00.000Z", None),
        ("2024-02-29T12:00:60.000Z", None),
        ("2024-02-29T12:00:00Z", None),
        ("2024-02-29T12:00:00.1Z", None),
        ("2024-02-29T12:00:00.000000Z", None),
        ("2024-02-29T12:00:00.000+00:00", None),
        ("2024-02-29T12:00:00.000", None),
        ("2024-02-29 12:00:00.000Z", None),
        ("2024-02-29t12:00:00.000z", None),
        (" 2024-02-29T12:00:00.000Z", None),
        ("+010000-01-01T00:00:00.000Z", None),
        ("-000001-01-01T00:00:00.000Z", None),
        ("2024-02-29T12:00:00.0é", None),
        ("", None),
    ] {
        let json = original(json!({
            "createdAt": text, "_updatedAt": text, "endedAt": text,
            "users": [{"ts": text, "lastSeenAt": text}]
        }));
        let call = wire.keeps(&json).await;
        for time in [
            call.created_at,
            call.updated_at,
            call.ended_at,
            call.users[0].ts,
        ] {
            let time = time.map(|time| (time.seconds, time.nanos));
            assert_eq!(time, expected, "{text}");
        }
    }
}

/// Keys match exactly: our own names are as unknown as any.
#[tokio::test]
async fn keys_that_look_like_ours_are_unknown() {
    let mut wire = Wire::new().await;
    let keys = [
        "id",
        "created_at",
        "updated_at",
        "updatedAt",
        "created_by",
        "avatar_etag",
        "provider_name",
        "avatarEtag",
        "CreatedAt",
        "_ID",
        "additional_fields",
        "additionalFields",
        "video_conference",
        "videoConference",
        "read_at",
        "__proto__",
        "constructor",
        "",
        " ",
        "a.b",
        "$date",
        "@type",
        "\u{0}",
        "ключ",
        "🔑",
        "e\u{301}",
        "é",
        "\u{2028}",
    ];
    for value in [
        json!("2026-01-27T07:18:46.491Z"),
        json!({"a": [1]}),
        json!([]),
        json!(null),
    ] {
        let unknown = Map::from_iter(keys.map(|key| (key.to_owned(), value.clone())));
        let mut members = json!({
            "users": [unknown], "createdBy": unknown, "messages": unknown, "capabilities": unknown,
            "events": unknown, "chatAccess": unknown, "new": unknown
        });
        members.as_object_mut().unwrap().extend(unknown);
        let call = wire.keeps(&original(members)).await;
        assert_eq!(untyped(&call).len(), keys.len() * 7 + 1);
    }
}

#[tokio::test]
async fn success_is_taken_at_the_root_only() {
    let mut wire = Wire::new().await;
    for value in [json!(true), json!(false), json!(null), json!("yes")] {
        let inner = json!({"success": value});
        let call = wire
            .keeps(&original(json!({
                "users": [inner], "messages": inner, "capabilities": inner, "new": [inner]
            })))
            .await;
        let expected = [
            "capabilities.success",
            "messages.success",
            "new",
            "users.success",
        ];
        assert_eq!(untyped(&call), expected, "{value}");
    }
}

/// What `JSON.parse` makes of a text that has two readings.
#[tokio::test]
async fn texts_are_read_as_javascript_reads_them() {
    let mut wire = Wire::new().await;
    for (text, members) in [
        (r#""title":"a","title":"b""#, json!({"title": "b"})),
        (r#""title":"a","title":null"#, json!({})),
        (r#""title":null,"title":"a""#, json!({"title": "a"})),
        (r#""title":1,"title":"a""#, json!({"title": "a"})),
        (r#""title":"a","title":1"#, json!({"title": 1})),
        (r#""title":"a","t\u0069tle":"b""#, json!({"title": "b"})),
        (
            r#""new":{"a":1,"b":2},"new":{"a":3}"#,
            json!({"new": {"a": 3}}),
        ),
        (
            r#""users":[{"_id":"a","_id":"b"}]"#,
            json!({"users": [{"_id": "b"}]}),
        ),
        (r#""users":[{"_id":"a"}],"users":[]"#, json!({})),
        (r#""success":false"#, json!({})),
        (r#""title":"cut \ud83d""#, json!({"title": "cut \u{fffd}"})),
        (r#""title":"\ude00 cut""#, json!({"title": "\u{fffd} cut"})),
        (
            r#""title":"\ude00\ud83d""#,
            json!({"title": "\u{fffd}\u{fffd}"}),
        ),
        (
            r#""title":"\ud83d\ud83d\ude00""#,
            json!({"title": "\u{fffd}😀"}),
        ),
        (r#""title":"\uD83D\uDE00""#, json!({"title": "😀"})),
        (r#""title":"\\ud83d""#, json!({"title": "\\ud83d"})),
        (r#""title":"\\\ud83d\\""#, json!({"title": "\\\u{fffd}\\"})),
        (
            r#""new":{"\udfff":["\ud800"]}"#,
            json!({"new": {"\u{fffd}": ["\u{fffd}"]}}),
        ),
        (
            r#""title":"\u0000\b\f\n\r\t\/\"""#,
            json!({"title": "\0\u{8}\u{c}\n\r\t/\""}),
        ),
        (
            "\"title\":\"\u{7f}\u{2028}\u{feff}\"",
            json!({"title": "\u{7f}\u{2028}\u{feff}"}),
        ),
        ("\r\n\t \"title\" : \"a\"\n", json!({"title": "a"})),
    ] {
        for mark in ["", "\u{feff}"] {
            let text = format!("{mark}{}\n", body(text));
            wire.lossless(&text, &original(members.clone())).await;
        }
    }
}

/// An empty `_id` can't be told from none in its field, so it is kept beside it.
#[tokio::test]
async fn empty_ids_are_kept() {
    let mut wire = Wire::new().await;
    let json = json!({
        "_id": "", "success": true, "users": [{"_id": ""}, {"_id": "a"}, {}], "createdBy": {"_id": ""}
    });
    let call = wire.keeps(&json).await;
    assert_eq!(call.id, "");
    assert_eq!(untyped(&call), ["_id", "createdBy._id", "users._id"]);
}

/// Down to where the parser stops; from the 25th level on, an object or array is text.
#[tokio::test]
async fn deep_values_are_kept() {
    let mut wire = Wire::new().await;
    for (open, bottom, close) in [
        ("[", "1.5", "]"),
        ("[", "[]", "]"),
        (r#"{"a":"#, "null", "}"),
        (r#"{"a":"#, "{}", "}"),
        (r#"[{"b":true,"a":"#, r#""bottom \" \\ \ud83d\ude00""#, "}]"),
        (r#"{"a":[-0,"#, "9007199254740993", "]}"),
        (r#"{"b":"null","a":"#, r#"{"a":1,"a":2}"#, "}"),
    ] {
        let levels_each = open.matches(['[', '{']).count();
        let bottom_levels = usize::from(bottom.starts_with(['[', '{']));
        for depth in (20..=29).chain([50, 99, 100, 125, 126, 127, 128]) {
            // The document itself is the first level.
            let times = (depth - 1 - bottom_levels) / levels_each;
            let is_reached = 1 + times * levels_each + bottom_levels == depth;
            if !is_reached {
                continue;
            }
            let deep = format!("{}{bottom}{}", open.repeat(times), close.repeat(times));
            let text = body(&format!(r#""new":{deep}"#));
            let answer = wire.answer(text.clone()).await;
            if depth > 127 {
                let status = answer.expect_err("too deep");
                assert_malformed(&status, "not JSON that can be read");
                continue;
            }
            let conference = answer.unwrap_or_else(|status| panic!("{depth} {open}: {status:?}"));
            let original = serde_json::from_str(&text).unwrap();
            assert_lossless(&conference, &original, &format!("{depth} times {open}"));
        }
    }
}

/// The levels count from the root of the document, wherever the typed message stands.
#[tokio::test]
async fn deep_values_in_typed_messages_are_kept() {
    let mut wire = Wire::new().await;
    for depth in 20..=26 {
        let deep = (0..depth).fold(json!("bottom"), |value, _| json!({"a": [], "b": value}));
        wire.keeps(&original(json!({
            "users": [{"new": deep}], "createdBy": {"new": deep}, "messages": {"started": deep},
            "chatAccess": {"membersWithoutAccess": [deep]}, "rid": deep
        })))
        .await;
    }
}

#[track_caller]
fn assert_malformed(status: &Status, problem: &str) {
    assert_eq!(status.code(), Code::Internal);
    let details = status.get_error_details();
    let info = details.error_info().expect("an ErrorInfo");
    assert_eq!(info.reason, "UPSTREAM_MALFORMED");
    assert_eq!(info.metadata["problem"], problem);
}
