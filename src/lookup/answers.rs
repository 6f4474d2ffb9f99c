//! What is known: the last answer to each query, within a bound of memory.

use std::time::Duration;

use moka::sync::Cache;
use tokio::time::Instant;

use crate::{
    credentials::Fingerprint,
    error::Error,
    exchange::{Exchange, Moment},
    query::Key,
    route::{Keepable, Parameters},
    source::Answer,
};

/// What an entry takes beside the answer's bytes, as measured in a process that had read many: the
/// key, moka's own nodes, and the holes that what was freed after the read leaves in the heap.
const ENTRY_BYTES: usize = 1280;

/// How often it is noted anew that somebody has answers, who reads all the time.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// How long a refusal is remembered.
const REFUSAL_FOR: Duration = Duration::from_secs(1);

/// The answers and refusals of late. Clones share them.
#[derive(Clone, Debug)]
pub struct Answers<P: Parameters> {
    known: Cache<Key<P>, Known<P::Answer>>,
    /// Who has answers here.
    holders: Cache<Fingerprint, Holder>,
    stale_for: Duration,
}

/// Credentials with which something was read.
#[derive(Clone, Copy, Debug)]
struct Holder {
    /// When this was noted.
    noted_at: Instant,
    /// When Rocket.Chat last rejected the credentials.
    rejected_at: Option<Instant>,
}

/// The last thing that Rocket.Chat said to a query.
#[derive(Clone, Debug)]
pub struct Known<T> {
    /// What it said: an answer, or one of the refusals that are remembered.
    pub said: Result<T, Error>,
    /// When it was asked.
    pub read_at: Moment,
}

impl<P: Parameters> Answers<P> {
    /// Room for `max_bytes`, of answers that are of use for `stale_for`.
    #[must_use]
    pub fn new(max_bytes: u64, stale_for: Duration) -> Self {
        Self {
            known: Cache::builder()
                .max_capacity(max_bytes)
                .weigher(weight)
                // For the memory's sake; whether an entry is used is told by its age.
                .time_to_live(stale_for + REFUSAL_FOR)
                .build(),
            holders: Cache::builder()
                .max_capacity(max_bytes / ENTRY_BYTES as u64)
                // As long as any of their answers.
                .time_to_live(stale_for + REFUSAL_FOR + NOTE_EVERY)
                .build(),
            stale_for,
        }
    }

    /// What is known at the arrival of a call at `arrived`, unless it is too old to be given.
    #[must_use]
    pub fn get(&self, key: &Key<P>, arrived: Instant) -> Option<Known<P::Answer>> {
        let known = self.known.get(key)?;
        let limit = match known.said {
            Ok(_) => self.stale_for,
            Err(_) => REFUSAL_FOR,
        };
        (known.age(arrived) <= limit).then_some(known)
    }

    /// Takes note of what Rocket.Chat said.
    pub fn keep(&self, key: &Key<P>, exchange: &Exchange<P::Answer>) {
        let Some(read_at) = exchange.sent else { return };
        match &exchange.result {
            Ok(answer) => {
                let holder = self.holders.get(&key.fingerprint);
                if self.is_of_use(key, read_at.at, holder) {
                    self.note(key.fingerprint, holder);
                    self.insert(key, Ok(answer.clone()), read_at);
                }
            }
            Err(error) if error.is_refusal() => {
                if error == &Error::CredentialsRejected {
                    self.forget(key.fingerprint);
                }
                let holder = self.holders.get(&key.fingerprint);
                if self.is_of_use(key, read_at.at, holder) {
                    if error.is_worth_remembering() {
                        self.insert(key, Err(error.clone()), read_at);
                    } else {
                        self.known.invalidate(key);
                    }
                }
            }
            // It says nothing of the conference.
            Err(_) => {}
        }
    }

    fn insert(&self, key: &Key<P>, said: Result<P::Answer, Error>, read_at: Moment) {
        self.known.insert(key.clone(), Known { said, read_at });
    }

    /// Whether a read that was sent at `read_at` tells more than what is known, and its credentials
    /// weren't rejected since.
    fn is_of_use(&self, key: &Key<P>, read_at: Instant, holder: Option<Holder>) -> bool {
        let rejected = holder.and_then(|holder| holder.rejected_at);
        let newer = self.known.get(key).map(|known| known.read_at.at);
        rejected.is_none_or(|rejected| rejected < read_at)
            && newer.is_none_or(|newer| newer <= read_at)
    }

    /// Notes that this credential, which is known as `holder`, has an answer.
    fn note(&self, credential: Fingerprint, holder: Option<Holder>) {
        let noted_at = Instant::now();
        if holder.is_none_or(|holder| holder.noted_at + NOTE_EVERY <= noted_at) {
            let rejected_at = holder.and_then(|holder| holder.rejected_at);
            let holder = Holder {
                noted_at,
                rejected_at,
            };
            self.holders.insert(credential, holder);
        }
    }

    /// Drops what was told to this credential. That is looked for only if there can be any, since
    /// anybody can have made-up credentials rejected.
    pub fn forget(&self, credential: Fingerprint) {
        if !self.holders.contains_key(&credential) {
            return;
        }
        let now = Instant::now();
        let holder = Holder {
            noted_at: now,
            rejected_at: Some(now),
        };
        self.holders.insert(credential, holder);
        for (key, _) in &self.known {
            if key.fingerprint == credential {
                self.known.invalidate(&*key);
            }
        }
    }
}

impl<T> Known<T> {
    /// Its age when a call arrived at `arrived`.
    #[must_use]
    pub fn age(&self, arrived: Instant) -> Duration {
        arrived.saturating_duration_since(self.read_at.at)
    }

