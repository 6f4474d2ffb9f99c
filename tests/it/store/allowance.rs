//! An allowance shared by a real store, in real time.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use videoconf_facade::credentials::FingerprintKey;

use super::server::RedisServer;
use crate::{
    load::{Callers, load},
    support::{
        fake::{Fake, Lookups},
        ledger::Memory,
    },
};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
#[ignore = "needs a redis-server"]
async fn three_replicas_use_all_of_the_limit_and_no_more() {
    let server = RedisServer::start().await;
    let (fake, key) = (Fake::limited(), FingerprintKey::random());
    let replicas: Vec<_> = (0..3)
        .map(|_| {
            let (me, written, read) = server.ledger();
            let opened = (written, read);
            let shelf = Memory::new(Duration::ZERO);
            Arc::new(Lookups::replica(&fake, me, opened, shelf, &key))
        })
        .collect();
    let time = SECOND * 15;
    let callers = Callers {
        rate: 100,
        ..Callers::of("mia", 400)
    };
    join_all(replicas.iter().map(|it| load(it, callers, time))).await;
    assert_eq!(fake.refusals(), 0);
    let reads = fake.reads().iter().filter(|read| read.at <= time).count();
    assert!(reads * 100 >= 95 * 75, "{reads} of 75");
}
