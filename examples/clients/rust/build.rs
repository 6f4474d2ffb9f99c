//! Generates the client from the proto, without `protoc`.

use std::{env, error::Error, fs, path::PathBuf};

/// Where the protos are. In a project of your own: a folder with copies of them.
const PROTOS: &str = "../../../proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTOS}");
    let files = [
        "rocketchat/videoconference/v1/video_conference_service.proto",
        "grpc/health/v1/health.proto",
    ];
    let descriptors = protox::compile(files, [PROTOS])?;
    // For protobuf's JSON, which prost itself doesn't have.
    let output = PathBuf::from(env::var("OUT_DIR")?).join("descriptors.binpb");
    fs::write(output, prost::Message::encode_to_vec(&descriptors))?;
    tonic_prost_build::configure()
        .build_server(false)
        .compile_fds(descriptors)?;
    Ok(())
}
