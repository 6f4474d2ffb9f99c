//! Whose turn it is. Credentials take turns; those that were never accepted share one turn among
//! them, since anybody can make up as many as they like. Whose read is most urgent within one is
//! told by its claim.

use std::collections::{BTreeMap, HashMap};

use tokio::time::Instant;

use crate::{claim::Claim, credentials::Fingerprint, replicas::Tag, sync::oneshot};

/// The most reads that wait. There are as many as there are known answers that grow old, and a few
/// that callers wait for; beyond this something is odd.
const MAX_LENGTH: usize = 10_000;

/// How many turns are remembered of those who don't wait here.
const SERVED: usize = 64;

/// The reads that wait for a turn, and who had the last ones. Each is handed a `G`.
#[derive(Debug)]
pub(super) struct Queue<G> {
    places: BTreeMap<Place, Waiting<G>>,
    last_place: u64,
    /// Who had a turn, and the number of the last one.
    served: HashMap<Taker, u64>,
    turns: u64,
}

/// A place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(u64);

/// A read that waits.
#[derive(Debug)]
pub(super) struct Waiting<G> {
    pub credential: Fingerprint,
    /// Stands for what is read, where replicas are told.
    pub tag: Option<Tag>,
    pub claim: Claim,
    pub grant: oneshot::Sender<G>,
    /// Whether its callers hear that it is too late for them, and leave.
    pub is_hopeless: bool,
}

/// Those who take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Taker {
    Accepted(Fingerprint),
    Strangers,
}

impl<G> Queue<G> {
    pub(super) fn new() -> Self {
        Self {
            places: BTreeMap::new(),
            last_place: 0,
            served: HashMap::new(),
            turns: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// `None` if it is full.
    pub(super) fn add(&mut self, waiting: Waiting<G>) -> Option<Place> {
        if self.places.len() >= MAX_LENGTH {
            return None;
        }
        self.last_place += 1;
        let place = Place(self.last_place);
        self.places.insert(place, waiting);
        Some(place)
    }

    pub(super) fn set_hopeless(&mut self, place: Place, is_hopeless: bool) {
        if let Some(waiting) = self.places.get_mut(&place) {
            waiting.is_hopeless = is_hopeless;
        }
    }

    pub(super) fn remove(&mut self, place: Place) {
        self.places.remove(&place);
    }

    /// All reads of `credential`, and where they are.
    pub(super) fn all_of(&self, credential: Fingerprint) -> Vec<(Place, Claim)> {
        let places = self.places.iter();
        let theirs = places.filter(|(_, waiting)| waiting.credential == credential);
        let theirs = theirs.map(|(place, waiting)| (*place, waiting.claim.clone()));
        theirs.collect()
    }

    /// The place whose turn decides on the read at `place`: for a stranger, the first one with the same
    /// credential.
    pub(super) fn decisive(
        &self,
        place: Place,
        is_accepted: impl Fn(Fingerprint) -> bool,
    ) -> Place {
        let Some(mine) = self.places.get(&place) else {
            return place;
        };
        if is_accepted(mine.credential) {
            return place;
        }
        let is_mine = |(_, waiting): &(&Place, &Waiting<G>)| waiting.credential == mine.credential;
        self.places
            .iter()
            .find(is_mine)
            .map_or(place, |(it, _)| *it)
    }

    /// Takes out all reads of `credential`.
    pub(super) fn take_all_of(&mut self, credential: Fingerprint) -> Vec<Waiting<G>> {
        let is_theirs = |_: &Place, waiting: &mut Waiting<G>| waiting.credential == credential;
        let taken = self.places.extract_if(.., is_theirs);
        taken.map(|(_, waiting)| waiting).collect()
    }

    /// The read whose turn is next; strangers' only if it is said that they may.
    pub(super) fn next(
        &self,
        now: Instant,
        is_accepted: impl Fn(Fingerprint) -> bool,
        may_strangers: bool,
    ) -> Option<(Place, Fingerprint)> {
        let order = |place: Place, waiting: &Waiting<G>| {
            let taker = taker(waiting.credential, &is_accepted);
            let rank = waiting.claim.rank(now)?;
            let may = may_strangers || taker != Taker::Strangers;
            let order = (self.served.get(&taker).copied(), rank, place);
            may.then_some((order, waiting.credential))
        };
        let ordered = self.places.iter();
        let ((_, _, place), credential) = ordered
            .filter_map(|(place, waiting)| order(*place, waiting))
            .min_by_key(|(order, _)| *order)?;
        Some((place, credential))
    }

    /// Takes out the read at `place`.
    pub(super) fn take(&mut self, place: Place) -> Option<Waiting<G>> {
        self.places.remove(&place)
    }

    /// Puts a read back that had no turn after all.
    pub(super) fn put_back(&mut self, place: Place, waiting: Waiting<G>) {
        self.places.insert(place, waiting);
    }

    /// A read with `credential` has its turn, here or at a replica.
    pub(super) fn serve(
        &mut self,
        credential: Fingerprint,
        is_accepted: impl Fn(Fingerprint) -> bool,
    ) {
        self.turns += 1;
        let taker = taker(credential, &is_accepted);
        self.served.insert(taker, self.turns);
        self.forget_the_served(is_accepted);
    }

    /// When those with `credential` had their last turn, among all turns.
    pub(super) fn last_turn(
        &self,
        credential: Fingerprint,
        is_accepted: impl Fn(Fingerprint) -> bool,
    ) -> Option<u64> {
        self.served.get(&taker(credential, is_accepted)).copied()
    }

    /// How many turns are others' before that of the read at `place`.
    pub(super) fn ahead_of(
        &self,
        place: Place,
        now: Instant,
        is_accepted: impl Fn(Fingerprint) -> bool,
    ) -> usize {
        let Some(mine) = self.places.get(&place) else {
            return 0;
        };
        let my_taker = taker(mine.credential, &is_accepted);
        let my_order = (mine.claim.rank(now), place);
        let my_last = self.served.get(&my_taker);
        let mut before_me = 0;
        let mut of_others = HashMap::<Taker, usize>::new();
        for (place, waiting) in &self.places {
            let rank = waiting.claim.rank(now);
            let taker = taker(waiting.credential, &is_accepted);
            if rank.is_none() || waiting.is_hopeless {
                continue;
            }
            if taker != my_taker {
                *of_others.entry(taker).or_default() += 1;
            } else if (rank, *place) < my_order {
                before_me += 1;
            }
        }
        let of_others = of_others.iter().map(|(taker, waiting)| {
            let is_before = self.served.get(taker) < my_last;
            // One for each of my own turns, and one more for who comes before me.
            (before_me + usize::from(is_before)).min(*waiting)
        });
        before_me + of_others.sum::<usize>()
    }

    /// Who hasn't been waiting for a while starts anew, at the front.
    fn forget_the_served(&mut self, is_accepted: impl Fn(Fingerprint) -> bool) {
        if self.served.len() <= 2 * self.places.len() + 2 * SERVED {
            return;
        }
        let waiting = self.places.values();
        let waiting: Vec<_> = waiting
            .map(|waiting| taker(waiting.credential, &is_accepted))
            .collect();
        let long_ago = self.turns.saturating_sub(SERVED as u64);
        self.served
            .retain(|taker, turn| *turn > long_ago || waiting.contains(taker));
    }
}

fn taker(credential: Fingerprint, is_accepted: impl Fn(Fingerprint) -> bool) -> Taker {
    if is_accepted(credential) {
        Taker::Accepted(credential)
    } else {
        Taker::Strangers
    }
}

#[cfg(test)]
mod tests;
