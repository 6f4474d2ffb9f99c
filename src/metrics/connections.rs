//! Connections of callers.

use opentelemetry::{
    KeyValue,
    metrics::{BoundCounter, BoundUpDownCounter, Counter},
};

use super::{Metrics, names};

/// Measures connections.
#[derive(Clone, Debug)]
pub struct Connections {
    accepted: BoundCounter<u64>,
    open: BoundUpDownCounter<i64>,
    ended: Counter<u64>,
}

/// A connection that is open. One that is dropped was cut.
#[derive(Debug)]
pub struct Open {
    connections: Connections,
    end: End,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It never began: no TLS, no HTTP/2, or not in time.
    Handshake,
    /// Its client left.
    Client,
    /// It had no call for too long.
    Idle,
    /// It was old.
    Age,
    /// The server ended.
    Shutdown,
    /// Its client didn't keep to the protocol, or didn't answer a ping.
    Error,
    /// Its client took nothing of what was sent.
    Stalled,
    /// The server ended, and it didn't in time.
    Cut,
}

impl Connections {
    /// Measures with `metrics`.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            accepted: metrics.counter(&names::CONNECTIONS_ACCEPTED).bind(&[]),
            open: metrics.up_down_counter(&names::CONNECTIONS_OPEN).bind(&[]),
            ended: metrics.counter(&names::CONNECTIONS_ENDED),
        }
    }

    /// A connection was accepted.
    #[must_use]
    pub fn accepted(&self) -> Open {
        self.accepted.add(1);
        self.open.add(1);
        Open {
            connections: self.clone(),
            end: End::Cut,
        }
    }
}

impl Open {
    /// It ended because of that.
    pub fn ended(mut self, end: End) {
        self.end = end;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connections.open.add(-1);
        let why = KeyValue::new("reason", self.end.as_str());
        self.connections.ended.add(1, &[why]);
    }
}

impl End {
    fn as_str(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Client => "client",
            Self::Idle => "idle",
            Self::Age => "age",
            Self::Shutdown => "shutdown",
            Self::Error => "error",
            Self::Stalled => "stalled",
            Self::Cut => "cut",
        }
    }
}
