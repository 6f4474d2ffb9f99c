//! The queue and the flights of videoconf-facade, from its own sources (by links), over [shuttle]'s locks and channels: what may
//! happen in another order, happens in each order that its schedulers come to.
//!
//! [shuttle]: https://github.com/awslabs/shuttle

#![allow(dead_code)]

// What shares nothing is the program's own.
pub use videoconf_facade::{
    call_id, credentials, deadline, error, exchange, journal, metrics, proto, record, route, trace,
};

pub mod claim;
pub mod lookup;
pub mod query;
pub mod replicas;
pub mod source;
pub mod sync {
    //! In the place of the program's.
    pub(crate) use shuttle::sync::{Mutex, MutexGuard};
    pub(crate) use shuttle_tokio::{
        select, spawn,
        sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot, watch},
    };

    /// Time stands still: what is woken by nothing else, waits for ever, and that is found.
    pub(crate) async fn sleep_until(_: tokio::time::Instant) {
        std::future::pending().await
    }
}
