//! What there is to ask of Rocket.Chat: the methods of its API as data, and their parameters.
//!
//! Whatever depends on the method (how it is sent, whether it may be sent twice, whose field is to
//! blame, which allowance it uses) is read here.

use std::{fmt, hash::Hash};

use bytes::Bytes;
use http::Method;

use crate::{call_id::CallId, proto::Conference};

/// A method of Rocket.Chat's REST API.
#[derive(Debug, PartialEq, Eq)]
pub struct Route {
    /// Its name, which is the end of its path. Rocket.Chat counts requests by route, so it names
    /// the quota, too.
    pub name: &'static str,
    /// How it is sent.
    pub verb: Method,
    /// Whether sending it twice does no more than sending it once.
    pub is_repeatable: bool,
    /// The field of our request that is to blame where Rocket.Chat doesn't accept the parameters.
    pub blamed_field: &'static str,
}

/// Where Rocket.Chat's API begins.
pub const API: &str = "/api/v1/";

impl Route {
    /// Its path, as OpenTelemetry has it: without what is before the API.
    #[must_use]
    pub fn url_template(&self) -> String {
        format!("{API}{}", self.name)
    }
}

/// `video-conference.info`: one conference.
pub static INFO: Route = Route {
    name: "video-conference.info",
    verb: Method::GET,
    is_repeatable: true,
    blamed_field: "call_id",
};

/// What is asked of a route. Equal ones have equal answers, for the same user and moment.
pub trait Parameters: Clone + fmt::Debug + Eq + Hash + Send + Sync + 'static {
    /// Of which route.
    const ROUTE: &'static Route;
    /// What a success says.
    type Answer: Keepable;

    /// What tells them from others of the route.
    fn identity(&self) -> &[u8];
}

/// An answer that can be kept for others who ask the same. Clones are cheap.
pub trait Keepable: Clone + fmt::Debug + Send + Sync + 'static {
    /// It as bytes, for those who keep it elsewhere.
    fn to_bytes(&self) -> Bytes;

    /// What was [`to_bytes`](Self::to_bytes). `None` if it isn't.
    fn from_bytes(bytes: Bytes) -> Option<Self>;

    /// How much memory it takes, in bytes.
    fn size(&self) -> usize;

    /// Whether it will hardly change any more.
    fn is_final(&self) -> bool;
}

impl Keepable for Conference {
    fn to_bytes(&self) -> Bytes {
        self.encoded().clone()
    }

    fn from_bytes(bytes: Bytes) -> Option<Self> {
        Self::from_encoded(bytes)
    }

    fn size(&self) -> usize {
        self.encoded().len()
    }

    fn is_final(&self) -> bool {
        self.has_ended()
    }
}

/// The parameters of [`INFO`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Info {
    /// Which conference.
    pub call_id: CallId,
}

impl Parameters for Info {
    const ROUTE: &'static Route = &INFO;
    type Answer = Conference;

    fn identity(&self) -> &[u8] {
        self.call_id.as_str().as_bytes()
    }
}
