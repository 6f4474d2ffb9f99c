//! The generated messages, service and client, and the descriptors that reflection serves.

mod encoded;

use std::fmt;

pub use encoded::{Conference, EncodedGetInfoResponse, Parts};

/// Package `rocketchat.videoconference.v1`; the comments are those of the proto.
#[allow(clippy::all, clippy::pedantic, missing_docs, rustdoc::all)]
pub mod v1 {
    tonic::include_proto!("rocketchat.videoconference.v1");
}

/// Package `grpc.health.v1`, gRPC's own.
#[allow(clippy::all, clippy::pedantic, missing_docs, rustdoc::all)]
pub mod health {
    tonic::include_proto!("grpc.health.v1");

    pub const FILE_DESCRIPTOR_SET: &[u8] =
        include_bytes!(concat!(env!("OUT_DIR"), "/health.binpb"));
}

/// The proto with its imports and comments, an encoded `google.protobuf.FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.binpb"));

/// Shows which conference it is and no more: `url` may be a secret, and `additional_fields` may
/// hold one.
impl fmt::Debug for v1::VideoConference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VideoConference")
            .field("id", &self.id)
            .field("type", &self.r#type())
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
