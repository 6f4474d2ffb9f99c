//! The gRPC service: the only room that sees its requests as tonic has them. One file a method.

mod codec;
mod get_info;
mod metadata;

use prost::Message;
use tokio::time::Instant;
use tonic::{Request, Response, Status, codec::CompressionEncoding};

use crate::{
    credentials::{Credentials, FingerprintKey},
    deadline::Deadline,
    error::{Error, status::refuse},
    proto::{EncodedGetInfoResponse, v1::GetInfoRequest},
    query::{Caller, Key, Query},
    record::Record,
    source::ConferenceSource,
};

pub use generated::video_conference_service_server::SERVICE_NAME;
use generated::video_conference_service_server::{
    VideoConferenceService, VideoConferenceServiceServer,
};

/// The server's half of the service, whose answers are encoded already.
#[allow(clippy::all, clippy::pedantic, missing_docs, rustdoc::all)]
mod generated {
    tonic::include_proto!("rocketchat.videoconference.v1.VideoConferenceService");
}

/// A request is one id and a duration: the library's 4 MiB would be an invitation.
const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// The largest answer that is copied for each caller, in bytes. Of larger ones all callers share one, so that
/// a thousand who don't read theirs don't cost a thousand.
const MAX_COPIED: usize = 16 * 1024;

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
    key: FingerprintKey,
}

/// The service, ready for the server's routes. What stands for credentials is made with `key`.
pub fn service<S: ConferenceSource>(
    source: S,
    options: Options,
    key: FingerprintKey,
) -> VideoConferenceServiceServer<Api<S>> {
    VideoConferenceServiceServer::new(Api {
        source,
        options,
        key,
    })
    .accept_compressed(CompressionEncoding::Gzip)
    .max_decoding_message_size(MAX_REQUEST_BYTES)
}

#[tonic::async_trait]
impl<S: ConferenceSource> VideoConferenceService for Api<S> {
    async fn get_info(
        &self,
        request: Request<GetInfoRequest>,
    ) -> Result<Response<EncodedGetInfoResponse>, Status> {
        let record = record(&request);
        get_info::answer(self, request, &record)
            .await
            .map(respond)
            .map_err(|error| refuse(&error, &record))
    }
}

impl<S> Api<S> {
    fn query<P>(&self, parameters: P, credentials: Credentials, record: &Record) -> Query<P> {
        let fingerprint = self.key.fingerprint(&credentials);
        record.is_by(fingerprint);
        Query {
            key: Key {
                parameters,
                fingerprint,
            },
            credentials,
        }
    }
}

fn respond(answer: EncodedGetInfoResponse) -> Response<EncodedGetInfoResponse> {
    if answer.encoded_len() <= MAX_COPIED {
        return Response::new(answer);
    }
    let mut response = Response::new(EncodedGetInfoResponse::default());
    response.extensions_mut().insert(answer.into_parts());
    response
}

/// Who waits for the answer to `request`, for one of any age.
fn caller<M>(request: &Request<M>, record: &Record) -> Result<Caller, Error> {
    Ok(Caller {
        arrived: record.arrived(),
        max_age: None,
        // Put there by the request stack, which no call gets around.
        deadline: *request
            .extensions()
            .get::<Deadline>()
            .ok_or(Error::Internal)?,
        record: record.clone(),
    })
}

/// The record that the request stack has begun.
fn record<M>(request: &Request<M>) -> Record {
    let record = request.extensions().get().cloned();
    record.unwrap_or_else(|| Record::begin(Instant::now()))
}
