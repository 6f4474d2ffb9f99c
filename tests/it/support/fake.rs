//! A Rocket.Chat without a socket, for rules of time: the source stack before it, on a paused clock.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::HeaderValue;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use videoconf_facade::{
    app,
    call_id::CallId,
    config::Config,
    credentials::{AuthToken, Credentials, FingerprintKey, UserId},
    deadline::{Deadline, Limit},
    error::{Error, Unavailable},
    exchange::{Exchange, Head, Moment, RateLimit},
    lookup::{Allowance, Common, CommonShelf, CommonStanding, Shelves},
    proto::{Conference, v1::VideoConference},
    query::{Attempt, Caller, Key, Query},
    record::Record,
    replicas::{KeyId, Ledger, Reader, Replica, Shelf, TagKey},
    route::{INFO, Info},
    source::{Answer, Lookup, Upstream},
    telemetry::Instruments,
};

use super::config;

/// How long a request or an answer travels.
const WAY: Duration = Duration::from_millis(2);

/// The Rocket.Chat. Clones are the same.
#[derive(Clone)]
pub struct Fake(Arc<Inner>);

struct Inner {
    began: Instant,
    limiter: Mutex<Option<Limiter>>,
    behaviour: Mutex<Behaviour>,
    reads: Mutex<Vec<Read>>,
    in_flight: Mutex<(usize, usize)>,
    hangs: Mutex<Option<(Duration, Duration)>>,
}

/// What it does with a request that its limiter lets through.
pub type Behaviour = Box<dyn FnMut(&Read) -> Said + Send>;

/// What it says, and how long that takes it.
pub struct Said {
    pub after: Duration,
    pub status: u16,
    pub result: Result<Conference, Error>,
    /// Whether the limiter counts the request.
    pub is_limited: bool,
    /// Whether its headers arrive.
    pub is_told: bool,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Read {
    /// Since the beginning.
    pub at: Duration,
    pub user: String,
    pub call_id: String,
    pub was_refused: bool,
}

/// Meteor's: a window begins with the first request that comes more than its length after the last one
/// began.
pub struct Limiter {
    began: Option<Instant>,
    counted: u32,
}

/// The facade's lookup before a fake, and its callers.
pub struct Lookups {
    lookup: Arc<dyn Ask>,
    key: FingerprintKey,
    /// What was told of how the allowance is shared.
    pub standings: Arc<Mutex<Vec<CommonStanding>>>,
    /// What shares the allowance, if it is shared.
    _sharing: Option<AbortOnDropHandle<()>>,
}

/// What a caller heard.
#[derive(Clone, Debug)]
pub struct Heard {
    /// How long the call took.
    pub took: Duration,
    /// How old the answer was at the arrival of the call.
    pub age: Duration,
    /// When it was read, since the beginning of the clock's counting.
    pub answer: Result<Instant, Error>,
}

/// `Lookup<Info>`, as an object.
trait Ask: Send + Sync {
    fn ask(
        self: Arc<Self>,
        query: Query<Info>,
        caller: Caller,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Answer<Conference>, Error>> + Send>>;
}

impl<L: Lookup<Info>> Ask for L {
    fn ask(
        self: Arc<Self>,
        query: Query<Info>,
        caller: Caller,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Answer<Conference>, Error>> + Send>> {
        Box::pin(async move { self.find(&query, &caller).await })
    }
}

/// A conference, after the time that answering takes.
pub fn found() -> Said {
    Said {
        after: Duration::ZERO,
        status: 200,
        result: Ok(Conference::encode(&VideoConference::default())),
        is_limited: true,
        is_told: true,
    }
}

/// A refusal, or what stands for trouble on the way.
pub fn failed(status: u16, error: Error) -> Said {
    Said {
        status,
        result: Err(error),
        ..found()
    }
}

/// A connection that nobody takes.
pub fn down() -> Error {
    Error::UpstreamUnavailable {
        cause: Unavailable::ConnectionRefused,
        retry_after: Duration::from_secs(1),
    }
}

impl Said {
    pub fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }

    /// A proxy takes the headers away.
    pub fn untold(self) -> Self {
        Self {
            is_told: false,
            ..self
        }
    }

    pub fn unlimited(self) -> Self {
        Self {
            is_limited: false,
            ..self
        }
    }
}

impl Fake {
    /// Answers all with conferences, up to 15 in 3 s.
    pub fn limited() -> Self {
        Self::new(Some(Limiter {
            began: None,
            counted: 0,
        }))
    }

    /// Answers all with conferences, however many.
    pub fn unlimited() -> Self {
        Self::new(None)
    }

    fn new(limiter: Option<Limiter>) -> Self {
        Self(Arc::new(Inner {
            began: Instant::now(),
            limiter: Mutex::new(limiter),
            behaviour: Mutex::new(Box::new(|_| found())),
            reads: Mutex::default(),
            in_flight: Mutex::default(),
            hangs: Mutex::default(),
        }))
    }

