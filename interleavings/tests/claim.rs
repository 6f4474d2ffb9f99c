//! A claim: whoever joins it at the moment at which nobody else wants it is either told so or served.

mod scenario;

use std::time::Duration;

use shuttle::future::block_on;
use shuttle_tokio::spawn;
use tokio::time::Instant;
use videoconf_facade_interleavings::claim::{Claim, Stage};

use scenario::every_order;

#[test]
fn who_joins_a_claim_is_served_or_told_that_it_is_too_late() {
    every_order(|| {
        let claim = Claim::new();
        let deadline = Instant::now() + Duration::from_hours(1);
        let first = claim
            .wait(deadline, None)
            .expect("a claim that has just begun");
        block_on(async {
            let reader = spawn({
                let claim = claim.clone();
                async move { claim.send(Instant::now()) }
            });
            let leaving = spawn(async move { drop(first) });
            let second = claim.wait(deadline, None);
            let is_sent = reader.await.unwrap();
            leaving.await.unwrap();
            match (is_sent, claim.stage()) {
                (true, Stage::Sent(_)) => assert!(second.is_some()),
                (false, Stage::Dropped) => assert!(second.is_none(), "it waits for nothing"),
                (_, stage) => panic!("{stage:?}"),
            }
        });
    });
}
