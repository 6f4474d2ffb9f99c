//! The ledger as a stream, whose order and time are the store's.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, LazyLock},
    time::Duration,
};

use async_trait::async_trait;
use redis::{
    AsyncCommands, ErrorKind, FromRedisValue, RedisResult, Script,
    aio::MultiplexedConnection,
    streams::{StreamId, StreamMaxlen, StreamRangeReply, StreamReadOptions, StreamReadReply},
};
use tokio::time::{Instant, sleep_until};

use super::{
    entries,
    link::{Clock, Link, WAITING},
};
use crate::{
    metrics::Operations,
    replicas::{
        Begun, Entry, Event, KeyId, Ledger, News, Position, Reader, Replica, Unreachable, Waits,
    },
};

/// How many entries are kept, or a few more. A replica that is new reads them.
const MAX_ENTRIES: usize = 10_000;

/// For how long they are kept when nobody writes any more.
const KEPT_FOR: Duration = Duration::from_mins(10);

/// How far back a replica reads that is new.
const HISTORY: Duration = Duration::from_mins(1);

/// What stands there for a time that is so far to come was written by somebody else.
const FUTURE: Duration = Duration::from_mins(1);

/// How many entries are read at a time.
const BATCH: usize = 1000;

/// Between two tries to get there.
const RETRY_EVERY: Duration = Duration::from_millis(400);

/// Begins a read unless somebody else was first. KEYS: the ledger; ARGV: the last position that is known, who
/// begins it, what it reads, what it takes, how many entries are kept, and its fields.
static BEGIN: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+')) do
          local fields = {}
          for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
          if fields.kind == 'begun' and fields.by ~= ARGV[2] then
            local counts = fields.takes == 'one' or fields.takes == 'one-for-a-stranger'
            if counts and ARGV[4] ~= 'nothing' or fields.tag == ARGV[3] then return false end
          end
        end
        return redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[5], '*', unpack(ARGV, 6))
        ",
    )
});

/// The ledger, as it is written.
pub struct Written {
    link: Arc<Link>,
    key: String,
    me: Replica,
}

/// The ledger, as it is read.
pub struct Read {
    link: Arc<Link>,
    key: String,
    me: Replica,
    secret: KeyId,
    operations: Operations,
    last: Position,
    unread: VecDeque<Entry>,
    state: State,
    /// Whether it was told that there is no way, since there was one.
    was_told: bool,
}

enum State {
    /// There is no way to it, and another one is looked for then.
    Away(Instant),
    Reading(Reading),
}

struct Reading {
    connection: MultiplexedConnection,
    /// Whether that it can be reached was told.
    is_told: bool,
}

impl Written {
    pub(super) fn new(link: Arc<Link>, key: String, me: Replica) -> Self {
        Self { link, key, me }
    }

    /// What was written stands behind what had been `read`. If it doesn't, the ledger has begun anew, and is read anew.
    fn follows(&self, position: Position, read: Position) -> Result<(), Unreachable> {
        if position > read {
            return Ok(());
        }
        let problem = "the ledger has begun anew";
        self.link.lose(&(ErrorKind::Client, problem).into());
        Err(Unreachable)
    }
}

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Read")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Written")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Ledger for Written {
    async fn note(&self, events: &[Event]) -> Result<(), Unreachable> {
        let pipeline = writing(&self.key, self.me, events);
        let read = self.link.newest();
        let written = self.link.write("XADD", |connection| {
            Box::pin(async move { pipeline.query_async::<Vec<Position>>(connection).await })
        });
        let written = written.await.ok_or(Unreachable)?;
        written
            .into_iter()
            .try_for_each(|it| self.follows(it, read))
    }

    async fn begin(&self, begun: &Begun, seen: Position) -> Result<Option<Position>, Unreachable> {
        let fields = entries::fields(self.me, &Event::Begun(*begun));
        let mut script = BEGIN.prepare_invoke();
        script.key(&self.key).arg(seen.to_string());
        // As they stand among its fields.
        for name in ["by", "tag", "takes"] {
            let field = fields.iter().find(|(it, _)| *it == name);
            script.arg(field.map(|(_, text)| text));
        }
        script.arg(MAX_ENTRIES);
        for (name, text) in &fields {
            script.arg(*name).arg(text);
        }
        let read = self.link.newest();
        let beginning = self.link.write("EVALSHA", |connection| {
            Box::pin(async move { script.invoke_async::<Option<Position>>(connection).await })
        });
        let begun = beginning.await.ok_or(Unreachable)?;
        begun.map_or(Ok(()), |it| self.follows(it, read))?;
        Ok(begun)
    }
}

/// Adds these events.
fn writing(key: &str, me: Replica, events: &[Event]) -> redis::Pipeline {
    let mut pipeline = redis::pipe();
    for event in events {
        let fields = entries::fields(me, event);
        pipeline.xadd_maxlen(key, StreamMaxlen::Approx(MAX_ENTRIES), "*", &fields);
    }
    let kept_for = i64::try_from(KEPT_FOR.as_secs()).unwrap_or(i64::MAX);
    pipeline.expire(key, kept_for).ignore();
    pipeline
}

