//! The rim around any RPC: connections, their end, the layers of the request stack, health and
//! reflection. Knows nothing of conferences.

mod access_log;
mod batched;
mod body;
mod connection;
mod greeting;
mod handler;
mod health;
pub mod layers;
mod lifecycle;
mod listeners;
mod memory;
mod methods;
mod reflection;
mod strangers;
mod tls;
mod unread;

pub use access_log::AccessLog;
pub use body::Body;
pub use connection::Bounds;
pub use greeting::Protocols;
pub use handler::{Handler, Rpcs};
pub use health::{Health, health};
pub use lifecycle::{Drain, serve};
pub use listeners::Listeners;
pub use methods::Methods;
pub use reflection::{files, reflection};
pub use tls::{File, Files, Tls};

/// A request as it comes from a connection.
pub type Request = http::Request<tonic::body::Body>;

/// An answer as it goes to a connection.
pub type Response = http::Response<Body>;
