//! The rim around any RPC: connections, their end, the layers of the request stack, health and
//! reflection. Knows nothing of conferences.

mod access_log;
mod admin;
mod batched;
mod body;
mod connection;
#[cfg(fuzzing)]
pub mod fuzzing;
mod greeting;
mod handler;
mod health;
pub mod layers;
mod lifecycle;
mod listeners;
mod memory;
mod methods;
mod observed;
mod reflection;
mod strangers;
mod tls;
mod unread;

pub use access_log::AccessLog;
pub use admin::{MAX_CONNECTIONS as MAX_ADMIN_CONNECTIONS, Page, show};
pub use body::Body;
pub use connection::Bounds;
pub use greeting::Protocols;
pub use handler::{Handler, Routed};
pub use health::{Health, Readiness, health};
pub use lifecycle::{Drain, Server, serve};
pub use listeners::Listeners;
pub use methods::Methods;
pub use observed::Observers;
pub use reflection::{files, reflection};
pub use tls::{File, Files, Tls};

/// A request as it comes from a connection.
pub type Request = http::Request<tonic::body::Body>;

/// An answer as it goes to a connection.
pub type Response = http::Response<Body>;
