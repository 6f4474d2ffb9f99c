//! What replicas share, by a real store: `cargo test --test it store:: -- --ignored`. It needs a `redis-server`.

mod allowance;
mod ledger;
mod server;
