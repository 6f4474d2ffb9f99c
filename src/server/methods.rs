//! The methods that the server knows, by the paths of their calls.

use std::{collections::HashMap, sync::Arc};

use prost_types::FileDescriptorProto;

use crate::metrics::{Kind, Method};

/// The methods of all services, a fixed set: what labels and access lines may name. Clones are the same.
#[derive(Clone, Debug)]
pub struct Methods {
    all: Arc<[Method]>,
    /// Their places in it.
    by_path: Arc<HashMap<String, usize>>,
}

impl Methods {
    /// The methods of the services in `files`.
    #[must_use]
    pub fn new(files: &[FileDescriptorProto]) -> Self {
        let mut all = Vec::new();
        for file in files {
            for service in &file.service {
                let name = format!("{}.{}", file.package(), service.name());
                let methods = service.method.iter();
                all.extend(methods.map(|method| Method {
                    service: name.clone(),
                    name: method.name().to_owned(),
                    kind: match (method.client_streaming(), method.server_streaming()) {
                        (false, false) => Kind::Unary,
                        (true, false) => Kind::ClientStream,
                        (false, true) => Kind::ServerStream,
                        (true, true) => Kind::BidiStream,
                    },
                }));
            }
        }
        let path = |method: &Method| format!("/{}/{}", method.service, method.name);
        let by_path = all.iter().enumerate();
        let by_path = by_path.map(|(place, method)| (path(method), place));
        Self {
            by_path: Arc::new(by_path.collect()),
            all: all.into(),
        }
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Method] {
        &self.all
    }

    /// The place among them of the method to which calls with this path go, if there is one.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<usize> {
        self.by_path.get(path).copied()
    }
}
