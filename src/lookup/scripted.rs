//! What the decorators' tests put inside them, and ask.

use std::time::Duration;

use http::HeaderValue;
use tokio::time::Instant;

use crate::{
    call_id::CallId,
    claim::Claim,
    credentials::{AuthToken, Credentials, FingerprintKey, UserId},
    deadline::{Deadline, Limit},
    exchange::{Exchange, Head, Moment},
    journal::Journal,
    proto::{Conference, v1::VideoConference},
    query::{Attempt, Caller, Connection, Key, Query},
    record::Record,
    route::Info,
    source::Upstream,
    trace::TraceContext,
};

/// Does with each request as it is told.
pub(super) struct Scripted<F>(pub(super) F);

impl<F, Answering> Upstream<Info> for Scripted<F>
where
    F: Fn(Attempt) -> Answering + Send + Sync + 'static,
    Answering: Future<Output = Exchange<Conference>> + Send,
{
    async fn ask(&self, _: &Query<Info>, attempt: &Attempt) -> Exchange<Conference> {
        (self.0)(attempt.clone()).await
    }
}

/// A conference, asked for at this moment.
pub(super) fn found() -> Exchange<Conference> {
    Exchange {
        sent: Some(Moment::now()),
        head: Some(Head {
            status: 200,
            rate_limit: None,
            retry_after: None,
        }),
        result: Ok(Conference::encode(&VideoConference::default())),
    }
}

pub(super) fn query() -> Query<Info> {
    let value = || HeaderValue::from_static("mia");
    let credentials = Credentials {
        user_id: UserId::new(value()).expect("an id"),
        auth_token: AuthToken::new(value()).expect("a token"),
    };
    let call_id = CallId::new("x".to_owned(), 256).expect("an id");
    Query {
        key: Key {
            parameters: Info { call_id },
            fingerprint: FingerprintKey::random().fingerprint(&credentials),
        },
        credentials,
    }
}

/// One who arrives now and has this time.
pub(super) fn caller(time: Duration) -> Caller {
    let arrived = Instant::now();
    Caller {
        arrived,
        max_age: None,
        deadline: Deadline {
            at: arrived + time,
            limit: Limit::Caller,
        },
        record: Record::begin(arrived),
    }
}

/// One that nobody has bounded.
pub(super) fn attempt() -> Attempt {
    Attempt {
        claim: Claim::new(),
        deadline: None,
        connection: Connection::Any,
        journal: Journal::default(),
        trace: TraceContext::default(),
    }
}
