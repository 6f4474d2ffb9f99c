//! A call in a channel: people join one by one, then guests, until Mia ends it.

use serde_json::json;

use super::Step;
use super::conference::{Conference, Ending, Scene};
use super::people::{JANE, MIA, NOOR, TOMAS};

pub(super) const ID: &str = "6980b3374be75f13c6a8e2b0";

pub(super) const STORY: &[Step] = &[
    start,
    mia_joins,
    tomas_joins,
    noor_and_a_guest_join,
    another_guest_joins,
    end,
];

/// It is started at once, and `ringing` stays true for good: only direct calls reset it.
fn start(conference: &mut Conference, scene: &Scene) {
    conference.begin(
        ID,
        "videoconference",
        "6821d0a94be75f13c6a8e200",
        &MIA,
        scene,
    );
    conference.announce("w9HnCs4LqXv7TzBdK");
    conference.set("status", 1);
    conference.set("anonymousUsers", 0);
    conference.set("title", "Übergabe / \"weekly\"");
    conference.set("ringing", true);
    conference.set("providerName", "jitsi");
    conference.set("url", format!("https://meet.example.org/RocketChat{ID}"));
    conference.set("discussionRid", "6980b3394be75f13c6a8e2b7");
    let mut capabilities =
        json!({ "mic": true, "cam": true, "title": true, "persistentChat": true });
    if scene.version.has_members() {
        capabilities["embedded"] = json!(false);
        conference.set("sipAlias", "58203714");
        conference.set("sipParticipantCount", 0);
    }
    conference.set_capabilities(capabilities);
    conference.invite(&MIA, scene);
    conference.invite(&TOMAS, scene);
    conference.ring(&NOOR, scene);
    conference.ring(&JANE, scene);
}

fn mia_joins(conference: &mut Conference, scene: &Scene) {
    conference.join(&MIA, scene);
    conference.decline(&JANE, scene);
    if scene.version.has_members() {
        conference.set("mediaCallIds", json!(["6980b3584be75f13c6a8e2c3"]));
    }
}

fn tomas_joins(conference: &mut Conference, scene: &Scene) {
    conference.join(&TOMAS, scene);
}

fn noor_and_a_guest_join(conference: &mut Conference, scene: &Scene) {
    conference.join(&NOOR, scene);
    conference.set("anonymousUsers", 1);
}

/// The guest, in 8.9, comes by phone. Meanwhile Tomás' connection is lost.
fn another_guest_joins(conference: &mut Conference, scene: &Scene) {
    conference.set("anonymousUsers", 2);
    conference.leave(&TOMAS, "timeout", scene);
    if scene.version.has_members() {
        conference.set("sipParticipantCount", 1);
    }
}

fn end(conference: &mut Conference, scene: &Scene) {
    conference.end(Ending::Ended, Some(&MIA), scene);
    if scene.version.has_members() {
        conference.set("sipParticipantCount", 0);
    }
}
