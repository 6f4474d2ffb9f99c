//! What replicas share, by a real store: `cargo test --test it store:: -- --ignored`. It needs a `redis-server`, or
//! what `STORE_SERVER` says.

mod allowance;
mod facades;
mod ledger;
mod server;
mod shelf;
mod start;
mod whereabouts;
