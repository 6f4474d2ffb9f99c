//! protobuf JSON of our messages, as grpcurl prints it.

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};

use crate::proto::{self, v1::GetInfoResponse};

/// `response` as indented protobuf JSON, with Rocket.Chat's names.
///
/// # Errors
/// What it is that can't be shown.
pub(super) fn response(response: &GetInfoResponse) -> Result<String, String> {
    let full_name = "rocketchat.videoconference.v1.GetInfoResponse";
    show(full_name, &response.encode_to_vec())
}

/// The details of a refusal: an encoded `google.rpc.Status`, with everything in it.
pub(super) fn details(status: &[u8]) -> Result<String, String> {
    show("google.rpc.Status", status)
}

fn show(full_name: &str, encoded: &[u8]) -> Result<String, String> {
    let show = || -> Result<String, Box<dyn std::error::Error>> {
        let mut pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET)?;
        pool.decode_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)?;
        let descriptor = pool
            .get_message_by_name(full_name)
            .ok_or_else(|| format!("no descriptor of {full_name}"))?;
        let message = DynamicMessage::decode(descriptor, encoded)?;
        Ok(serde_json::to_string_pretty(&message)?)
    };
    show().map_err(|error| error.to_string())
}
