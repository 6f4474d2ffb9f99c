//! The layers of the request stack, in its order. Each is one concern around every RPC.

mod catch_panic;
mod deadline;
mod drain;
mod observe;
mod request_id;

pub use catch_panic::CatchPanic;
pub use deadline::EndAtDeadline;
pub use drain::EndWithDrain;
pub use observe::Observe;
pub use request_id::RequestId;
