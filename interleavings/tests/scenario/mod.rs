//! What the scenarios share: who asks, what for, and how orders of events are tried.

// Each file of tests uses some of it.
#![allow(dead_code)]

mod deviations;

use std::{env, sync::LazyLock, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method};
use shuttle::scheduler::{DfsScheduler, RandomScheduler};
use tokio::time::Instant;
use videoconf_facade_interleavings::{
    credentials::{AuthToken, Credentials, Fingerprint, FingerprintKey, UserId},
    deadline::{Deadline, Limit},
    query::{Caller, Key, Query},
    record::Record,
    route::{Keepable, Parameters, Route},
};

use deviations::Deviations;

/// All orders with so many deviations are tried, unless the variable says another number.
const DEVIATIONS: usize = 2;
const VARIABLE: &str = "INTERLEAVINGS_DEVIATIONS";

/// How many others are, by chance.
const OTHERS: usize = 10_000;

/// Asks for a number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Number;

pub static NUMBER: Route = Route {
    name: "number",
    verb: Method::GET,
    is_repeatable: true,
    blamed_field: "number",
};

impl Parameters for Number {
    const ROUTE: &'static Route = &NUMBER;
    type Answer = Which;

    fn identity(&self) -> &[u8] {
        &[]
    }
}

/// Which read it was, by its number.
#[derive(Clone, Copy, Debug)]
pub struct Which(pub usize);

impl Keepable for Which {
    fn to_bytes(&self) -> Bytes {
        Bytes::new()
    }

    fn from_bytes(_: Bytes) -> Option<Self> {
        None
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }

    fn is_final(&self) -> bool {
        false
    }
}

/// Tries every order of `scenario`, which has to be tiny.
pub fn every_order(scenario: impl Fn() + Send + Sync + 'static) {
    let every = DfsScheduler::new(None, false);
    let tried = shuttle::Runner::new(every, shuttle::Config::new()).run(scenario);
    println!("{tried} orders");
}

/// Tries the orders of `scenario`: all of those with few deviations, and many others.
pub fn orders(scenario: impl Fn() + Clone + Send + Sync + 'static) {
    let most = env::var(VARIABLE).map(|it| it.parse().expect("a number"));
    let few = Deviations::up_to(most.unwrap_or(DEVIATIONS));
    shuttle::Runner::new(few, shuttle::Config::new()).run(scenario.clone());
    let any = RandomScheduler::new(OTHERS);
    shuttle::Runner::new(any, shuttle::Config::new()).run(scenario);
}

/// Somebody who has an hour.
pub fn caller(max_age: Option<Duration>) -> Caller {
    let arrived = Instant::now();
    Caller {
        arrived,
        max_age,
        deadline: Deadline {
            at: arrived + Duration::from_hours(1),
            limit: Limit::Caller,
        },
        record: Record::begin(arrived),
    }
}

pub fn query(user: &'static str) -> Query<Number> {
    Query {
        key: Key {
            parameters: Number,
            fingerprint: fingerprint(user),
        },
        credentials: credentials(user),
    }
}

/// Stands for a user.
pub fn fingerprint(user: &'static str) -> Fingerprint {
    static KEY: LazyLock<FingerprintKey> = LazyLock::new(FingerprintKey::random);
    KEY.fingerprint(&credentials(user))
}

fn credentials(user: &'static str) -> Credentials {
    Credentials {
        user_id: UserId::new(HeaderValue::from_static(user)).expect("a user"),
        auth_token: AuthToken::new(HeaderValue::from_static("token")).expect("a token"),
    }
}
