//! Who had Rocket.Chat asked of late. Users are never a label: there are as many as somebody makes up.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::credentials::Fingerprint;

/// What was longer ago doesn't count any more.
const OF_LATE: Duration = Duration::from_mins(5);

/// How many requests are kept in mind.
const KEPT: usize = 10_000;

/// The last requests to Rocket.Chat, by whose they were; none if nobody looks. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Users(Option<Arc<Mutex<VecDeque<Sent>>>>);

#[derive(Debug)]
struct Sent {
    at: Instant,
    credential: Fingerprint,
}

impl Users {
    /// None so far, for somebody who looks.
    #[must_use]
    pub fn seen() -> Self {
        Self(Some(Arc::default()))
    }

    /// A request is sent for this user.
    pub fn sent(&self, credential: Fingerprint) {
        let Some(requests) = &self.0 else {
            return;
        };
        let at = Instant::now();
        let mut requests = lock(requests);
        if requests.len() == KEPT {
            requests.pop_front();
        }
        requests.push_back(Sent { at, credential });
    }

    /// Those with the most requests in the last five minutes, at most so many, and how many each has; among those
    /// with as many, in the order of their hashes.
    #[must_use]
    pub fn most(&self, users: usize) -> Vec<(String, usize)> {
        let Some(requests) = &self.0 else {
            return Vec::new();
        };
        let mut counts = HashMap::<_, usize>::new();
        let mut requests = lock(requests);
        while requests.front().is_some_and(|it| it.at.elapsed() > OF_LATE) {
            requests.pop_front();
        }
        for sent in &*requests {
            *counts.entry(sent.credential).or_default() += 1;
        }
        drop(requests);
        let counts = counts.into_iter();
        let mut counts: Vec<_> = counts
            .map(|(user, count)| (user.to_string(), count))
            .collect();
        counts.sort_by(|(a, more), (b, less)| less.cmp(more).then_with(|| a.cmp(b)));
        counts.truncate(users);
        counts
    }
}

fn lock(requests: &Mutex<VecDeque<Sent>>) -> MutexGuard<'_, VecDeque<Sent>> {
    requests.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use tokio::time::advance;

    use super::*;
    use crate::credentials::{AuthToken, Credentials, FingerprintKey, UserId};

    fn credential(token: &'static str) -> Fingerprint {
        let value = HeaderValue::from_static;
        FingerprintKey::random().fingerprint(&Credentials {
            user_id: UserId::new(value("x")).unwrap(),
            auth_token: AuthToken::new(value(token)).unwrap(),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn those_with_most_requests_of_late_come_first() {
        let users = Users::seen();
        let [one, two, three] = ["1", "2", "3"].map(credential);
        let of = |count, user: Fingerprint| (user.to_string(), count);
        users.sent(one);
        users.sent(one);
        users.sent(one);
        advance(Duration::from_mins(3)).await;
        users.sent(two);
        users.sent(two);
        users.sent(three);
        assert_eq!(users.most(9), [of(3, one), of(2, two), of(1, three)]);
        assert_eq!(users.most(1), [of(3, one)]);
        advance(Duration::from_mins(3)).await;
        assert_eq!(users.most(9), [of(2, two), of(1, three)]);
        for _ in 0..KEPT {
            users.sent(one);
        }
        assert_eq!(users.most(9), [of(KEPT, one)]);
        assert_eq!(Users::default().most(9), []);
    }
}
