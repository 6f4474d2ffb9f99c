//! Compiles the proto in Rust, without `protoc`, and notes the commit for `--version`.

use std::{env, error::Error, fs, path::PathBuf, process::Command};

const PROTO: &str = "rocketchat/videoconference/v1/video_conference_service.proto";

fn main() -> Result<(), Box<dyn Error>> {
    compile_proto()?;
    note_commit();
    Ok(())
}

fn compile_proto() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler
        .include_imports(true)
        // Comments travel in the source info; reflection shows them.
        .include_source_info(true)
        .open_file(PROTO)?;

    let descriptors = PathBuf::from(env::var("OUT_DIR")?).join("descriptors.binpb");
    fs::write(descriptors, compiler.encode_file_descriptor_set())?;

    tonic_prost_build::configure()
        // A join URL may be a secret, and the derived `Debug` would print it.
        .skip_debug(["rocketchat.videoconference.v1.VideoConference"])
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

/// The commit comes from `VIDEOCONF_BUILD_COMMIT` (for builds outside a checkout) or from git.
fn note_commit() {
    println!("cargo::rerun-if-env-changed=VIDEOCONF_BUILD_COMMIT");
    // Git appends a line here with every commit and checkout.
    if fs::exists(".git/logs/HEAD").unwrap_or(false) {
        println!("cargo::rerun-if-changed=.git/logs/HEAD");
    }
    let commit = env::var("VIDEOCONF_BUILD_COMMIT")
        .ok()
        .or_else(commit_of_checkout)
        .unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=VIDEOCONF_BUILD_COMMIT={commit}");
}

fn commit_of_checkout() -> Option<String> {
    // Unpacked inside somebody else's checkout, git would answer for that one.
    fs::exists(".git").ok().filter(|is_checkout| *is_checkout)?;
    let output = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output()
        .ok()?;
    let commit = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !commit.is_empty()).then_some(commit)
}
