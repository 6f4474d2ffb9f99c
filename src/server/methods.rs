//! The methods that the server knows, by the paths of their calls.

use std::collections::HashSet;

use prost_types::FileDescriptorProto;

/// The paths of all methods, a fixed set: what labels and access lines may name.
#[derive(Clone, Debug)]
pub struct Methods(HashSet<String>);

impl Methods {
    /// The methods of the services in `files`.
    #[must_use]
    pub fn new(files: &[FileDescriptorProto]) -> Self {
        let mut paths = HashSet::new();
        for file in files {
            for service in &file.service {
                let methods = service.method.iter();
                paths.extend(methods.map(|method| {
                    format!("/{}.{}/{}", file.package(), service.name(), method.name())
                }));
            }
        }
        Self(paths)
    }

    /// Whether calls with this path go to a method.
    #[must_use]
    pub fn contains(&self, path: &str) -> bool {
        self.0.contains(path)
    }
}
