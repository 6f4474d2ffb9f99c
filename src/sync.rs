//! What those share who wait for one read. In one place, since `interleavings` puts other means here, under which
//! a test meets one order of events after the other.

pub(crate) use std::sync::{Mutex, MutexGuard};

pub(crate) use tokio::{
    select, spawn,
    sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot, watch},
    time::sleep_until,
};
