//! The flags that say how Rocket.Chat's limit is spent, and how old answers may be.

use super::{
    Problems,
    values::{count, limit, size, time_or_zero},
};
use crate::lookup::{AllowanceOptions, Freshness};

/// No more reads are under way at once: each may take a connection.
const MAX_READS: usize = 10_000;

#[derive(Clone, clap::Args)]
pub(super) struct AnswerFlags {
    /// What Rocket.Chat allows one client address, as 15/3s, or none; 3/1s for 5.x
    #[arg(long, env = "VIDEOCONF_UPSTREAM_LIMIT", value_name = "N/TIME")]
    #[arg(default_value = "15/3s")]
    upstream_limit: String,

    /// How many reads may be under way for users whom Rocket.Chat doesn't limit
    #[arg(long, env = "VIDEOCONF_MAX_READS_IN_FLIGHT", value_name = "N")]
    #[arg(default_value = "32")]
    max_reads_in_flight: String,

    /// Until which age an answer is given without a read, unless a call says its max_age
    #[arg(long, env = "VIDEOCONF_FRESH_FOR", value_name = "TIME")]
    #[arg(default_value = "1s")]
    fresh_for: String,

    /// Until which age an answer is given while no new one can be had; never beyond it
    #[arg(long, env = "VIDEOCONF_STALE_FOR", value_name = "TIME")]
    #[arg(default_value = "30s")]
    stale_for: String,

    /// How long a call waits for a new answer while there is one to show
    #[arg(long, env = "VIDEOCONF_REFRESH_WAIT", value_name = "TIME")]
    #[arg(default_value = "250ms")]
    refresh_wait: String,

    /// How much memory the known answers may take, in bytes
    #[arg(long, env = "VIDEOCONF_MAX_CACHE_BYTES", value_name = "BYTES")]
    #[arg(default_value = "67108864")]
    max_cache_bytes: String,
}

/// What they say.
pub(super) struct Answers {
    pub(super) allowance: AllowanceOptions,
    pub(super) freshness: Freshness,
    pub(super) max_cache_bytes: u64,
}

impl AnswerFlags {
    pub(super) fn check(&self, problems: &mut Problems) -> Option<Answers> {
        let limit = problems.check("--upstream-limit", &self.upstream_limit, limit);
        let max_reads_in_flight =
            problems.check("--max-reads-in-flight", &self.max_reads_in_flight, |text| {
                count(text, "reads", MAX_READS)
            });
        let freshness = self.freshness(problems);
        let max_cache_bytes = problems.check("--max-cache-bytes", &self.max_cache_bytes, size);
        Some(Answers {
            allowance: AllowanceOptions {
                limit: limit?,
                max_reads_in_flight: max_reads_in_flight?,
            },
            freshness: freshness?,
            max_cache_bytes: max_cache_bytes? as u64,
        })
    }

    fn freshness(&self, problems: &mut Problems) -> Option<Freshness> {
        let fresh_for = problems.check("--fresh-for", &self.fresh_for, time_or_zero);
        let stale_for = problems.check("--stale-for", &self.stale_for, time_or_zero);
        let refresh_wait = problems.check("--refresh-wait", &self.refresh_wait, time_or_zero);
        if let (Some(fresh), Some(stale)) = (fresh_for, stale_for)
            && stale < fresh
        {
            problems.note(format!(
                "--stale-for {:?} is less than --fresh-for {:?}: no answer can be fresh for longer \
                 than it is given at all",
                self.stale_for, self.fresh_for
            ));
        }
        Some(Freshness {
            fresh_for: fresh_for?,
            stale_for: stale_for?,
            refresh_wait: refresh_wait?,
        })
    }
}
