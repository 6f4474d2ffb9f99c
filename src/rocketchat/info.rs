//! `video-conference.info`: how it is asked, and how its answer is read.

use super::{json::Malformed, method::Method, translate};
use crate::{proto::Conference, route::Info};

impl Method for Info {
    fn query(&self) -> impl IntoIterator<Item = (&'static str, &str)> {
        [("callId", self.call_id.as_str())]
    }

    fn answer(body: &[u8]) -> Result<Conference, Malformed> {
        translate::video_conference(body).map(|conference| Conference::encode(&conference))
    }
}
