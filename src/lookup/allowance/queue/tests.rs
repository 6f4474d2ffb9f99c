use std::time::Duration;

use http::HeaderValue;

use super::*;
use crate::{
    claim::{Refresh, Watching},
    credentials::{AuthToken, Credentials, FingerprintKey, UserId},
};

/// A queue of named reads.
struct Reads {
    queue: Queue<()>,
    key: FingerprintKey,
    start: Instant,
    /// Reads are wanted as long as these are there.
    wanted: Vec<(Watching, oneshot::Receiver<()>)>,
    names: Vec<(Claim, String)>,
}

impl Reads {
    fn new() -> Self {
        Self {
            queue: Queue::new(),
            key: FingerprintKey::random(),
            start: Instant::now(),
            wanted: Vec::new(),
            names: Vec::new(),
        }
    }

    fn credential(&self, user: &str) -> Fingerprint {
        let value = || HeaderValue::from_str(user).unwrap();
        self.key.fingerprint(&Credentials {
            user_id: UserId::new(value()).unwrap(),
            auth_token: AuthToken::new(value()).unwrap(),
        })
    }

    fn add(&mut self, user: &str, name: &str, want: impl Fn(&Claim) -> Watching) -> Place {
        let (grant, granted) = oneshot::channel();
        let claim = Claim::new();
        self.wanted.push((want(&claim), granted));
        self.names.push((claim.clone(), format!("{user}-{name}")));
        let waiting = Waiting {
            credential: self.credential(user),
            tag: None,
            claim,
            grant,
            is_hopeless: false,
        };
        self.queue.add(waiting).expect("room")
    }

    /// A read that a caller waits for.
    fn caller(&mut self, user: &str, name: &str) -> Place {
        let deadline = self.start + Duration::from_secs(2);
        self.add(user, name, |claim| claim.wait(deadline, None).unwrap())
    }

    /// A read in place of an answer of this age, in seconds.
    fn refresh(&mut self, user: &str, name: &str, age: u64, is_final: bool) -> Place {
        let refresh = Refresh {
            read_at: self.start - Duration::from_secs(age),
            is_final,
            until: self.start + Duration::from_secs(30),
        };
        self.add(user, name, |claim| claim.refresh(refresh).unwrap())
    }

    /// Hands out all turns; users with an `x` are strangers.
    fn order(&mut self, may_strangers: bool) -> Vec<String> {
        let strangers: Vec<_> = (0..9).map(|n| self.credential(&format!("x{n}"))).collect();
        let is_accepted = |credential| !strangers.contains(&credential);
        let mut order = Vec::new();
        while let Some((place, credential)) =
            self.queue.next(self.start, is_accepted, may_strangers)
        {
            let next = self.queue.take(place).expect("a read");
            self.queue.serve(credential, is_accepted);
            let named = self.names.iter().find(|(claim, _)| claim.is(&next.claim));
            order.push(named.unwrap().1.clone());
        }
        order
    }
}

#[test]
fn callers_come_before_refreshes_and_the_stalest_first() {
    let mut reads = Reads::new();
    reads.refresh("mia", "ended", 20, true);
    reads.refresh("mia", "young", 2, false);
    reads.refresh("mia", "old", 9, false);
    reads.caller("mia", "first");
    reads.caller("mia", "second");
    assert_eq!(
        reads.order(true),
        [
            "mia-first",
            "mia-second",
            "mia-old",
            "mia-young",
            "mia-ended"
        ]
    );
}

#[test]
fn credentials_take_turns() {
    let mut reads = Reads::new();
    for number in 0..3 {
        reads.caller("mia", &number.to_string());
    }
    reads.refresh("jane", "0", 3, false);
    reads.caller("bob", "0");
    reads.caller("bob", "1");
    assert_eq!(
        reads.order(true),
        ["mia-0", "bob-0", "jane-0", "mia-1", "bob-1", "mia-2"]
    );
}

#[test]
fn strangers_share_one_turn() {
    let mut reads = Reads::new();
    for number in 0..4 {
        reads.caller(&format!("x{number}"), "0");
    }
    for number in 0..2 {
        reads.caller("mia", &number.to_string());
    }
    assert_eq!(
        reads.order(true),
        ["x0-0", "mia-0", "x1-0", "mia-1", "x2-0", "x3-0"]
    );
}

#[test]
fn strangers_wait_when_they_must() {
    let mut reads = Reads::new();
    reads.caller("x0", "0");
    reads.caller("mia", "0");
    assert_eq!(reads.order(false), ["mia-0"]);
    assert_eq!(reads.order(true), ["x0-0"]);
}

#[test]
fn what_nobody_wants_has_no_turn() {
    let mut reads = Reads::new();
    reads.caller("mia", "left");
    reads.caller("mia", "stays");
    drop(reads.wanted.remove(0));
    assert_eq!(reads.order(true), ["mia-stays"]);
}

