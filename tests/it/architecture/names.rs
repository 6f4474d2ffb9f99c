//! What the names of the crate stand for, so that no renaming hides what is meant.

use std::collections::{BTreeMap, BTreeSet};

/// The names between the `::` of a path.
pub(super) type Path = Vec<String>;

/// A path as a module writes it: from the root (`crate`), from another crate for sure (the first name
/// is empty, as before a leading `::`), or from whatever its first name stands for there.
pub(super) struct Written {
    pub(super) module: Path,
    pub(super) path: Path,
}

/// What stands behind each path from the root: for an import what it imports, more than one thing if
/// its scopes share a name. A module stands for itself.
#[derive(Default)]
pub(super) struct Names {
    imports: BTreeMap<Path, Vec<Written>>,
    modules: BTreeSet<Path>,
}

impl Names {
    pub(super) fn add_module(&mut self, module: &[String]) {
        self.modules.insert(module.to_vec());
    }

    pub(super) fn add_import(&mut self, name: Path, behind: Written) {
        self.imports.entry(name).or_default().push(behind);
    }

    /// What `written` means, from the root or from another crate.
    pub(super) fn resolve(&self, written: &Written) -> Vec<Path> {
        let path = self.absolute(written);
        for length in 1..=path.len() {
            let (name, rest) = path.split_at(length);
            // What is imported under a module's name is a function: paths go on in the module.
            if !rest.is_empty() && self.modules.contains(name) {
                continue;
            }
            if let Some(imported) = self.imports.get(name) {
                let onwards = imported.iter().map(|Written { module, path }| Written {
                    module: module.clone(),
                    path: [path, rest].concat(),
                });
                return onwards.flat_map(|it| self.resolve(&it)).collect();
            }
        }
        vec![path]
    }

    fn absolute(&self, Written { module, path }: &Written) -> Path {
        if path[0].is_empty() {
            return path[1..].to_vec();
        }
        let here = [&module[..], path].concat();
        let start = &here[..=module.len()];
        if self.modules.contains(start) || self.imports.contains_key(start) {
            here
        } else {
            path.clone()
        }
    }
}

pub(super) fn path_of<'a>(names: impl IntoIterator<Item = &'a str>) -> Path {
    names.into_iter().map(str::to_owned).collect()
}

pub(super) fn parent(module: &[String]) -> Path {
    module[..module.len() - 1].to_vec()
}

/// The path of a method, whose type isn't known.
pub(super) fn method(name: &str) -> Path {
    path_of(["_", name])
}
