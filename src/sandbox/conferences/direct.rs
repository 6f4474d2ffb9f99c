//! A direct call: Mia rings Jane, they talk, and the provider reports the end.

use serde_json::json;

use super::Step;
use super::conference::{Conference, Ending, Scene};
use super::people::{JANE, MIA};

pub(super) const ID: &str = "6980a1f2c4d7e80b6f3c5d19";

pub(super) const STORY: &[Step] = &[call, get_url, answer, end];

/// As between the document's insertion and the provider's answer: no URL, no message yet.
fn call(conference: &mut Conference, scene: &Scene) {
    let rid = format!("{}{}", MIA.id, JANE.id);
    conference.begin(ID, "direct", &rid, &MIA, scene);
    conference.set("status", 0);
    conference.set("ringing", true);
    conference.set("providerName", "jitsi");
    conference.set_capabilities(json!({ "mic": true, "cam": true, "title": true }));
    conference.invite(&MIA, scene);
    conference.ring(&JANE, scene);
}

fn get_url(conference: &mut Conference, _: &Scene) {
    conference.set("url", format!("https://meet.example.org/RocketChat{ID}"));
    conference.announce("k3ZpYwT8vRb5NsXqC");
}

fn answer(conference: &mut Conference, scene: &Scene) {
    conference.join(&MIA, scene);
    conference.join(&JANE, scene);
    conference.set("status", 1);
    conference.set("ringing", false);
    if scene.version.has_members() {
        conference.set("mediaCallIds", json!(["6980a1f9c4d7e80b6f3c5d1e"]));
    }
}

/// A provider's end names nobody.
fn end(conference: &mut Conference, scene: &Scene) {
    conference.end(Ending::Ended, None, scene);
}
