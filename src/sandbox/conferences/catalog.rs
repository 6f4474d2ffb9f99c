//! Which calls there are: the table a demo prints and a test picks from.

use super::people::JANE;
use super::{Content, User, direct, fixed, group, livechat};

/// A call that can be looked up.
#[derive(Clone, Copy)]
pub struct Call {
    /// For `callId`.
    pub id: &'static str,
    /// As in the answer: `direct`, `videoconference`, `livechat` or `voip`.
    pub kind: &'static str,
    /// What this one is good for.
    pub purpose: &'static str,
    pub(super) content: Content,
    /// What 8.9 adds to the answer, as JSON.
    pub(super) chat_access: &'static str,
    /// The id of a user who cannot read the call's room.
    hidden_from: Option<&'static str>,
}

/// Every call there is.
pub const CALLS: [Call; 6] = [
    Call {
        id: "697866d5c8b053302078137a",
        kind: "videoconference",
        purpose: "the documented example; never changes",
        content: Content::Fixed(fixed::DOCUMENTED),
        chat_access: r#"{"rid":"68c8071650223764573dd2dc","name":"testdiscussion","type":"p","membersWithoutAccess":[],"canInvite":true}"#,
        hidden_from: None,
    },
    Call {
        id: direct::ID,
        kind: "direct",
        purpose: "rings, is answered, and ends, a step with every look",
        content: Content::Story(direct::STORY),
        chat_access: r#"{"rid":"CkCPNctrgCDfmWLqCfRv4qm8ycWHXSA7af","name":"jane.doe","type":"d","membersWithoutAccess":[],"canInvite":false}"#,
        hidden_from: None,
    },
    Call {
        id: group::ID,
        kind: "videoconference",
        purpose: "fills with people and guests until its creator ends it, a step with every look",
        content: Content::Story(group::STORY),
        chat_access: r#"{"rid":"6821d0a94be75f13c6a8e200","name":"platform","type":"p","membersWithoutAccess":["nQ8rLz5VxYt2KcWm4"],"canInvite":true}"#,
        hidden_from: None,
    },
    Call {
        id: livechat::ID,
        kind: "livechat",
        purpose: "an agent waits and the visitor declines, a step with every look",
        content: Content::Story(livechat::STORY),
        chat_access: r#"{"rid":"69a40c7713de5b28f90b4c11","name":"visitor-1183","type":"l","membersWithoutAccess":[],"canInvite":false}"#,
        hidden_from: None,
    },
    Call {
        id: "67c3e19d0ab4f2867d15e930",
        kind: "voip",
        purpose: "a phone call, written when it was over; never changes",
        content: Content::Fixed(fixed::PHONE_CALL),
        chat_access: r#"{"rid":"CkCPNctrgCDfmWLqCfRv4qm8ycWHXSA7af","name":"jane.doe","type":"d","membersWithoutAccess":[],"canInvite":false}"#,
        hidden_from: None,
    },
    Call {
        id: "69a5500de7c1b94f3382a6d4",
        kind: "videoconference",
        purpose: "long expired, in a room that jane.doe cannot read; never changes",
        content: Content::Fixed(fixed::PRIVATE),
        chat_access: r#"{"rid":"6699f8e2b05d4c7a1e3f0b88","name":"board","type":"p","membersWithoutAccess":[],"canInvite":true}"#,
        hidden_from: Some(JANE.id),
    },
];

impl Call {
    pub(super) fn can_be_read_by(&self, user: &User) -> bool {
        self.hidden_from != Some(user.id)
    }
}

/// The call of this id, in exactly these letters.
pub(super) fn find(id: &str) -> Option<&'static Call> {
    CALLS.iter().find(|call| call.id == id)
}
