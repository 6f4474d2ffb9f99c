//! The only room that knows Rocket.Chat's REST and JSON: the client, the translation of its
//! answers, and the meaning of its refusals.

mod body;
mod client;
mod connector;
mod failure;
mod fields;
#[cfg(fuzzing)]
pub mod fuzzing;
mod head;
mod info;
mod json;
mod method;
mod pool;
mod report;
mod translate;
mod upstream;

pub use client::{Client, Options};
pub use json::Malformed;
pub use method::Method;
pub use translate::video_conference;
pub use upstream::{BaseUrl, Proxy};
