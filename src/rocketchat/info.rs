//! `video-conference.info`: how it is asked, and how its answer is read.

use super::{json::Malformed, method::Method, translate};
use crate::{proto::v1::VideoConference, route::Info};

impl Method for Info {
    fn query(&self) -> impl IntoIterator<Item = (&'static str, &str)> {
        [("callId", self.call_id.as_str())]
    }

    fn answer(body: &[u8]) -> Result<VideoConference, Malformed> {
        translate::video_conference(body)
    }
}
