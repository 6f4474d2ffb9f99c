//! The proto files of everything that is served, as clients know them from elsewhere.

use std::collections::HashSet;

use prost::Message;
use prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};
use tonic_reflection::pb;

use crate::proto::health;

/// What the rim itself serves.
const RIM: [&[u8]; 3] = [
    health::FILE_DESCRIPTOR_SET,
    pb::v1::FILE_DESCRIPTOR_SET,
    pb::v1alpha::FILE_DESCRIPTOR_SET,
];

/// The details of errors.
const DETAILS: &str = "google/rpc/error_details.proto";

/// The names under which libraries have compiled files, and those under which they are published.
const CANONICAL: [(&str, &str); 4] = [
    ("error_details.proto", DETAILS),
    ("status.proto", "google/rpc/status.proto"),
    ("reflection_v1.proto", "grpc/reflection/v1/reflection.proto"),
    (
        "reflection_v1alpha.proto",
        "grpc/reflection/v1alpha/reflection.proto",
    ),
];

/// The packages that clients have files of themselves.
const KNOWN: [&str; 2] = ["google.rpc", "grpc.health.v1"];

/// The files in `descriptor_sets`, of health and of reflection, each once, after those that it imports. Those
/// with services also
/// import the details of errors: who exports a service with its imports can read its errors, too.
///
/// # Panics
/// If a descriptor set can't be read. They are part of the program.
#[must_use]
pub fn files(descriptor_sets: &[&[u8]]) -> Vec<FileDescriptorProto> {
    let ours = descriptor_sets.iter().flat_map(|set| decode(set));
    let ours = ours.map(|mut file| {
        if !file.service.is_empty() {
            file.dependency.push(DETAILS.to_owned());
        }
        file
    });
    let rim = RIM.iter().flat_map(|set| decode(set));
    let mut names = HashSet::new();
    let files = rim.chain(ours).map(as_published);
    in_order(
        files
            .filter(|file| names.insert(file.name().to_owned()))
            .collect(),
    )
}

fn in_order(mut files: Vec<FileDescriptorProto>) -> Vec<FileDescriptorProto> {
    let mut ordered = Vec::with_capacity(files.len());
    let mut known = HashSet::new();
    let is_next = |file: &FileDescriptorProto, known: &HashSet<String>| {
        file.dependency.iter().all(|import| known.contains(import))
    };
    while let Some(at) = files.iter().position(|file| is_next(file, &known)) {
        let file = files.remove(at);
        known.insert(file.name().to_owned());
        ordered.push(file);
    }
    // None is left, unless one imports what isn't here.
    ordered.extend(files);
    ordered
}

fn decode(set: &[u8]) -> Vec<FileDescriptorProto> {
    let set = FileDescriptorSet::decode(set).expect("descriptors of this program");
    set.file
}

fn as_published(mut file: FileDescriptorProto) -> FileDescriptorProto {
    let canonical = CANONICAL.iter().find(|(name, _)| *name == file.name());
    if let Some((_, name)) = canonical {
        file.name = Some((*name).to_owned());
    }
    if KNOWN.contains(&file.package()) {
        // Python takes a file that it knows only if it is the same to the last option.
        file.message_type.iter_mut().for_each(forget_json_names);
        if let Some(options) = &mut file.options {
            options.cc_enable_arenas = None;
        }
    }
    file
}

/// They follow from the names of the fields.
fn forget_json_names(message: &mut DescriptorProto) {
    for field in &mut message.field {
        field.json_name = None;
    }
    message.nested_type.iter_mut().for_each(forget_json_names);
}
