//! One living call: its stored document, and what can happen to it.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::Version;
use super::people::Person;

/// A call. What is stored keeps the order in which it was first set, as in `MongoDB`.
#[derive(Default)]
pub(super) struct Conference {
    stored: Vec<(&'static str, Value)>,
    users: Vec<Map<String, Value>>,
    /// Asked of the provider at every look, and not stored.
    capabilities: Value,
}

/// When and where a step happens.
pub(super) struct Scene {
    pub(super) version: Version,
    /// The time, as an ISO date.
    pub(super) now: String,
}

/// How a call is over. The numbers are Rocket.Chat's.
#[derive(Clone, Copy)]
pub(super) enum Ending {
    Ended = 3,
    Declined = 4,
}

impl Conference {
    /// Sets what every call has from the beginning.
    pub(super) fn begin(&mut self, id: &str, kind: &str, rid: &str, by: &Person, scene: &Scene) {
        self.set("_id", id);
        self.set("type", kind);
        self.set("rid", rid);
        // The users are kept apart, but written here.
        self.set("users", Value::Null);
        self.set("messages", json!({}));
        self.set("createdAt", scene.now.as_str());
        self.set("createdBy", by.reference());
    }

    pub(super) fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        let value = value.into();
        match self.stored.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.stored.push((name, value)),
        }
    }

    pub(super) fn set_capabilities(&mut self, capabilities: Value) {
        self.capabilities = capabilities;
    }

    /// The message about the call has been posted to the room.
    pub(super) fn announce(&mut self, message_id: &str) {
        self.set("messages", json!({ "started": message_id }));
    }

    /// Before 8.9 nobody is listed who has not joined.
    pub(super) fn invite(&mut self, person: &Person, scene: &Scene) {
        if scene.version.has_members() {
            self.user(person, scene)
                .insert("joined".into(), json!(false));
        }
    }

    /// Invites, and has the person's clients ring.
    pub(super) fn ring(&mut self, person: &Person, scene: &Scene) {
        self.invite(person, scene);
        self.update_member(person, scene, "ringingAt", json!(scene.now));
    }

    pub(super) fn join(&mut self, person: &Person, scene: &Scene) {
        self.user(person, scene);
        self.update_member(person, scene, "joined", json!(true));
        self.update_member(person, scene, "joinedAt", json!(scene.now));
    }

    pub(super) fn decline(&mut self, person: &Person, scene: &Scene) {
        self.update_member(person, scene, "declined", json!(true));
        self.update_member(person, scene, "declinedAt", json!(scene.now));
    }

    /// `reason` is `reported` or `timeout`.
    pub(super) fn leave(&mut self, person: &Person, reason: &str, scene: &Scene) {
        self.update_member(person, scene, "leftAt", json!(scene.now));
        self.update_member(person, scene, "leftReason", json!(reason));
    }

    /// Ends the call for all who are in it.
    pub(super) fn end(&mut self, ending: Ending, by: Option<&Person>, scene: &Scene) {
        self.set("status", ending as u8);
        self.set("endedAt", scene.now.as_str());
        if let Some(by) = by {
            self.set("endedBy", by.reference());
        }
        for user in self.users.iter_mut().filter(|user| is_present(user)) {
            user.insert("leftAt".into(), json!(scene.now));
            user.insert("leftReason".into(), json!("reported"));
        }
        // The alias is free for another call.
        self.stored.retain(|(name, _)| *name != "sipAlias");
    }

    /// What every change brings with it.
    pub(super) fn note_change(&mut self, scene: &Scene) {
        self.set("_updatedAt", scene.now.as_str());
        let mut present = 0;
        for user in self.users.iter_mut().filter(|user| is_present(user)) {
            user.insert("lastSeenAt".into(), json!(scene.now));
            present += 1;
        }
        if scene.version.has_members() {
            self.set("webrtcParticipantCount", present);
        }
    }

    /// The answer's body, but for `chatAccess`.
    pub(super) fn to_json(&self) -> String {
        let mut body = String::from("{");
        for (name, value) in &self.stored {
            let value = match *name {
                "users" => &json!(self.users),
                _ => value,
            };
            // Writing to a String cannot fail.
            let _ = write!(body, r#""{name}":{value},"#);
        }
        let capabilities = &self.capabilities;
        body + &format!(r#""capabilities":{capabilities},"success":true}}"#)
    }

    /// The person's entry, added if there is none.
    fn user(&mut self, person: &Person, scene: &Scene) -> &mut Map<String, Value> {
        let known = self.users.iter().position(|user| user["_id"] == person.id);
        let index = known.unwrap_or_else(|| {
            self.users.push(person.user(&scene.now));
            self.users.len() - 1
        });
        &mut self.users[index]
    }

    /// Sets a field that only members have.
    fn update_member(&mut self, person: &Person, scene: &Scene, field: &str, value: Value) {
        if scene.version.has_members() {
            self.user(person, scene).insert(field.into(), value);
        }
    }
}

/// Only members can be absent; a participant has neither field.
fn is_present(user: &Map<String, Value>) -> bool {
    user.get("joined") == Some(&json!(true)) && !user.contains_key("leftAt")
}
