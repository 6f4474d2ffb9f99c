//! What a read is wanted for, and how far it has got: what joins those who wait for it to whatever
//! makes it wait.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::sync::{select, sleep_until, watch};

/// The claim of those who want one read. Clones share it.
#[derive(Clone, Debug)]
pub struct Claim(Arc<watch::Sender<State>>);

/// Somebody who wants the read, and sees how far it gets.
#[derive(Debug)]
pub struct Watching {
    claim: Claim,
    states: watch::Receiver<State>,
    /// Whether it is wanted only as long as this isn't dropped.
    waits: bool,
}

/// How far a read has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nobody has looked at it yet.
    Begun,
    /// It waits for its turn.
    Queued(Turn),
    /// It was sent at this moment.
    Sent(Instant),
    /// Nobody wanted it any more before it was sent, so it never will be.
    Dropped,
}

/// A guess of when a read will be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// When its turn comes.
    pub at: Instant,
    /// When somebody whom that is too late should come again.
    pub come_again_at: Instant,
    /// What it waits for.
    pub cause: Cause,
}

/// What makes a read wait for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Rocket.Chat's limit.
    Limit,
    /// The bound on reads under way.
    ReadsInFlight,
}

/// How urgent a read is; the most urgent one is the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Callers have waited since then, with nothing to show.
    Callers(Instant),
    /// The answer that is known was read then.
    Refresh(Instant),
    /// So was this one, which will hardly change any more.
    FinalRefresh(Instant),
}

/// An answer that is known and should be read anew.
#[derive(Clone, Copy, Debug)]
pub struct Refresh {
    /// When the known answer was read.
    pub read_at: Instant,
    /// Whether it will hardly change any more.
    pub is_final: bool,
    /// Until when the known answer is of any use. A read that wasn't sent by then, and that nobody
    /// waits for, isn't wanted any more.
    pub until: Instant,
}

/// How long it takes from a turn to the request, on a machine that is busy.
const GRANTING: Duration = Duration::from_millis(30);

#[derive(Debug)]
struct State {
    stage: Stage,
    /// How many callers wait, and since when there are any.
    waiting: usize,
    since: Instant,
    /// The latest deadline of all callers.
    deadline: Option<Instant>,
    /// The strictest wish of all callers: what was read before that won't do.
    not_before: Option<Instant>,
    refresh: Option<Refresh>,
}

impl State {
    fn rank(&self, now: Instant) -> Option<Rank> {
        if self.waiting > 0 && self.deadline > Some(now) {
            return Some(Rank::Callers(self.since));
        }
        let refresh = self.refresh.filter(|refresh| refresh.until > now)?;
        Some(if refresh.is_final {
            Rank::FinalRefresh(refresh.read_at)
        } else {
            Rank::Refresh(refresh.read_at)
        })
    }
}

impl Turn {
    /// Whether it comes at once. If it was to have come and didn't, nobody knows when it will.
    #[must_use]
    pub fn is_due(&self) -> bool {
        let now = Instant::now();
        self.at <= now && now <= self.at + GRANTING
    }
}

impl Claim {
    /// The claim on a read that nobody wants yet.
    #[must_use]
    pub fn new() -> Self {
        let (states, _) = watch::channel(State {
            stage: Stage::Begun,
            waiting: 0,
            since: Instant::now(),
            deadline: None,
            not_before: None,
            refresh: None,
        });
        Self(Arc::new(states))
    }

    /// One more caller waits, until `deadline` at the latest, for an answer that wasn't read before `not_before`.
    /// `None` if the read was dropped.
    #[must_use]
    pub fn wait(&self, deadline: Instant, not_before: Option<Instant>) -> Option<Watching> {
        let is_in_time = self.change_unless_dropped(|state| {
            let is_first = state.waiting == 0;
            if is_first {
                state.since = Instant::now();
            }
            state.waiting += 1;
            state.deadline = state.deadline.max(Some(deadline));
            state.not_before = state.not_before.max(not_before);
            // It is more urgent now, so what was guessed before doesn't hold.
            let is_guessed = matches!(state.stage, Stage::Queued(_));
            if is_first && is_guessed {
                state.stage = Stage::Begun;
            }
            is_first && is_guessed
        });
        is_in_time.then(|| self.watch(true))
    }

    /// What is known should be read anew, however long somebody watches that. `None` if the read was
    /// dropped.
    #[must_use]
    pub fn refresh(&self, refresh: Refresh) -> Option<Watching> {
        let is_in_time = self.change_unless_dropped(|state| {
            state.refresh = Some(refresh);
            false
        });
        is_in_time.then(|| self.watch(false))
    }

