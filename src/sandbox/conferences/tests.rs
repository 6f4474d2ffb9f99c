//! What the calls look like, look by look and version by version.

use serde_json::{Value, json};

use super::super::users::USERS;
use super::*;

const NOW: u64 = 1_769_498_326_491;
const VERSIONS: [Version; 3] = [Version::V7_0, Version::V8_8, Version::V8_9];

fn conferences(version: Version) -> Conferences {
    Conferences::new(Options {
        version,
        ..Options::default()
    })
}

/// The answers to as many looks, a second apart.
fn looks(version: Version, call_id: &str, count: u64) -> Vec<Value> {
    let mut conferences = conferences(version);
    (0..count)
        .map(|look| {
            let reader = &USERS[usize::try_from(look % 2).unwrap()];
            let body = conferences.read(reader, call_id, NOW + look * 1000);
            serde_json::from_str(&body.unwrap()).unwrap()
        })
        .collect()
}

#[test]
fn every_call_of_every_version_is_an_answer_of_its_kind() {
    for version in VERSIONS {
        let mut conferences = conferences(version);
        for call in &CALLS {
            let body = conferences.read(&USERS[0], call.id, NOW).unwrap();
            let parsed: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(parsed["_id"], call.id);
            assert_eq!(parsed["type"], call.kind);
            assert!(parsed["users"].is_array());
            assert!(body.starts_with(r#"{"_id":"#));
            let chat_access = r#","chatAccess":"#.to_owned() + call.chat_access;
            let newer = if version == Version::V8_9 {
                &*chat_access
            } else {
                ""
            };
            let capabilities = &body[body.find(r#""capabilities":"#).unwrap()..];
            let end = capabilities.split_once('}').unwrap().1;
            assert_eq!(end, newer.to_owned() + r#","success":true}"#);
        }
    }
}

#[test]
fn the_documented_call_is_as_documented() {
    let mut conferences = conferences(Version::V7_0);
    let body = conferences.read(&USERS[1], CALLS[0].id, NOW).unwrap();
    assert_eq!(body, fixed::DOCUMENTED);
    assert_eq!(body.len(), 643);
}

#[test]
fn a_direct_call_is_answered_and_ends() {
    for version in VERSIONS {
        let seen = looks(version, direct::ID, 5);
        let status: Vec<_> = seen.iter().map(|call| &call["status"]).collect();
        assert_eq!(status, [0, 0, 1, 3, 3]);
        assert_eq!(
            (seen[0].get("url"), &seen[0]["messages"]),
            (None, &json!({}))
        );
        assert!(seen[1]["url"].is_string() && seen[1]["messages"]["started"].is_string());
        assert_eq!(
            (&seen[1]["ringing"], &seen[2]["ringing"]),
            (&json!(true), &json!(false))
        );
        assert_eq!(seen[2]["users"].as_array().unwrap().len(), 2);
        assert_eq!(seen[2]["_updatedAt"], "2026-01-27T07:18:48.491Z");
        assert_eq!(seen[3]["createdAt"], "2026-01-27T07:18:46.491Z");
        assert_eq!(seen[3]["endedAt"], "2026-01-27T07:18:49.491Z");
        assert_eq!(seen[3].get("endedBy"), None);
        assert_eq!(seen[3], seen[4], "ended stays ended");
    }
}

#[test]
fn a_group_call_fills_until_its_creator_ends_it() {
    let seen = looks(Version::V8_8, group::ID, 7);
    let of = |field: &str| -> Vec<_> { seen.iter().map(|call| call[field].clone()).collect() };
    assert_eq!(of("status"), [1, 1, 1, 1, 1, 3, 3]);
    assert_eq!(of("anonymousUsers"), [0, 0, 0, 1, 2, 2, 2]);
    let users = seen
        .iter()
        .map(|call| call["users"].as_array().unwrap().len());
    assert_eq!(users.collect::<Vec<_>>(), [0, 1, 2, 3, 3, 3, 3]);
    assert_eq!(seen[5]["endedBy"]["username"], "mia.okafor");
    for pair in seen[..6].windows(2) {
        assert_ne!(pair[0], pair[1], "every look sees a change");
    }
    assert_eq!(seen[5], seen[6]);
}

#[test]
fn a_livechat_call_is_declined_by_nobody_in_particular() {
    let seen = looks(Version::V8_8, livechat::ID, 4);
    let status: Vec<_> = seen.iter().map(|call| &call["status"]).collect();
    assert_eq!(status, [1, 1, 4, 4]);
    assert_eq!(
        (seen[0]["users"].clone(), seen[2].get("endedBy")),
        (json!([]), None)
    );
    assert_eq!((seen[0].get("title"), seen[0].get("ringing")), (None, None));
    assert!(seen[2]["endedAt"].is_string());
}

#[test]
fn only_the_newest_has_members_and_media() {
    let newer = [
        "sipAlias",
        "sipParticipantCount",
        "webrtcParticipantCount",
        "mediaCallIds",
        "chatAccess",
    ];
    let old = looks(Version::V8_8, group::ID, 5).remove(4);
    let new = looks(Version::V8_9, group::ID, 6);
    for field in newer {
        assert!(
            old.get(field).is_none() && new[4].get(field).is_some(),
            "{field}"
        );
    }
    assert_eq!(old["users"][0].as_object().unwrap().len(), 5);
    let [mia, tomas, noor, jane] = [0, 1, 2, 3].map(|index| &new[4]["users"][index]);
    assert_eq!(
        (&mia["joined"], &mia["lastSeenAt"]),
        (&json!(true), &new[4]["_updatedAt"])
    );
    assert_eq!(
        (&tomas["leftReason"], &tomas["leftAt"]),
        (&json!("timeout"), &new[4]["_updatedAt"])
    );
    assert!(noor["ringingAt"].is_string() && noor["joinedAt"].is_string());
    assert_eq!(
        (&jane["joined"], &jane["declined"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(new[4]["webrtcParticipantCount"], 2);
    assert_eq!(
        (new[5].get("sipAlias"), &new[5]["webrtcParticipantCount"]),
        (None, &json!(0))
    );
    assert_eq!(new[5]["users"][0]["leftReason"], "reported");
}

#[test]
fn what_cannot_be_read_is_not_there() {
    let mut conferences = conferences(Version::V8_8);
    let private = CALLS[5].id;
    let [mia, jane, bot] = &USERS;
    assert!(conferences.read(mia, private, NOW).is_some());
    assert!(conferences.read(jane, private, NOW).is_none());
    assert!(conferences.read(bot, private, NOW).is_some());
    assert!(conferences.read(mia, "", NOW).is_none());
    assert!(
        conferences
            .read(mia, &private.to_uppercase(), NOW)
            .is_none()
    );
}

#[test]
fn any_call_is_the_example_under_its_own_id() {
    let mut conferences = Conferences::new(Options {
        any_call: true,
        ..Options::default()
    });
    let [mia, jane, _] = &USERS;
    for id in ["000000000000000000000001", r#"a ","b"#] {
        let body = conferences.read(mia, id, NOW).unwrap();
        let mut parsed: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(parsed["_id"], id);
        parsed["_id"] = CALLS[0].id.into();
        let documented: Value = serde_json::from_str(fixed::DOCUMENTED).unwrap();
        assert_eq!(parsed, documented);
    }
    let body = conferences.read(mia, direct::ID, NOW).unwrap();
    assert!(body.contains(r#""type":"direct""#), "what is known stays");
    assert!(conferences.read(jane, CALLS[5].id, NOW).is_none());
}