impl Read {
    pub(super) fn new(
        link: Arc<Link>,
        key: String,
        me: Replica,
        secret: KeyId,
        operations: Operations,
    ) -> Self {
        Self {
            link,
            key,
            me,
            secret,
            operations,
            was_told: false,
            last: Position::default(),
            unread: VecDeque::new(),
            state: State::Away(Instant::now()),
        }
    }

    /// Gets there, and reads what there is.
    async fn arrive(&mut self) -> RedisResult<()> {
        let mut connection = self.link.connect().await?;
        self.clear(&mut connection).await?;
        // That it can be written, too.
        let alive = [Event::Alive(Waits::default(), self.secret)];
        let written: Vec<Position> = writing(&self.key, self.me, &alive)
            .query_async(&mut connection)
            .await?;
        let newest = written.first().copied().unwrap_or_default();
        let is_anew = newest <= self.last;
        if self.last == Position::default() || is_anew {
            let history = u64::try_from(HISTORY.as_millis()).unwrap_or(u64::MAX);
            self.last = Position(newest.0.saturating_sub(history), 0);
            self.link.set_newest(self.last);
        }
        let all = StreamReadOptions::default;
        while self.read(&mut connection, all()).await? == BATCH {}
        self.state = State::Reading(Reading {
            connection,
            is_told: false,
        });
        Ok(())
    }

    /// Makes room for it, should something else have its name.
    async fn clear(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let kind: String = connection.key_type(&self.key).await?;
        let is_ours = match &*kind {
            "none" => true,
            "stream" => {
                let last: StreamRangeReply =
                    connection.xrevrange_count(&self.key, "+", "-", 1).await?;
                let last = last.ids.first().and_then(|it| Position::parse(&it.id));
                let now = self.link.clock().map(|it| it.now()).unwrap_or_default();
                last.is_none_or(|last| Duration::from_millis(last.0) <= now + FUTURE)
            }
            _ => false,
        };
        if !is_ours {
            self.operations.unreadable();
            connection.del::<_, ()>(&self.key).await?;
        }
        Ok(())
    }

    /// Reads some of what stands behind what was read: how many entries.
    async fn read(
        &mut self,
        connection: &mut MultiplexedConnection,
        options: StreamReadOptions,
    ) -> RedisResult<usize> {
        let options = options.count(BATCH);
        let last = self.last.to_string();
        let reply: Option<StreamReadReply> = connection
            .xread_options(&[&self.key], &[last], &options)
            .await?;
        let read = reply
            .into_iter()
            .flat_map(|it| it.keys)
            .flat_map(|it| it.ids);
        let mut count = 0;
        let clock = self.link.clock();
        for entry in read {
            count += 1;
            self.take(&entry, clock);
        }
        Ok(count)
    }

    fn take(&mut self, entry: &StreamId, clock: Option<Clock>) {
        let Some(position) = Position::parse(&entry.id) else {
            return;
        };
        self.last = position;
        self.link.set_newest(position);
        let text = |value| FromRedisValue::from_redis_value_ref(value).ok();
        let fields: HashMap<String, String> = entry
            .map
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), text(value)?)))
            .collect();
        let Some((by, event)) = entries::event(&fields) else {
            self.operations.unreadable();
            return;
        };
        let at = clock.map(|it| it.moment(Duration::from_millis(position.0)));
        self.unread.push_back(Entry {
            position,
            by,
            at: at.unwrap_or_else(Instant::now),
            event,
        });
    }

    /// There is no way to it any more.
    fn leave(&mut self) {
        self.state = State::Away(Instant::now() + RETRY_EVERY);
    }
}

impl Reader for Read {
    async fn next(&mut self) -> News {
        loop {
            if let Some(entry) = self.unread.pop_front() {
                return News::Entry(entry);
            }
            match &mut self.state {
                State::Away(until) => {
                    sleep_until(*until).await;
                    if let Err(error) = self.arrive().await {
                        self.link.lose(&error);
                        self.leave();
                        if !self.was_told {
                            self.was_told = true;
                            return News::Unreachable(error.to_string());
                        }
                    }
                }
                State::Reading(reading) if !reading.is_told => {
                    reading.is_told = true;
                    self.was_told = false;
                    return News::Reachable;
                }
                State::Reading(reading) => {
                    let mut connection = reading.connection.clone();
                    let link = self.link.clone();
                    let waiting = usize::try_from(WAITING.as_millis()).unwrap_or(usize::MAX);
                    let options = StreamReadOptions::default().block(waiting);
                    link.synchronize().await;
                    tokio::select! {
                        biased;
                        why = link.lost() => {
                            self.was_told = true;
                            self.leave();
                            return News::Unreachable(why);
                        }
                        read = self.read(&mut connection, options) => {
                            if let Err(error) = read {
                                link.lose(&error);
                            }
                        }
                    }
                }
            }
        }
    }
}

impl Position {
    fn parse(text: &str) -> Option<Self> {
        let (millis, number) = text.split_once('-')?;
        Some(Self(millis.parse().ok()?, number.parse().ok()?))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

impl FromRedisValue for Position {
    fn from_redis_value(value: redis::Value) -> Result<Self, redis::ParsingError> {
        let text = String::from_redis_value(value)?;
        Self::parse(&text).ok_or_else(|| "not the id of an entry".into())
    }
}
