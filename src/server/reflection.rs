//! Reflection in both of its versions: older tools ask only for v1alpha.

use tonic::service::RoutesBuilder;
use tonic_reflection::{pb, server::Builder};

/// What the rim itself serves.
const RIM: [&[u8]; 3] = [
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    pb::v1::FILE_DESCRIPTOR_SET,
    pb::v1alpha::FILE_DESCRIPTOR_SET,
];

/// Adds reflection to `routes`: what is in `descriptor_sets`, health, and reflection itself.
///
/// # Panics
/// If a descriptor set can't be read. They are part of the program.
pub fn reflection(routes: &mut RoutesBuilder, descriptor_sets: &[&[u8]]) {
    let builder = || {
        with_rim(descriptor_sets)
            .fold(Builder::configure(), |builder, descriptors| {
                builder.register_encoded_file_descriptor_set(descriptors)
            })
            .include_reflection_service(false)
    };
    routes
        .add_service(builder().build_v1().expect("descriptors of this program"))
        .add_service(
            builder()
                .build_v1alpha()
                .expect("descriptors of this program"),
        );
}

/// `descriptor_sets` with those of health and of reflection.
pub(super) fn with_rim<'a>(descriptor_sets: &'a [&'a [u8]]) -> impl Iterator<Item = &'a [u8]> {
    RIM.iter().chain(descriptor_sets).copied()
}
