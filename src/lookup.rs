//! Decorators of the traits in [`source`](crate::source): each adds one concern and can be taken
//! out with its line of the source stack.
//!
//! From a caller inwards: [`Traced`] is seen in traces, [`Cache`] gives what is known, [`Coalesce`]
//! makes one read of many, [`Remember`] keeps what comes back, [`Elsewhere`] takes what replicas have
//! read, [`Breaker`] knows when there is nothing to be had, [`Retry`] asks twice, [`Budget`] waits for a
//! turn of the [`Allowance`], [`Publish`] lets replicas have what was read, [`Bounded`] ends what takes
//! too long, [`Observed`] notes attempts. [`Direct`] stands for [`Cache`], [`Coalesce`] and
//! [`Remember`] where nothing is shared.

mod allowance;
mod answers;
mod bounded;
mod breaker;
mod budget;
mod cache;
mod coalesce;
mod direct;
mod elsewhere;
mod observed;
mod retry;
#[cfg(test)]
mod scripted;
mod traced;

pub use allowance::{Allowance, Common, CommonStanding, Limit, Options as AllowanceOptions};
pub use answers::Answers;
pub use bounded::Bounded;
pub use breaker::Breaker;
pub use budget::Budget;
pub use cache::{Cache, Freshness, Remember};
pub use coalesce::Coalesce;
pub use direct::Direct;
pub use elsewhere::{CommonShelf, Elsewhere, Publish, Shelves};
pub use observed::Observed;
pub use retry::Retry;
pub use traced::Traced;