/// The place in the order is what was told before.
#[test]
fn turns_ahead_are_counted() {
    let mut reads = Reads::new();
    let mut places = Vec::new();
    for number in 0..5 {
        let name = number.to_string();
        places.push((reads.caller("mia", &name), format!("mia-{name}")));
        places.push((
            reads.refresh("mia", &format!("r{name}"), number, false),
            format!("mia-r{name}"),
        ));
    }
    for number in 0..2 {
        let name = number.to_string();
        places.push((reads.caller("bob", &name), format!("bob-{name}")));
        places.push((reads.caller(&format!("x{name}"), "0"), format!("x{name}-0")));
    }
    let strangers: Vec<_> = (0..9).map(|n| reads.credential(&format!("x{n}"))).collect();
    let is_accepted = |credential| !strangers.contains(&credential);
    let ahead =
        |(place, _): &(Place, String)| reads.queue.ahead_of(*place, reads.start, is_accepted);
    let told: Vec<_> = places.iter().map(ahead).collect();
    let order = reads.order(true);
    for ((_, name), told) in places.iter().zip(told) {
        let truth = order.iter().position(|it| it == name).unwrap();
        // Which of several that were never served is first is decided by who came first.
        assert!(told.abs_diff(truth) <= 2, "{name}: {told}, {truth}");
    }
}

#[test]
fn the_queue_is_bounded() {
    let mut reads = Reads::new();
    let claim = Claim::new();
    for number in 0..=MAX_LENGTH {
        let waiting = Waiting {
            credential: reads.credential("mia"),
            tag: None,
            claim: claim.clone(),
            grant: oneshot::channel().0,
            is_hopeless: false,
        };
        assert_eq!(reads.queue.add(waiting).is_some(), number < MAX_LENGTH);
    }
}

#[test]
fn those_of_one_credential_are_told_and_taken_together() {
    let mut reads = Reads::new();
    let first = reads.caller("mia", "0");
    reads.caller("jane", "0");
    let second = reads.caller("mia", "1");
    let mia = reads.credential("mia");
    let theirs = reads.queue.all_of(mia);
    let places: Vec<_> = theirs.into_iter().map(|(place, _)| place).collect();
    assert_eq!(places, [first, second]);
    assert_eq!(reads.queue.take_all_of(mia).len(), 2);
    assert_eq!(reads.queue.len(), 1);
    assert_eq!(reads.order(true), ["jane-0"]);
    assert_eq!(reads.queue.len(), 0);
}

#[test]
fn the_hopeless_and_the_unwanted_are_in_nobodys_way() {
    let mut reads = Reads::new();
    let hopeless = reads.caller("mia", "0");
    reads.caller("mia", "unwanted");
    let last = reads.caller("mia", "1");
    let ahead = |reads: &Reads| reads.queue.ahead_of(last, reads.start, |_| true);
    assert_eq!(ahead(&reads), 2);
    reads.wanted.remove(1);
    assert_eq!(ahead(&reads), 1);
    reads.queue.set_hopeless(hopeless, true);
    assert_eq!(ahead(&reads), 0);
    reads.queue.set_hopeless(hopeless, false);
    assert_eq!(ahead(&reads), 1);
}

#[test]
fn who_had_a_turn_last_comes_after_the_others() {
    let mut reads = Reads::new();
    let users = ["mia", "jane"];
    for user in users {
        let credential = reads.credential(user);
        reads.queue.serve(credential, |_| true);
    }
    let [first, second] = ["0", "1"].map(|name| users.map(|user| reads.caller(user, name)));
    let places = [first, second].concat();
    let ahead = |place: &Place| reads.queue.ahead_of(*place, reads.start, |_| true);
    let told: Vec<_> = places.iter().map(ahead).collect();
    assert_eq!(told, [0, 1, 2, 3]);
    assert_eq!(reads.order(true), ["mia-0", "jane-0", "mia-1", "jane-1"]);
}

/// Or somebody would hear that a turn comes too late for them, and it didn't.
#[test]
fn nobody_new_is_told_of_more_turns_than_there_are() {
    let mut reads = Reads::new();
    let places = ["mia", "jane", "joe"].map(|user| reads.caller(user, "0"));
    let ahead = |place| reads.queue.ahead_of(place, reads.start, |_| true);
    assert_eq!(places.map(ahead), [0, 0, 0]);
    assert_eq!(reads.order(true), ["mia-0", "jane-0", "joe-0"]);
}

#[test]
fn turns_of_long_ago_are_forgotten_unless_somebody_waits() {
    let mut reads = Reads::new();
    reads.caller("mia", "0");
    let mia = reads.credential("mia");
    reads.queue.serve(mia, |_| true);
    for number in 0..1000_u32 {
        let other = reads.credential(&number.to_string());
        reads.queue.serve(other, |_| true);
        assert!(reads.queue.served.len() <= 2 * SERVED + 3, "{number}");
    }
    let last_turn = |user: &str| reads.queue.last_turn(reads.credential(user), |_| true);
    assert_eq!(last_turn("mia"), Some(1));
    assert_eq!(last_turn("999"), Some(1001));
    assert_eq!(last_turn("940"), Some(942));
    assert_eq!(last_turn("0"), None);
}
