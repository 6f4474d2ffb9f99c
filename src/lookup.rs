//! Decorators of the traits in [`source`](crate::source): each adds one concern and can be taken
//! out with its line of the source stack.

mod direct;
mod observed;
mod retry;

pub use direct::Direct;
pub use observed::Observed;
pub use retry::Retry;
