//! The facade's proto, generated as tonic does it unless told otherwise.

const PROTO: &str = "rocketchat/videoconference/v1/video_conference_service.proto";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=../../proto");
    let files = protox::compile([PROTO], ["../../proto"])?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
