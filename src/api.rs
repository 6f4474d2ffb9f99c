//! The gRPC service: the only room that sees tonic's requests. One file a method.

mod get_info;
mod metadata;

use tonic::{Request, Response, Status, codec::CompressionEncoding};

use crate::{
    error::status::to_status,
    proto::v1::{
        GetInfoRequest, GetInfoResponse,
        video_conference_service_server::{VideoConferenceService, VideoConferenceServiceServer},
    },
    source::ConferenceSource,
};

/// A request is one id and a duration: the library's 4 MiB would be an invitation.
const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// How the service behaves.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The longest `call_id`, in bytes of UTF-8.
    pub max_call_id_bytes: usize,
}

/// `VideoConferenceService`, answered from `S`.
#[derive(Debug)]
pub struct Api<S> {
    source: S,
    options: Options,
}

/// The service, ready for the server's routes.
pub fn service<S: ConferenceSource>(
    source: S,
    options: Options,
) -> VideoConferenceServiceServer<Api<S>> {
    VideoConferenceServiceServer::new(Api { source, options })
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(MAX_REQUEST_BYTES)
}

#[tonic::async_trait]
impl<S: ConferenceSource> VideoConferenceService for Api<S> {
    async fn get_info(
        &self,
        request: Request<GetInfoRequest>,
    ) -> Result<Response<GetInfoResponse>, Status> {
        get_info::answer(&self.source, self.options, request)
            .await
            .map(Response::new)
            .map_err(|error| to_status(&error))
    }
}
