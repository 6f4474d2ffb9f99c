//! What a run comes to.

use std::{collections::BTreeMap, time::Duration};

use videoconf_facade::sandbox::Window;

use super::clients::Outcome;

/// What a run comes to.
pub struct Measured {
    /// The share of calls with an answer, of those made after the first fill.
    pub ok: f64,
    /// The same of all calls.
    pub ok_overall: f64,
    /// How many had no answer after the first fill, by reason.
    pub refusals: BTreeMap<String, u32>,
    /// How old the answers were, after the first fill, if there were any.
    pub ages: Option<Ages>,
    /// The requests to Rocket.Chat, all of the run.
    pub requests: Count,
    /// Those of them that were answered 429.
    pub limited: Count,
}

/// How old the answers were when their calls were made.
#[derive(Clone, Copy)]
pub struct Ages {
    pub median: Duration,
    pub p99: Duration,
    pub max: Duration,
}

/// How many there were.
#[derive(Clone, Copy)]
pub struct Count {
    pub total: u64,
    /// In one of the limiter's windows.
    pub most: u64,
}

impl Measured {
    /// Sums up the calls of a run and what the limiter counted.
    pub fn new(outcomes: &[Outcome], fill: Duration, windows: &[Window]) -> Self {
        let after_fill: Vec<_> = outcomes.iter().filter(|it| it.made >= fill).collect();
        let ok = |it: &&Outcome| it.age.is_ok();
        let mut refusals = BTreeMap::new();
        for reason in after_fill.iter().filter_map(|it| it.age.as_ref().err()) {
            *refusals.entry(reason.clone()).or_default() += 1;
        }
        Self {
            ok: share(
                after_fill.iter().copied().filter(ok).count(),
                after_fill.len(),
            ),
            ok_overall: share(outcomes.iter().filter(ok).count(), outcomes.len()),
            refusals,
            ages: Ages::of(after_fill.iter().filter_map(|it| it.age.as_ref().ok())),
            requests: Count::of(windows.iter().map(|it| it.accepted + it.refused)),
            limited: Count::of(windows.iter().map(|it| it.refused)),
        }
    }
}

impl Ages {
    fn of<'a>(ages: impl Iterator<Item = &'a Duration>) -> Option<Self> {
        let mut ages: Vec<_> = ages.copied().collect();
        ages.sort_unstable();
        Some(Self {
            max: *ages.last()?,
            median: ages[ages.len() / 2],
            p99: ages[ages.len() * 99 / 100],
        })
    }
}

impl Count {
    fn of(windows: impl Iterator<Item = u64> + Clone) -> Self {
        Self {
            total: windows.clone().sum(),
            most: windows.max().unwrap_or_default(),
        }
    }
}

/// Nothing is no part of nothing.
fn share(part: usize, whole: usize) -> f64 {
    let number = |it: usize| f64::from(u32::try_from(it).unwrap_or(u32::MAX));
    number(part) / number(whole.max(1))
}