    /// It as it is given to a caller.
    ///
    /// # Errors
    /// It was a refusal.
    pub fn into_answer(self) -> Result<Answer<T>, Error> {
        let read_at = self.read_at;
        self.said.map(|value| Answer { value, read_at })
    }
}

/// In bytes.
fn weight<P: Parameters>(_: &Key<P>, known: &Known<P::Answer>) -> u32 {
    let bytes = match &known.said {
        Ok(answer) => answer.size(),
        Err(_) => 0,
    };
    u32::try_from(bytes + ENTRY_BYTES).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::HeaderValue;

    use super::*;
    use crate::{
        call_id::CallId,
        credentials::{AuthToken, Credentials, FingerprintKey, UserId},
        proto::{Conference, v1::VideoConference},
        route::Info,
    };

    const STALE_FOR: Duration = Duration::from_secs(30);

    fn key(fingerprint: Fingerprint, call_id: &str) -> Key<Info> {
        let call_id = CallId::new(call_id.to_owned(), 256).unwrap();
        Key {
            parameters: Info { call_id },
            fingerprint,
        }
    }

    fn fingerprint() -> Fingerprint {
        let value = || HeaderValue::from_static("mia");
        FingerprintKey::random().fingerprint(&Credentials {
            user_id: UserId::new(value()).unwrap(),
            auth_token: AuthToken::new(value()).unwrap(),
        })
    }

    fn exchange(at: Instant, result: Result<(), Error>) -> Exchange<Conference> {
        let conference = VideoConference {
            id: "x".repeat(500),
            ..VideoConference::default()
        };
        Exchange {
            sent: Some(Moment {
                at,
                wall: SystemTime::now(),
            }),
            head: None,
            result: result.map(|()| Conference::encode(&conference)),
        }
    }

    #[test]
    fn an_entry_weighs_what_its_answer_does_and_its_key() {
        let key = key(fingerprint(), "x");
        let answer = exchange(Instant::now(), Ok(())).result;
        let size = answer.as_ref().expect("an answer").size();
        let known = |said| Known {
            said,
            read_at: Moment::now(),
        };
        let weigh = |said| weight(&key, &known(said)) as usize;
        assert!(size > 500);
        assert_eq!(weigh(answer), size + ENTRY_BYTES);
        assert_eq!(weigh(Err(Error::CallNotFound)), ENTRY_BYTES);
    }

    /// Who has answers is known as long as the answers are, however often they are read anew.
    #[tokio::test(start_paused = true)]
    async fn who_has_answers_is_noted_now_and_then() {
        let answers = Answers::new(1 << 20, STALE_FOR);
        let key = key(fingerprint(), "x");
        let began = Instant::now();
        let noted_after = |wait| {
            let (answers, key) = (&answers, &key);
            async move {
                tokio::time::advance(wait).await;
                answers.keep(key, &exchange(Instant::now(), Ok(())));
                let holder = answers.holders.get(&key.fingerprint);
                holder.expect("a holder").noted_at - began
            }
        };
        let instant = Duration::from_millis(1);
        let just_before = NOTE_EVERY.saturating_sub(instant);
        assert_eq!(noted_after(Duration::ZERO).await, Duration::ZERO);
        assert_eq!(noted_after(just_before).await, Duration::ZERO);
        assert_eq!(noted_after(instant).await, NOTE_EVERY);
    }

    #[test]
    fn memory_is_bounded() {
        let answers = Answers::new(1 << 20, STALE_FOR);
        let (fingerprint, now) = (fingerprint(), Instant::now());
        for number in 0..20_000 {
            let key = key(fingerprint, &number.to_string());
            answers.keep(&key, &exchange(now, Ok(())));
        }
        answers.known.run_pending_tasks();
        assert!(answers.known.weighted_size() <= 1 << 20);
        assert!(answers.known.entry_count() > 500);
    }

    /// An answer that arrives after a 401, but was sent before it, isn't kept.
    #[test]
    fn what_was_read_before_a_rejection_is_not_kept_after_it() {
        let answers = Answers::new(1 << 20, STALE_FOR);
        let (fingerprint, before) = (fingerprint(), Instant::now());
        let (known, late) = (key(fingerprint, "known"), key(fingerprint, "late"));
        answers.keep(&known, &exchange(before, Ok(())));
        let rejected = exchange(Instant::now(), Err(Error::CredentialsRejected));
        answers.keep(&key(fingerprint, "other"), &rejected);
        assert!(answers.get(&known, before).is_none());
        for (sent_after, is_kept) in [(0, false), (1, true)] {
            let holder = answers.holders.get(&fingerprint).expect("a holder");
            let rejected_at = holder.rejected_at.expect("a rejection");
            let sent = rejected_at + Duration::from_nanos(sent_after);
            answers.keep(&late, &exchange(sent, Ok(())));
            assert_eq!(answers.get(&late, sent).is_some(), is_kept);
        }
    }

    /// Reads can overtake each other.
    #[test]
    fn an_older_read_replaces_nothing() {
        let answers = Answers::new(1 << 20, STALE_FOR);
        let key = key(fingerprint(), "x");
        let older = Instant::now();
        let newer = older + Duration::from_secs(1);
        for (first, second) in [
            (Ok(()), Ok(())),
            (Ok(()), Err(Error::CallNotFound)),
            (Err(Error::CallNotFound), Ok(())),
        ] {
            answers.keep(&key, &exchange(newer, first));
            answers.keep(&key, &exchange(older, second));
            let known = answers.get(&key, newer).unwrap();
            assert_eq!(known.read_at.at, newer);
            answers.known.invalidate(&key);
        }
    }
}
