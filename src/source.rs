//! What joins the rooms: a lookup, its answer, and the trait of everything that can answer it.

use std::time::{Duration, SystemTime};

use crate::{
    call_id::CallId, credentials::Credentials, deadline::Deadline, error::Error, journal::Journal,
    proto::v1::VideoConference,
};

/// One caller's question for one conference.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// Which conference.
    pub call_id: CallId,
    /// On whose behalf. An answer never crosses credentials.
    pub credentials: Credentials,
    /// The oldest answer that the caller accepts; `None` leaves it to the sources.
    pub max_age: Option<Duration>,
    /// When the caller stops waiting.
    pub deadline: Deadline,
    /// Whether an idle connection may be used. A second attempt needs a new one: where one idle
    /// connection was found closed, the others are likely to be, too.
    pub may_reuse_connection: bool,
    /// Where reads of Rocket.Chat are noted for the access line.
    pub journal: Journal,
}

/// What Rocket.Chat said.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The conference, without loss.
    pub conference: VideoConference,
    /// When the request for this answer was sent, by this machine's clock.
    pub read_at: SystemTime,
    /// The status of Rocket.Chat's answer, a 2xx.
    pub http_status: u16,
}

/// Anything that can answer a lookup: Rocket.Chat's client, and every decorator around it.
pub trait ConferenceSource: Send + Sync + 'static {
    /// Finds the conference. Dropping the future gives the lookup up, upstream request included.
    fn find(&self, lookup: &Lookup) -> impl Future<Output = Result<Answer, Error>> + Send;
}
