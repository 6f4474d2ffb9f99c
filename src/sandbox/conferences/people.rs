//! The people in the calls.

use serde_json::{Map, Value, json};

/// Someone with an account, though not all can log in here.
pub(super) struct Person {
    pub id: &'static str,
    pub username: &'static str,
    /// Accounts need not have a display name.
    pub name: Option<&'static str>,
    pub avatar: Option<&'static str>,
}

pub(super) const MIA: Person = Person {
    id: "CkCPNctrgCDfmWLqC",
    username: "mia.okafor",
    name: Some("Mia Okafor"),
    avatar: Some("h7KdWq2ZsVx9TbNcY"),
};

pub(super) const JANE: Person = Person {
    id: "fRv4qm8ycWHXSA7af",
    username: "jane.doe",
    name: Some("jane"),
    avatar: None,
};

pub(super) const TOMAS: Person = Person {
    id: "nQ8rLz5VxYt2KcWm4",
    username: "tomas.vega",
    name: Some("Tomás Vega"),
    avatar: Some(""),
};

pub(super) const NOOR: Person = Person {
    id: "66d1b7a3f04c8e92515a7be0",
    username: "noor",
    name: None,
    avatar: None,
};

impl Person {
    /// As in `createdBy` and `endedBy`.
    pub(super) fn reference(&self) -> Value {
        json!({ "_id": self.id, "username": self.username, "name": self.name })
    }

    /// As in `users`.
    pub(super) fn user(&self, now: &str) -> Map<String, Value> {
        let field = |(name, value): (&str, Value)| (name.to_owned(), value);
        [
            ("_id", json!(self.id)),
            ("username", json!(self.username)),
            ("name", json!(self.name)),
            ("avatarETag", json!(self.avatar)),
            ("ts", json!(now)),
        ]
        .map(field)
        .into_iter()
        .collect()
    }
}
