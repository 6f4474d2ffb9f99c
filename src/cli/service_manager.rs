//! What a service manager hears by systemd's protocol, if it listens: that the facade serves, that it is alive, and
//! that it ends.

use std::{future::pending, time::Duration};

use sd_notify::{NotifyState, notify, watchdog_enabled};
use tokio::time::{MissedTickBehavior, interval};

/// How many signs of life there are in the time after which one is missed.
const SIGNS: u32 = 3;

/// The facade serves from now on.
pub(super) fn ready() {
    tell(NotifyState::Ready);
}

/// The facade is about to end.
pub(super) fn stopping() {
    tell(NotifyState::Stopping);
}

/// Says as often as it is asked for that calls would be answered. Never ready.
pub(super) async fn live() {
    let Some(watchdog) = watchdog_enabled().filter(|it| *it > Duration::ZERO) else {
        return pending().await;
    };
    let mut interval = interval(watchdog / SIGNS);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        // A thread that answers calls has to get to it.
        let sign = tokio::spawn(async { tell(NotifyState::Watchdog) });
        let _ = sign.await;
    }
}

fn tell(state: NotifyState) {
    if let Err(error) = notify(&[state]) {
        tracing::warn!(%error, "the service manager can't be told");
    }
}
