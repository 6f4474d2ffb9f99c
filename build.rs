//! Compiles the proto in Rust, without `protoc`, and notes the commit for `--version`.

use std::{env, error::Error, fs, path::PathBuf, process::Command};

use tonic_prost_build::{
    FileDescriptorSet,
    manual::{self, Method, Service},
};

const PROTO: &str = "rocketchat/videoconference/v1/video_conference_service.proto";
const HEALTH: &str = "grpc/health/v1/health.proto";

/// What the binary is made of.
const SOURCES: &[&str] = &[
    "build.rs",
    "Cargo.lock",
    "Cargo.toml",
    "assets",
    "proto",
    "src",
];

fn main() -> Result<(), Box<dyn Error>> {
    compile_proto()?;
    note_commit();
    Ok(())
}

fn compile_proto() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    // Comments travel in the source info; reflection shows them.
    let ours = read(PROTO, true, "descriptors.binpb")?;
    tonic_prost_build::configure()
        // A join URL may be a secret, and the derived `Debug` would print it.
        .skip_debug(["rocketchat.videoconference.v1.VideoConference"])
        .build_server(false)
        .compile_fds(ours)?;
    generate_server();

    // Clients that have this file themselves take ours only if it is the same.
    let health = read(HEALTH, false, "health.binpb")?;
    tonic_prost_build::compile_fds(health)?;
    Ok(())
}

/// Reads `proto` with its imports, and writes the descriptors to `output`.
fn read(
    proto: &str,
    with_comments: bool,
    output: &str,
) -> Result<FileDescriptorSet, Box<dyn Error>> {
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler
        .include_imports(true)
        .include_source_info(with_comments)
        .open_file(proto)?;
    let descriptors = PathBuf::from(env::var("OUT_DIR")?).join(output);
    fs::write(descriptors, compiler.encode_file_descriptor_set())?;
    Ok(compiler.file_descriptor_set())
}

/// The server's half is told its types by hand, since what it sends was encoded when it was read.
fn generate_server() {
    let get_info = Method::builder()
        .name("get_info")
        .route_name("GetInfo")
        .comment("Gets one video conference.")
        .input_type("crate::proto::v1::GetInfoRequest")
        .output_type("crate::proto::EncodedGetInfoResponse")
        .codec_path("crate::api::codec::UnaryCodec")
        .build();
    let service = Service::builder()
        .name("VideoConferenceService")
        .package("rocketchat.videoconference.v1")
        .comment("Rocket.Chat's video conferences.")
        .method(get_info)
        .build();
    manual::Builder::new()
        .build_client(false)
        .compile(&[service]);
}

/// The commit comes from `VIDEOCONF_BUILD_COMMIT` (for builds outside a checkout) or from git.
fn note_commit() {
    println!("cargo::rerun-if-env-changed=VIDEOCONF_BUILD_COMMIT");
    let commit = env::var("VIDEOCONF_BUILD_COMMIT")
        .ok()
        .or_else(commit_of_checkout)
        .unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=VIDEOCONF_BUILD_COMMIT={commit}");
}

/// The commit that is checked out here, `-dirty` if what is built isn't what was committed.
fn commit_of_checkout() -> Option<String> {
    // Unpacked inside somebody else's checkout, git would answer for that one.
    if !git(&["rev-parse", "--show-prefix"])?.is_empty() {
        return None;
    }
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    watch_head();
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    let changes = git(&[&["status", "--porcelain", "--"], SOURCES].concat())?;
    let dirty = if changes.is_empty() { "" } else { "-dirty" };
    Some(commit + dirty)
}

/// Runs this again when another commit is checked out. In a worktree `.git` is a file, so git is
/// asked where its files are. It appends a line to the log of HEAD with every commit and checkout;
/// where no logs are kept, the branch itself has to do.
fn watch_head() {
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["logs/HEAD", "HEAD"].into_iter().chain(branch.as_deref()) {
        let path = git(&["rev-parse", "--git-path", name]);
        // Of a file that isn't there cargo would say that it has changed, at every build.
        if let Some(path) = path.filter(|path| fs::exists(path).unwrap_or(false)) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}

/// What `git` says, without the line's end.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(arguments)
        // Looking mustn't write: the index would be newer than this build.
        .env("GIT_OPTIONAL_LOCKS", "0")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim_end().to_owned())
}
