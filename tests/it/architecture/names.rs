//! What the names of the crate stand for, so that no renaming hides what is meant.

use std::collections::BTreeMap;

/// The names between the `::` of a path.
pub(super) type Path = Vec<String>;

/// A path as a module writes it: from the root (`crate`), from another crate for sure (the first name
/// is empty, as before a leading `::`), or from whatever its first name stands for there.
pub(super) struct Written {
    pub(super) module: Path,
    pub(super) path: Path,
}

/// What stands behind each path from the root: for an import what it imports, more than one thing if
/// its scopes share a name. A module stands for itself and has nothing behind it.
#[derive(Default)]
pub(super) struct Names(BTreeMap<Path, Vec<Written>>);

impl Names {
    pub(super) fn add_module(&mut self, module: &[String]) {
        self.0.entry(module.to_vec()).or_default();
    }

    pub(super) fn add_import(&mut self, name: Path, behind: Written) {
        self.0.entry(name).or_default().push(behind);
    }

    /// What `written` means, from the root or from another crate.
    pub(super) fn resolve(&self, written: &Written) -> Vec<Path> {
        let path = self.absolute(written);
        for length in 1..=path.len() {
            let (name, rest) = path.split_at(length);
            if let Some(imported) = self.0.get(name).filter(|behind| !behind.is_empty()) {
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
        if self.0.contains_key(&here[..=module.len()]) {
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
