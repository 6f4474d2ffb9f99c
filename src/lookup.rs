//! Decorators of [`ConferenceSource`](crate::source::ConferenceSource): each adds one concern and
//! can be taken out with its line of the source stack.

mod observed;
mod retry;

pub use observed::Observed;
pub use retry::Retry;
