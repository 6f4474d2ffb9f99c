//! The calls as they stand, and how the living ones move on.
//!
//! A living call takes one step with every successful look at it, by whomever. A call that moved
//! by the clock would make demos wait and tests sleep or race; this way who asks twice always
//! sees a change, and the n-th look always sees the same one. At its end a call stays as it is.

mod catalog;
mod conference;
mod direct;
mod fixed;
mod group;
mod livechat;
mod people;

use std::collections::HashMap;

use serde_json::Value;

pub use self::catalog::{CALLS, Call};

use self::conference::{Conference, Scene};
use super::Options;
use super::clock;
use super::users::User;
use super::version::Version;

/// Where the answer for a call comes from.
#[derive(Clone, Copy)]
enum Content {
    /// The whole answer as JSON text, but for `chatAccess`. It begins with the call's id.
    Fixed(&'static str),
    /// The steps, the first of which begins the call.
    Story(&'static [Step]),
}

/// What happens to a call between two looks.
type Step = fn(&mut Conference, &Scene);

/// Every call's state.
pub(super) struct Conferences {
    version: Version,
    /// Stands for each call that the catalogue lacks.
    example: Option<&'static Call>,
    begun: HashMap<&'static str, Begun>,
}

#[derive(Default)]
struct Begun {
    conference: Conference,
    steps_taken: usize,
}

impl Conferences {
    pub(super) fn new(options: Options) -> Self {
        Self {
            version: options.version,
            example: options.any_call.then_some(&CALLS[0]),
            begun: HashMap::new(),
        }
    }

    /// The answer's body, if there is such a call and `user` may read it.
    pub(super) fn read(&mut self, user: &User, call_id: &str, now_ms: u64) -> Option<String> {
        let call = catalog::find(call_id)
            .or(self.example)
            .filter(|call| call.can_be_read_by(user))?;
        let body = match call.content {
            Content::Fixed(body) => with_id(body, call_id),
            Content::Story(steps) => self.advance(call, steps, now_ms),
        };
        Some(match self.version {
            Version::V7_0 | Version::V8_8 => body,
            Version::V8_9 => with_chat_access(&body, call.chat_access),
        })
    }

    fn advance(&mut self, call: &Call, steps: &[Step], now_ms: u64) -> String {
        let begun = self.begun.entry(call.id).or_default();
        if let Some(step) = steps.get(begun.steps_taken) {
            let scene = Scene {
                version: self.version,
                now: clock::iso(now_ms),
            };
            step(&mut begun.conference, &scene);
            begun.conference.note_change(&scene);
            begun.steps_taken += 1;
        }
        begun.conference.to_json()
    }
}

/// Puts `call_id` where `body` has its id, which is first. It is the same one, but for an example.
fn with_id(body: &str, call_id: &str) -> String {
    const START: &str = r#"{"_id":"#;
    let fields = body.find(',').map_or("", |end| &body[end..]);
    format!("{START}{}{fields}", Value::from(call_id))
}

/// Puts `chatAccess` where 8.9 has it, right before `success`, which is last.
fn with_chat_access(body: &str, chat_access: &str) -> String {
    const END: &str = r#""success":true}"#;
    let fields = body.strip_suffix(END).unwrap_or(body);
    format!(r#"{fields}"chatAccess":{chat_access},{END}"#)
}

#[cfg(test)]
mod tests;
