//! The only room that knows Rocket.Chat's REST and JSON: the client, the translation of its
//! answers, the meaning of its refusals, and a stand-in for demos and tests.

mod body;
mod client;
mod failure;
mod fields;
mod json;
pub mod sandbox;
mod translate;
mod upstream;

pub use client::{Client, Options};
pub use json::Malformed;
pub use translate::video_conference;
pub use upstream::{BaseUrl, Proxy, TrustAnchors};
