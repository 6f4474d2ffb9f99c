//! The methods that the server knows, by the paths of their calls.

use std::collections::HashSet;

use prost::Message;
use prost_types::FileDescriptorSet;

use super::reflection::with_rim;

/// The paths of all methods, a fixed set: what labels and access lines may name.
#[derive(Clone, Debug)]
pub struct Methods(HashSet<String>);

/// The methods in `descriptor_sets`, of health and of reflection.
///
/// # Panics
/// If a descriptor set can't be read. They are part of the program.
#[must_use]
pub fn methods(descriptor_sets: &[&[u8]]) -> Methods {
    let mut paths = HashSet::new();
    for set in with_rim(descriptor_sets) {
        let set = FileDescriptorSet::decode(set).expect("descriptors of this program");
        for file in &set.file {
            for service in &file.service {
                let methods = service.method.iter();
                paths.extend(methods.map(|method| {
                    format!("/{}.{}/{}", file.package(), service.name(), method.name())
                }));
            }
        }
    }
    Methods(paths)
}

impl Methods {
    /// Whether calls with this path go to a method.
    #[must_use]
    pub fn contains(&self, path: &str) -> bool {
        self.0.contains(path)
    }
}
