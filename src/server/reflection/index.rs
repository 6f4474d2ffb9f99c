//! What can be asked for by reflection: files, by what is in them.

use std::collections::{BTreeMap, HashMap};

use prost::Message;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};

/// Where everything is.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Encoded. What follows has their places here.
    files: Vec<Vec<u8>>,
    names: HashMap<String, usize>,
    /// By the full names of what they declare.
    symbols: HashMap<String, usize>,
    /// By the full names of the messages that they extend, and the numbers of the extensions.
    extensions: HashMap<String, BTreeMap<i32, usize>>,
    services: Vec<String>,
}

/// Adds what one file declares.
struct Reader<'a> {
    index: &'a mut Index,
    file: usize,
}

impl Index {
    /// The index of `files`.
    pub(super) fn new(files: &[FileDescriptorProto]) -> Self {
        let mut index = Self::default();
        for (place, file) in files.iter().enumerate() {
            index.files.push(file.encode_to_vec());
            index.names.insert(file.name().to_owned(), place);
            let mut reader = Reader {
                index: &mut index,
                file: place,
            };
            reader.file(file);
        }
        index
    }

    /// The full names of the services.
    pub(super) fn services(&self) -> &[String] {
        &self.services
    }

    /// The file with this name.
    pub(super) fn file(&self, name: &str) -> Option<&Vec<u8>> {
        self.files.get(*self.names.get(name)?)
    }

    /// The file that declares what has this full name.
    pub(super) fn declaring(&self, symbol: &str) -> Option<&Vec<u8>> {
        self.files.get(*self.symbols.get(symbol)?)
    }

    /// The file that extends `message` with this number.
    pub(super) fn extending(&self, message: &str, number: i32) -> Option<&Vec<u8>> {
        self.files.get(*self.extensions.get(message)?.get(&number)?)
    }

    /// The numbers with which the message with this full name is extended, if it exists.
    pub(super) fn extensions(&self, message: &str) -> Option<Vec<i32>> {
        let numbers = self.extensions.get(message);
        let is_known = numbers.is_some() || self.symbols.contains_key(message);
        is_known.then(|| {
            numbers
                .into_iter()
                .flat_map(BTreeMap::keys)
                .copied()
                .collect()
        })
    }
}

impl Reader<'_> {
    fn file(&mut self, file: &FileDescriptorProto) {
        let package = file.package();
        for message in &file.message_type {
            self.message(package, message);
        }
        for enumeration in &file.enum_type {
            self.enumeration(package, enumeration);
        }
        for extension in &file.extension {
            self.extension(package, extension);
        }
        for service in &file.service {
            let name = self.symbol(package, service.name());
            for method in &service.method {
                self.symbol(&name, method.name());
            }
            self.index.services.push(name);
        }
    }

    fn message(&mut self, scope: &str, message: &DescriptorProto) {
        let name = self.symbol(scope, message.name());
        for field in &message.field {
            self.symbol(&name, field.name());
        }
        for oneof in &message.oneof_decl {
            self.symbol(&name, oneof.name());
        }
        for extension in &message.extension {
            self.extension(&name, extension);
        }
        for message in &message.nested_type {
            self.message(&name, message);
        }
        for enumeration in &message.enum_type {
            self.enumeration(&name, enumeration);
        }
    }

    /// The values are in the scope of the enumeration, as in C++.
    fn enumeration(&mut self, scope: &str, enumeration: &EnumDescriptorProto) {
        self.symbol(scope, enumeration.name());
        for value in &enumeration.value {
            self.symbol(scope, value.name());
        }
    }

    fn extension(&mut self, scope: &str, extension: &FieldDescriptorProto) {
        self.symbol(scope, extension.name());
        let extended = extension.extendee().trim_start_matches('.').to_owned();
        let numbers = self.index.extensions.entry(extended).or_default();
        numbers.insert(extension.number(), self.file);
    }

    /// Gives the full name.
    fn symbol(&mut self, scope: &str, name: &str) -> String {
        let full_name = match scope {
            "" => name.to_owned(),
            scope => format!("{scope}.{name}"),
        };
        self.index.symbols.insert(full_name.clone(), self.file);
        full_name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str) -> FieldDescriptorProto {
        FieldDescriptorProto {
            name: Some(name.to_owned()),
            ..FieldDescriptorProto::default()
        }
    }

    /// None of the program's own files has extensions.
    #[test]
    fn extensions_are_found_by_message_and_number() {
        let extension = |name, number| FieldDescriptorProto {
            extendee: Some(".p.Extended".to_owned()),
            number: Some(number),
            ..field(name)
        };
        let message = |name: &str| DescriptorProto {
            name: Some(name.to_owned()),
            ..DescriptorProto::default()
        };
        let extended = FileDescriptorProto {
            name: Some("extended.proto".to_owned()),
            package: Some("p".to_owned()),
            message_type: vec![message("Extended"), message("Other")],
            ..FileDescriptorProto::default()
        };
        let extending = FileDescriptorProto {
            name: Some("extending.proto".to_owned()),
            extension: vec![extension("one", 101)],
            message_type: vec![DescriptorProto {
                extension: vec![extension("two", 100)],
                ..message("Outer")
            }],
            ..FileDescriptorProto::default()
        };
        let index = Index::new(&[extended, extending.clone()]);
        let extending = extending.encode_to_vec();
        for number in [100, 101] {
            assert_eq!(index.extending("p.Extended", number), Some(&extending));
        }
        assert_eq!(index.extending("p.Extended", 102), None);
        assert_eq!(index.extensions("p.Extended"), Some(vec![100, 101]));
        assert_eq!(index.extensions("p.Other"), Some(vec![]));
        assert_eq!(index.extensions("p.Unknown"), None);
        for symbol in ["one", "Outer.two"] {
            assert_eq!(index.declaring(symbol), Some(&extending), "{symbol}");
        }
    }
}
