//! Asks once more where that does no harm and may help.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{
    error::{Error, Unavailable},
    exchange::Exchange,
    query::{Attempt, Connection, Query},
    route::Parameters,
    source::Upstream,
};

/// The shortest pause before the second attempt. The longest is three times that, and what it is
/// between them is chance: those who failed together don't come again together.
const PAUSE: Duration = Duration::from_millis(50);

/// Repeats a request of the source inside, once, if its route allows that.
#[derive(Debug)]
pub struct Retry<S> {
    inner: S,
}

/// How a request that failed is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    /// At once, over a new connection: the other idle ones are likely to be closed, too.
    AtOnce,
    /// After a pause.
    Later,
}

impl<S> Retry<S> {
    /// Puts the repetition around `inner`.
    pub fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<P: Parameters, S: Upstream<P>> Upstream<P> for Retry<S> {
    async fn ask(&self, query: &Query<P>, attempt: &Attempt) -> Exchange<P::Answer> {
        let exchange = self.inner.ask(query, attempt).await;
        let again = if P::ROUTE.is_repeatable {
            again(&exchange)
        } else {
            None
        };
        let Some(again) = again else {
            return exchange;
        };
        let (pause, connection) = match again {
            Again::AtOnce => (Duration::ZERO, Connection::New),
            Again::Later => (PAUSE.mul_f64(1.0 + 2.0 * fastrand::f64()), Connection::Any),
        };
        let is_wanted = |at| attempt.claim.rank(at).is_some();
        if !is_wanted(Instant::now() + pause) {
            return exchange;
        }
        if !pause.is_zero() {
            sleep(pause).await;
            // They may have gone meanwhile.
            if !is_wanted(Instant::now()) {
                return exchange;
            }
        }
        let second = Attempt {
            connection,
            ..attempt.clone()
        };
        self.inner.ask(query, &second).await
    }
}

/// Whether and how what failed may be repeated: no connection, one that closed before an answer, or
/// a proxy's word that Rocket.Chat can't be reached just now.
fn again<T>(exchange: &Exchange<T>) -> Option<Again> {
    let Err(Error::UpstreamUnavailable { cause, .. }) = &exchange.result else {
        return None;
    };
    match cause {
        // As a rule Rocket.Chat's server closed an idle connection of the pool at the moment at which
        // it was used again.
        Unavailable::ConnectionClosed => Some(Again::AtOnce),
        Unavailable::UnknownHost
        | Unavailable::ConnectionRefused
        | Unavailable::ConnectTimeout
        | Unavailable::ClosedInHandshake
        | Unavailable::ProxyRefused
        | Unavailable::NotConnected => Some(Again::Later),
        // Who says when to come again is taken at their word.
        Unavailable::Status(502..) => {
            let head = exchange.head.as_ref();
            let is_timed = head.is_some_and(|head| head.retry_after.is_some());
            (!is_timed).then_some(Again::Later)
        }
        // Neither a certificate nor a password is mended by asking again, and an answer that has begun
        // isn't repeated.
        Unavailable::CertificateExpired
        | Unavailable::CertificateNotYetValid
        | Unavailable::CertificateForAnotherName
        | Unavailable::AuthorityNotTrusted
        | Unavailable::Tls
        | Unavailable::ProxyAuthentication
        | Unavailable::NotHttp
        | Unavailable::CutOff
        | Unavailable::Silent
        | Unavailable::Status(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use super::*;
    use crate::lookup::scripted::{Scripted, attempt, found, query};

    const LONG: Duration = Duration::from_secs(10);

    /// What fails once with `cause`, for somebody who waits for `time` and is gone after `stays` of it: after
    /// how long it is over, and how many attempts there were.
    async fn asked(cause: Unavailable, time: Duration, stays: Duration) -> (Duration, u32) {
        let attempts = Arc::<AtomicU32>::default();
        let counted = attempts.clone();
        let fails_once = Scripted(move |_| {
            let is_first = counted.fetch_add(1, Ordering::Relaxed) == 0;
            async move {
                if !is_first {
                    return found();
                }
                Exchange::unanswered(Error::UpstreamUnavailable {
                    cause,
                    retry_after: LONG,
                })
            }
        });
        let attempt = attempt();
        let began = Instant::now();
        let waiting = attempt.claim.wait(began + time, None).expect("a claim");
        let leaves = async {
            sleep(stays).await;
            drop(waiting);
        };
        let asks = async {
            let exchange = Retry::new(fails_once).ask(&query(), &attempt).await;
            assert_eq!(
                exchange.result.is_ok(),
                attempts.load(Ordering::Relaxed) == 2
            );
            began.elapsed()
        };
        let ((), took) = tokio::join!(leaves, asks);
        (took, attempts.load(Ordering::Relaxed))
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_failed_together_do_not_come_again_together() {
        let mut pauses = Vec::new();
        for _ in 0..200 {
            let (took, attempts) = asked(Unavailable::ConnectionRefused, LONG, LONG).await;
            assert_eq!(attempts, 2);
            pauses.push(took);
        }
        let (first, last) = (pauses.iter().min(), pauses.iter().max());
        // A timer is late by a millisecond at most.
        assert!(first >= Some(&PAUSE) && first < Some(&(PAUSE * 6 / 5)));
        assert!(last > Some(&(PAUSE * 14 / 5)) && last <= Some(&(PAUSE * 31 / 10)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_connection_is_replaced_at_once() {
        let asked = asked(Unavailable::ConnectionClosed, LONG, LONG).await;
        assert_eq!(asked, (Duration::ZERO, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn who_will_not_wait_that_long_hears_at_once() {
        let asked = asked(Unavailable::ConnectionRefused, PAUSE / 2, LONG).await;
        assert_eq!(asked, (Duration::ZERO, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_gone_is_not_asked_for() {
        let (took, attempts) = asked(Unavailable::ConnectionRefused, LONG, PAUSE / 2).await;
        assert!(took >= PAUSE, "{took:?}");
        assert_eq!(attempts, 1);
    }
}
