//! The sandbox's own conferences through the facade: all four types, living ones included, and
//! Rocket.Chat's own refusals.

use std::net::Ipv4Addr;

use tonic::Code;
use tonic_types::StatusExt;
use videoconf_facade::{
    proto::v1::{VideoConference, VideoConferenceStatus as Status, VideoConferenceType as Type},
    sandbox::{CALLS, Options, Sandbox, USERS, Version},
};

use crate::support::{Facade, request, sandbox, with_metadata};

async fn get(facade: &Facade, call_id: &str) -> VideoConference {
    let answer = facade.get(call_id).await.expect("a conference");
    answer.video_conference.expect("a conference")
}

#[tokio::test]
async fn all_four_types_come_through() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    let mut types = Vec::new();
    for call in &CALLS[1..5] {
        types.push(get(&facade, call.id).await.r#type());
    }
    assert_eq!(
        types,
        [
            Type::Direct,
            Type::Videoconference,
            Type::Livechat,
            Type::Voip
        ]
    );
}

#[tokio::test]
async fn who_asks_twice_sees_a_change_until_the_end() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    for (call, last) in [
        (CALLS[1], Status::Ended),
        (CALLS[2], Status::Ended),
        (CALLS[3], Status::Declined),
    ] {
        let mut before = get(&facade, call.id).await;
        while before.ended_at.is_none() {
            let after = get(&facade, call.id).await;
            assert_ne!(before, after, "{}", call.purpose);
            before = after;
        }
        assert_eq!(before.status(), last, "{}", call.purpose);
        assert_eq!(get(&facade, call.id).await, before, "ended stays ended");
    }
}

#[tokio::test]
async fn newer_versions_have_members_and_chat_access() {
    let options = Options {
        version: Version::V8_9,
        rate_limit: false,
        ..Options::default()
    };
    let listen = (Ipv4Addr::LOCALHOST, 0).into();
    let sandbox = Sandbox::start(listen, options).await.unwrap();
    let facade = Facade::before(&sandbox).await;
    let conference = get(&facade, CALLS[2].id).await;
    assert!(conference.chat_access.is_some());
    assert!(conference.users.iter().any(|user| user.joined.is_some()));
    assert_eq!(conference.additional_fields, None, "all of it is typed");
}

#[tokio::test]
async fn rocketchats_own_refusals() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    let (mia, jane) = (USERS[0], USERS[1]);
    let not_visible = (Code::InvalidArgument, "CALL_NOT_FOUND_OR_NOT_VISIBLE");
    let rejected = (Code::Unauthenticated, "CREDENTIALS_REJECTED");
    for (call, user_id, token, expected) in [
        ("no-such-call", mia.id, mia.token, not_visible),
        (CALLS[5].id, jane.id, jane.token, not_visible),
        (CALLS[0].id, mia.id, jane.token, rejected),
        (CALLS[0].id, "nobody", mia.token, rejected),
    ] {
        let user = [("x-user-id", user_id), ("x-auth-token", token)];
        let status = facade
            .client()
            .get_info(with_metadata(request(call), &user))
            .await
            .unwrap_err();
        let details = status.get_error_details();
        let reason = &details.error_info().unwrap().reason;
        assert_eq!(
            (status.code(), reason.as_str()),
            expected,
            "{call} {user_id}"
        );
    }
}

/// Without a cache and an allowance of its own, the facade passes Rocket.Chat's limit on.
#[tokio::test]
async fn the_sixteenth_request_of_a_window_is_told_when_to_come_back() {
    let listen = (Ipv4Addr::LOCALHOST, 0).into();
    let sandbox = Sandbox::start(listen, Options::default()).await.unwrap();
    let facade = Facade::before(&sandbox).await;
    for _ in 0..15 {
        facade.get(CALLS[0].id).await.expect("within the limit");
    }
    let status = facade.get(CALLS[0].id).await.expect_err("over the limit");
    let details = status.get_error_details();
    assert_eq!(
        details.error_info().unwrap().reason,
        "UPSTREAM_RATE_LIMITED"
    );
    assert_eq!(
        details.quota_failure().unwrap().violations[0].quota_value,
        15
    );
    let wait = details.retry_info().unwrap().retry_delay.unwrap();
    assert!(wait.as_millis() <= 4000, "{wait:?}");
}

#[tokio::test]
async fn read_at_is_when_rocketchat_was_asked() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    let before = std::time::SystemTime::now();
    let answer = facade.get(CALLS[0].id).await.unwrap();
    let read_at = std::time::SystemTime::try_from(answer.read_at.unwrap()).unwrap();
    assert!(before <= read_at && read_at <= std::time::SystemTime::now());
}
