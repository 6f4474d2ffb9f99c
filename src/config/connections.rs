//! The flags that bound the life of a connection.

use std::time::Duration;

use super::{
    Problems,
    values::{count, time},
};
use crate::server::Bounds;

/// No more connections are open at once.
const MAX_CONNECTIONS: usize = 1_000_000;

/// What calls have beyond their own time when their connection ends: for the answer to travel.
const LAST_WORDS: Duration = Duration::from_secs(1);

#[derive(Clone, clap::Args)]
pub(super) struct ConnectionFlags {
    /// How many connections may be open; others wait until one ends
    #[arg(long, env = "VIDEOCONF_MAX_CONNECTIONS", value_name = "N")]
    #[arg(default_value = "10000")]
    max_connections: String,

    /// How long a connection may take to begin: TLS, then HTTP/2
    #[arg(long, env = "VIDEOCONF_HANDSHAKE_TIMEOUT", value_name = "TIME")]
    #[arg(default_value = "10s")]
    handshake_timeout: String,

    /// How long a connection without a call is kept
    #[arg(long, env = "VIDEOCONF_CONNECTION_IDLE_TIMEOUT", value_name = "TIME")]
    #[arg(default_value = "15m")]
    connection_idle_timeout: String,

    /// How long a connection lasts, 10 % more or less; then its client is told to open another
    #[arg(long, env = "VIDEOCONF_CONNECTION_MAX_AGE", value_name = "TIME")]
    #[arg(default_value = "1h")]
    connection_max_age: String,
}

impl ConnectionFlags {
    /// The bounds, for calls that take `request_timeout` at most.
    pub(super) fn check(
        &self,
        problems: &mut Problems,
        request_timeout: Option<Duration>,
    ) -> Option<Bounds> {
        let max_connections = problems.check("--max-connections", &self.max_connections, |text| {
            count(text, "connections", MAX_CONNECTIONS)
        });
        let handshake_timeout =
            problems.check("--handshake-timeout", &self.handshake_timeout, time);
        let idle_timeout = problems.check(
            "--connection-idle-timeout",
            &self.connection_idle_timeout,
            time,
        );
        let max_age = problems.check("--connection-max-age", &self.connection_max_age, time);
        Some(Bounds {
            max_connections: max_connections?,
            handshake_timeout: handshake_timeout?,
            idle_timeout: idle_timeout?,
            max_age: max_age?,
            grace: request_timeout? + LAST_WORDS,
        })
    }
}