    /// The read waits for `turn`.
    pub fn queued(&self, turn: Turn) {
        self.set_stage(Stage::Queued(turn));
    }

    /// The read is to be sent now. False if nobody wants it any more, or not for any longer: then it is
    /// dropped, unless it was sent once already.
    #[must_use]
    pub fn send(&self, now: Instant) -> bool {
        let mut is_sent = false;
        self.0.send_modify(|state| {
            is_sent = state.rank(now).is_some() || matches!(state.stage, Stage::Sent(_));
            state.stage = if is_sent {
                Stage::Sent(now)
            } else {
                Stage::Dropped
            };
        });
        is_sent
    }

    /// An answer was read at `read_at` by somebody else. If that is good enough for all who wait, it is as if this
    /// read had been sent then; false if it isn't.
    #[must_use]
    pub fn accept(&self, read_at: Instant) -> bool {
        let mut is_accepted = false;
        self.0.send_if_modified(|state| {
            is_accepted = state.stage != Stage::Dropped
                && state.not_before.is_none_or(|limit| limit <= read_at)
                && state.refresh.is_none_or(|known| known.read_at < read_at);
            if is_accepted {
                state.stage = Stage::Sent(read_at);
            }
            is_accepted
        });
        is_accepted
    }

    /// How far the read has got.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.0.borrow().stage
    }

    /// How urgent the read is; `None` if nobody wants it, or not for any longer.
    #[must_use]
    pub fn rank(&self, now: Instant) -> Option<Rank> {
        self.0.borrow().rank(now)
    }

    /// When the last of those who wait gives up; `None` if nobody waits.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let state = self.0.borrow();
        state.deadline.filter(|_| state.waiting > 0)
    }

    /// Whether this is another handle of the same claim.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Waits until the read needs another guess of its turn, since it has become more urgent.
    pub async fn needs_guess(&self) {
        let mut states = self.0.subscribe();
        // Fails only if there is no claim any more, and `self` is one.
        let _ = states.wait_for(|state| state.stage == Stage::Begun).await;
    }

    /// Waits until nobody wants the read any more, unless it has been sent, and drops it then.
    pub async fn dropped(&self) {
        let mut states = self.0.subscribe();
        loop {
            let until = {
                let state = states.borrow_and_update();
                let is_out = matches!(state.stage, Stage::Sent(_));
                let refresh = state.refresh.map(|refresh| refresh.until);
                refresh.filter(|_| !is_out && state.waiting == 0)
            };
            if self.drop_if_unwanted(Instant::now()) {
                return;
            }
            let expired = async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            select! {
                biased;
                // Fails only if there is no claim any more, and `self` is one.
                _ = states.changed() => {}
                () = expired => {}
            }
        }
    }

    fn drop_if_unwanted(&self, now: Instant) -> bool {
        self.0.send_if_modified(|state| {
            let is_wanted = state.waiting > 0
                || state.refresh.is_some_and(|refresh| refresh.until > now)
                || matches!(state.stage, Stage::Sent(_));
            if !is_wanted {
                state.stage = Stage::Dropped;
            }
            !is_wanted
        })
    }

    fn watch(&self, waits: bool) -> Watching {
        Watching {
            claim: self.clone(),
            states: self.0.subscribe(),
            waits,
        }
    }

    fn set_stage(&self, stage: Stage) {
        self.0.send_modify(|state| state.stage = stage);
    }

    /// Makes a change, which says whether anybody needs to hear of it.
    fn change_unless_dropped(&self, change: impl FnOnce(&mut State) -> bool) -> bool {
        let mut is_in_time = false;
        self.0.send_if_modified(|state| {
            is_in_time = state.stage != Stage::Dropped;
            is_in_time && change(state)
        });
        is_in_time
    }
}

impl Watching {
    /// How far the read has got.
    #[must_use]
    pub fn stage(&mut self) -> Stage {
        self.states.borrow_and_update().stage
    }

    /// Waits until it has got further than it last was seen.
    pub async fn changed(&mut self) {
        // Fails only if there is no claim any more, and `self` has one.
        let _ = self.states.changed().await;
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if self.waits {
            self.claim.0.send_if_modified(|state| {
                state.waiting -= 1;
                state.waiting == 0
            });
        }
    }
}

impl Default for Claim {
    fn default() -> Self {
        Self::new()
    }
}