    /// Does this from now on.
    pub fn behave(&self, behaviour: impl FnMut(&Read) -> Said + Send + 'static) {
        *self.0.behaviour.lock().unwrap() = Box::new(behaviour);
    }

    /// Looks at no request between these moments, and then at all of them at once.
    pub fn hang(&self, from: Duration, to: Duration) {
        *self.0.hangs.lock().unwrap() = Some((from, to));
    }

    /// The requests that have arrived.
    pub fn reads(&self) -> Vec<Read> {
        self.0.reads.lock().unwrap().clone()
    }

    /// How many of them were refused with a 429.
    pub fn refusals(&self) -> usize {
        self.reads().iter().filter(|read| read.was_refused).count()
    }

    /// The most requests under way at a time.
    pub fn most_in_flight(&self) -> usize {
        self.0.in_flight.lock().unwrap().1
    }

    /// Since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.0.began.elapsed()
    }

    /// Another client at the same address sends a request.
    pub fn count_neighbour(&self) -> bool {
        let mut limiter = self.0.limiter.lock().unwrap();
        limiter.as_mut().is_none_or(|it| it.count().0)
    }

    fn arrive(&self, query: &Query<Info>) -> (Said, Option<RateLimit>) {
        let user = query.credentials.user_id.expose().to_str().unwrap();
        let mut read = Read {
            at: self.elapsed(),
            user: user.to_owned(),
            call_id: query.key.parameters.call_id.as_str().to_owned(),
            was_refused: false,
        };
        let mut said = (self.0.behaviour.lock().unwrap())(&read);
        let mut limiter = self.0.limiter.lock().unwrap();
        let mut rate_limit = None;
        let is_counted = said.is_limited && said.status != 0;
        if let Some(limiter) = limiter.as_mut().filter(|_| is_counted) {
            let (is_in, told) = limiter.count();
            rate_limit = said.is_told.then_some(told);
            if !is_in {
                read.was_refused = true;
                said = failed(
                    429,
                    Error::UpstreamRateLimited {
                        route: &INFO,
                        retry_after: told.resets_after.unwrap(),
                        limit: Some(15),
                    },
                );
            }
        }
        self.0.reads.lock().unwrap().push(read);
        (said, rate_limit)
    }
}

impl Limiter {
    fn count(&mut self) -> (bool, RateLimit) {
        const SPAN: Duration = Duration::from_secs(3);
        let now = Instant::now();
        let began = self.began.filter(|began| now - *began <= SPAN);
        if began.is_none() {
            self.counted = 0;
        }
        let began = *self.began.insert(began.unwrap_or(now));
        self.counted += 1;
        let left = (began + SPAN).saturating_duration_since(now);
        let rate_limit = RateLimit {
            limit: Some(15),
            remaining: Some(15_u32.saturating_sub(self.counted)),
            reset: Some(unix_millis(began + SPAN)),
            // As `Date` has no parts of seconds.
            resets_after: Some(left + Duration::from_millis(unix_millis(now) % 1000)),
        };
        (self.counted <= 15, rate_limit)
    }
}

/// A clock that begins somewhere.
fn unix_millis(now: Instant) -> u64 {
    thread_local! {
        static BEGIN: Instant = Instant::now();
    }
    let since = BEGIN.with(|begin| now.saturating_duration_since(*begin));
    u64::try_from(since.as_millis()).unwrap() + 1_795_428_000_123
}

/// Counts a request while it is under way.
struct InFlight<'a>(&'a Inner);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.lock().unwrap().0 -= 1;
    }
}

impl Upstream<Info> for Fake {
    async fn ask(&self, query: &Query<Info>, attempt: &Attempt) -> Exchange<Conference> {
        let sent = Moment::now();
        let _in_flight = {
            let mut in_flight = self.0.in_flight.lock().unwrap();
            in_flight.0 += 1;
            in_flight.1 = in_flight.1.max(in_flight.0);
            InFlight(&self.0)
        };
        sleep(WAY).await;
        let hangs = *self.0.hangs.lock().unwrap();
        let hangs = hangs.filter(|(from, to)| (*from..*to).contains(&self.elapsed()));
        if let Some((_, to)) = hangs {
            sleep_until(self.0.began + to).await;
        }
        let (said, rate_limit) = self.arrive(query);
        sleep(WAY + said.after).await;
        if said.result.as_ref().is_err_and(|error| *error == down()) {
            return Exchange::unanswered(down());
        }
        let head = Head {
            status: said.status,
            rate_limit,
            retry_after: None,
        };
        attempt.journal.answered(head);
        Exchange {
            sent: Some(sent),
            head: Some(head),
            result: said.result,
        }
    }
}

