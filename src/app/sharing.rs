//! What replicas share, followed as long as the facade runs, and told to operators.

use std::fmt;

use tokio::sync::watch;

use crate::{
    credentials::Fingerprint,
    lookup::{Allowance, CommonStanding},
    store::Read,
};

/// What there is to follow, of one route.
pub struct Sharing {
    pub(super) allowance: Allowance,
    pub(super) reader: Read,
    /// Forgets what was told to somebody.
    pub(super) forget: Box<dyn Fn(Fingerprint) + Send + Sync>,
    pub(super) told: Told,
}

/// What operators were told of it last. Clones are the same.
#[derive(Clone, Debug)]
pub struct Told {
    /// Where the store is.
    store: String,
    last: watch::Sender<Option<CommonStanding>>,
}

impl Sharing {
    /// Follows what the other replicas do until `end` is ready, and tells them then that this one is gone.
    pub(super) async fn follow_until(self, end: impl Future<Output = ()>) {
        let Self {
            allowance,
            reader,
            forget,
            told,
        } = self;
        let follow = allowance.share(reader, forget, |standing| told.tell(standing));
        tokio::select! {
            () = end => {}
            () = follow => {}
        }
        allowance.leave().await;
    }

    /// What operators are told.
    pub(super) fn told(&self) -> Told {
        self.told.clone()
    }
}

impl Told {
    pub(super) fn new(store: String) -> Self {
        Self {
            store,
            last: watch::Sender::default(),
        }
    }

    fn tell(&self, standing: CommonStanding) {
        let store = &self.store;
        let before = self.last.send_replace(Some(standing.clone()));
        let strangers_before = match before {
            Some(CommonStanding::Together { strangers, .. }) => strangers,
            _ => 0,
        };
        match standing {
            CommonStanding::Together { others, strangers } => {
                let replicas = others + 1;
                tracing::info!(replicas, store, "sharing the limit with all replicas");
                if strangers > strangers_before {
                    tracing::warn!(
                        replicas = strangers,
                        "replicas have another --shared-store-key-file: answers aren't shared with them"
                    );
                }
            }
            CommonStanding::Apart { parts, why } => {
                tracing::warn!(
                    parts,
                    store,
                    why,
                    "the shared store can't be used: going on alone, with one part of the limit"
                );
            }
        }
    }

    /// It in a line; `None` as long as nothing is known.
    pub(super) fn line(&self) -> Option<String> {
        let last = self.last.borrow();
        Some(match last.as_ref()? {
            CommonStanding::Together {
                others,
                strangers: 0,
            } => format!("shared store: reached, {} replicas", others + 1),
            CommonStanding::Together { others, strangers } => format!(
                "shared store: reached, {} replicas, {strangers} of them with another key file",
                others + 1
            ),
            CommonStanding::Apart { parts, why } => format!(
                "shared store: out of reach, going on with 1 of {parts} parts of the limit: {why}"
            ),
        })
    }
}

impl fmt::Debug for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sharing").finish_non_exhaustive()
    }
}
