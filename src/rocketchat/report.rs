//! Tells the operator why there was no answer: callers hear only a few constant words.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::sleep;

use crate::error::Error;

/// How often the same problem is reported at most.
const EVERY: Duration = Duration::from_secs(10);

/// Reports the connections that failed, each problem at once and then every now and then.
#[derive(Debug)]
pub(super) struct Reports(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Where to, without credentials.
    upstream: String,
    proxy: Option<String>,
    /// The problems of late.
    late: Mutex<HashMap<&'static str, Late>>,
}

/// What came of a problem since its last report.
#[derive(Debug, Default)]
struct Late {
    count: u64,
    /// The last one's.
    causes: String,
}

impl Reports {
    /// Reports of connections to `upstream`, perhaps through `proxy`.
    pub(super) fn new(upstream: String, proxy: Option<String>) -> Self {
        Self(Arc::new(Shared {
            upstream,
            proxy,
            late: Mutex::default(),
        }))
    }

    /// Reports the problem of `refusal` with its chain of causes: now, or with those that are still to
    /// come.
    pub(super) fn add(&self, refusal: &Error, causes: String) {
        let Some(problem) = refusal.problem() else {
            return;
        };
        let mut late = self.0.late();
        if let Some(late) = late.get_mut(problem) {
            late.count += 1;
            late.causes = causes;
            return;
        }
        late.insert(problem, Late::default());
        drop(late);
        self.0.write(problem, &Late { count: 1, causes });
        let shared = self.0.clone();
        tokio::spawn(async move { shared.follow(problem).await });
    }
}

impl Shared {
    /// Reports what comes of `problem` until nothing does any more.
    async fn follow(&self, problem: &'static str) {
        loop {
            sleep(EVERY).await;
            let Some(more) = self.take(problem) else {
                return;
            };
            self.write(problem, &more);
        }
    }

    /// What came since the last time; if nothing did, the problem is none any more.
    fn take(&self, problem: &'static str) -> Option<Late> {
        let mut late = self.late();
        let more = late.get_mut(problem).map(std::mem::take)?;
        if more.count == 0 {
            late.remove(problem);
            return None;
        }
        Some(more)
    }

    fn write(&self, problem: &str, Late { count, causes }: &Late) {
        tracing::warn!(
            upstream = self.upstream,
            proxy = self.proxy,
            problem,
            causes,
            count,
            "no usable answer from Rocket.Chat"
        );
    }

    fn late(&self) -> MutexGuard<'_, HashMap<&'static str, Late>> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use serde_json::Value;
    use tokio::time::{Instant, sleep_until};
    use tracing_subscriber::fmt;

    use super::*;
    use crate::error::Unavailable;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Written {
        /// Problem, causes and count of each line.
        fn lines(&self) -> Vec<(String, String, u64)> {
            let bytes = self.0.lock().unwrap();
            let lines = serde_json::Deserializer::from_slice(&bytes).into_iter::<Value>();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            lines
                .map(|line| line.unwrap()["fields"].clone())
                .map(|it| {
                    (
                        text(&it["problem"]),
                        text(&it["causes"]),
                        it["count"].as_u64().unwrap(),
                    )
                })
                .collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_problem_is_reported_at_once_and_then_every_ten_seconds() {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = fmt().json().with_writer(move || writer.clone()).finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let reports = Reports::new("http://chat".to_owned(), None);
        let began = Instant::now();
        let at = |seconds| sleep_until(began + Duration::from_secs(seconds));
        let add = |cause, causes: &str| {
            let refusal = Error::UpstreamUnavailable {
                cause,
                retry_after: Duration::ZERO,
            };
            reports.add(&refusal, causes.to_owned());
        };
        let line = |cause: Unavailable, causes: &str, count| {
            (cause.as_str().to_owned(), causes.to_owned(), count)
        };
        let (refused, expired) = (
            Unavailable::ConnectionRefused,
            Unavailable::CertificateExpired,
        );
        let mut expected = Vec::new();

        add(refused, "a");
        expected.push(line(refused, "a", 1));
        assert_eq!(written.lines(), expected, "at once");
        for _ in 0..100 {
            add(refused, "b");
        }
        at(5).await;
        add(refused, "c");
        assert_eq!(written.lines(), expected, "not so soon again");
        add(expired, "d");
        expected.push(line(expired, "d", 1));
        assert_eq!(written.lines(), expected, "each for itself");

        at(11).await;
        expected.push(line(refused, "c", 101));
        assert_eq!(written.lines(), expected, "what came meanwhile");
        add(refused, "e");
        at(21).await;
        expected.push(line(refused, "e", 1));
        assert_eq!(written.lines(), expected);

        at(40).await;
        assert_eq!(written.lines(), expected, "nothing, if nothing came");
        add(refused, "f");
        expected.push(line(refused, "f", 1));
        assert_eq!(written.lines(), expected, "at once, after a rest");
    }
}
