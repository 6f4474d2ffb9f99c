//! A call in an omnichannel chat: the agent joins, and the visitor declines.

use serde_json::json;

use super::Step;
use super::conference::{Conference, Ending, Scene};
use super::people::MIA;

pub(super) const ID: &str = "69a40cb213de5b28f90b4c5a";

pub(super) const STORY: &[Step] = &[start, agent_joins, visitor_declines];

/// No title, no `ringing`, no count of guests. The provider of 8.9 is embedded in Rocket.Chat,
/// and its URL is empty.
fn start(conference: &mut Conference, scene: &Scene) {
    conference.begin(ID, "livechat", "69a40c7713de5b28f90b4c11", &MIA, scene);
    conference.announce("z6QbXr3TfYw8KvLmN");
    conference.set("status", 1);
    if scene.version.has_members() {
        conference.set("providerName", "livekit");
        conference.set("url", "");
        conference.set_capabilities(json!({ "mic": true, "cam": true, "embedded": true }));
    } else {
        conference.set("providerName", "pexip");
        let url = format!("https://pexip.example.org/webapp/conference?conference={ID}");
        conference.set("url", url);
        conference.set_capabilities(json!({}));
    }
    conference.invite(&MIA, scene);
}

fn agent_joins(conference: &mut Conference, scene: &Scene) {
    conference.join(&MIA, scene);
}

/// A visitor is no user, so the document does not say who declined.
fn visitor_declines(conference: &mut Conference, scene: &Scene) {
    conference.end(Ending::Declined, None, scene);
}