impl Lookups {
    /// The whole source stack before `fake`, with these flags of `serve`.
    pub fn before(fake: &Fake, flags: &[&str]) -> Self {
        let config = configured(flags);
        let allowance = Allowance::new(config.allowance, None);
        let shelves = Shelves::own(app::answers(&config));
        Self::with(
            fake,
            &config,
            (allowance, shelves),
            FingerprintKey::random(),
        )
    }

    /// One of the replicas before `fake` that share its allowance by a ledger, what they read by a shelf, and make
    /// fingerprints with `key`.
    pub fn replica(
        fake: &Fake,
        me: Replica,
        (ledger, reader): (impl Ledger, impl Reader),
        shelf: impl Shelf,
        key: &FingerprintKey,
    ) -> Self {
        let config = configured(&[]);
        let common = Common {
            me,
            ledger: Arc::new(ledger),
            tags: TagKey::new(&[0; 32]),
            key: KeyId(0),
            longest_read: config.request_timeout + Duration::from_secs(1),
        };
        let allowance = Allowance::new(config.allowance, Some(common));
        let shelves = Shelves {
            answers: app::answers(&config),
            common: Some(CommonShelf {
                shelf: Arc::new(shelf),
                allowance: allowance.clone(),
            }),
        };
        let answers = shelves.answers.clone();
        let lookups = Self::with(fake, &config, (allowance.clone(), shelves), key.clone());
        let rejected = move |credential| answers.forget(credential);
        let standings = Arc::new(Mutex::new(Vec::new()));
        let told = standings.clone();
        let tell = move |standing| told.lock().unwrap().push(standing);
        let sharing = async move { allowance.share(reader, rejected, tell).await };
        Self {
            standings,
            _sharing: Some(AbortOnDropHandle::new(tokio::spawn(sharing))),
            ..lookups
        }
    }

    fn with(
        fake: &Fake,
        config: &Config,
        (allowance, shelves): (Allowance, Shelves<Info>),
        key: FingerprintKey,
    ) -> Self {
        let instruments = Instruments::off();
        let lookup = app::lookup(fake.clone(), config, &instruments, allowance, shelves);
        Self {
            lookup: Arc::new(lookup),
            key,
            standings: Arc::default(),
            _sharing: None,
        }
    }

    /// A caller asks, with a deadline in two seconds.
    pub async fn ask(&self, user: &str, call_id: &str) -> Heard {
        self.ask_for(user, call_id, None, Duration::from_secs(2))
            .await
    }

    /// A caller asks for an answer of at most this age, with this time.
    pub async fn ask_for(
        &self,
        user: &str,
        call_id: &str,
        max_age: Option<Duration>,
        timeout: Duration,
    ) -> Heard {
        let arrived = Instant::now();
        let deadline = Deadline {
            at: arrived + timeout,
            limit: Limit::Caller,
        };
        let caller = Caller {
            arrived,
            max_age,
            deadline,
            record: Record::begin(arrived),
        };
        let answer = Arc::clone(&self.lookup).ask(self.query(user, call_id), caller);
        // As the request stack ends it.
        let answer = tokio::select! {
            biased;
            answer = answer => answer,
            () = sleep_until(deadline.at) => Err(Error::DeadlineExceeded(deadline.limit)),
        };
        let answer = answer.map(|answer| answer.read_at.at);
        Heard {
            took: arrived.elapsed(),
            age: answer
                .as_ref()
                .map_or(Duration::ZERO, |at| arrived.saturating_duration_since(*at)),
            answer,
        }
    }

    fn query(&self, user: &str, call_id: &str) -> Query<Info> {
        let credentials = Credentials {
            user_id: UserId::new(HeaderValue::from_str(user).unwrap()).unwrap(),
            auth_token: AuthToken::new(HeaderValue::from_str(user).unwrap()).unwrap(),
        };
        Query {
            key: Key {
                parameters: Info {
                    call_id: CallId::new(call_id.to_owned(), 256).unwrap(),
                },
                fingerprint: self.key.fingerprint(&credentials),
            },
            credentials,
        }
    }
}

fn configured(flags: &[&str]) -> Config {
    config(&[&["--upstream-url", "http://unused"], flags].concat())
}

impl Heard {
    /// When a refused caller should come again.
    pub fn retry_after(&self) -> Option<Duration> {
        match &self.answer {
            Err(Error::BudgetExhausted { retry_after, .. }) => Some(*retry_after),
            _ => None,
        }
    }
}

/// How many there are of each.
pub fn counts<T: Eq + std::hash::Hash>(all: impl IntoIterator<Item = T>) -> HashMap<T, usize> {
    let mut counts = HashMap::new();
    for it in all {
        *counts.entry(it).or_default() += 1;
    }
    counts
}
