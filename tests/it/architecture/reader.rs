//! Reads what each module mentions outside of its tests. Paths that a macro puts together from what it
//! is given can't be read, nor can those in strings.

use std::{collections::BTreeSet, mem};

use syn::{
    Attribute, ExprMethodCall, ExprPath, Ident, Item, ItemExternCrate, ItemImpl, ItemMod, ItemType,
    ItemUse, Macro, MetaList, Token, Type, UseTree,
    ext::IdentExt,
    parse::{ParseStream, discouraged::AnyDelimiter},
    visit::{self, Visit},
};

use super::names::{Names, Path, Written, method, parent, path_of};

const OWN_NAME: &str = "videoconf_facade";

/// A module, and a path that it mentions, both without renames: `crate::…`, or another crate's
/// `tonic::…`. A method is one of a type that is unknown, `_::method`; a glob is `…::*`.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mention {
    pub(super) module: String,
    pub(super) path: String,
}

/// Walks through the files, and collects what they say.
#[derive(Default)]
struct Reader {
    names: Names,
    written: Vec<Written>,
    /// Modules for tests: what is in files of their own is read like any other, and left out then.
    tests: Vec<Path>,
    /// Where the walk is.
    module: Path,
    /// What `Self` is there, if it is an `impl`.
    receiver: Option<Path>,
}

/// What files mention, each given as its path below `src` and its text.
pub(super) fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> BTreeSet<Mention> {
    let mut reader = Reader::default();
    for (file, text) in files {
        reader.module = module_of(file);
        reader.names.add_module(&reader.module);
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        reader.visit_file(&file);
    }
    reader.mentions()
}

impl Reader {
    fn mentions(self) -> BTreeSet<Mention> {
        let Self {
            names,
            tests,
            mut written,
            ..
        } = self;
        written.retain(|it| !tests.iter().any(|test| it.module.starts_with(test)));
        let mut mentions = BTreeSet::new();
        for written in written {
            let module = written.module.join("::");
            for path in names.resolve(&written) {
                // A lone name is a variable, a field, or something of the module itself.
                if path.len() > 1 {
                    let (module, path) = (module.clone(), path.join("::"));
                    mentions.insert(Mention { module, path });
                }
            }
        }
        mentions
    }

    fn mention(&mut self, path: Path) {
        // Alone, these are a value or the reach of a `pub`.
        if path != ["self"] && path != ["super"] {
            self.written.push(self.written(path));
        }
    }

    /// `path` as it is written here, but what is relative to this place starts at the root.
    fn written(&self, mut path: Path) -> Written {
        if path.starts_with(&path_of(["", OWN_NAME])) {
            path.remove(0);
        }
        let first = path.remove(0);
        let mut start = match (first.as_str(), &self.receiver) {
            ("self", _) => self.module.clone(),
            ("super", _) => parent(&self.module),
            ("crate" | OWN_NAME, _) => path_of(["crate"]),
            ("Self", Some(receiver)) => receiver.clone(),
            _ => vec![first],
        };
        while path.first().is_some_and(|name| name == "super") {
            path.remove(0);
            start = parent(&start);
        }
        Written {
            module: self.module.clone(),
            path: [start, path].concat(),
        }
    }

    /// From here on `name` stands for `path` in this module.
    fn import(&mut self, name: &str, mut path: Path) {
        // Else the name would stand for itself: `use uuid::{self}` means the crate.
        if path[0] == name {
            path.insert(0, String::new());
        }
        let behind = self.written(path);
        self.names.add_import(self.here(name), behind);
    }

    fn here(&self, name: &str) -> Path {
        [&self.module[..], &path_of([name])].concat()
    }

    fn read_use(&mut self, mut path: Path, tree: &UseTree) {
        let (name, alias) = match tree {
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.read_use(path.clone(), tree);
                }
                return;
            }
            UseTree::Path(step) => {
                path.push(text(&step.ident));
                return self.read_use(path, &step.tree);
            }
            UseTree::Glob(_) => {
                path.push("*".to_owned());
                return self.mention(path);
            }
            UseTree::Name(it) => (text(&it.ident), None),
            UseTree::Rename(it) => (text(&it.ident), Some(text(&it.rename))),
        };
        // In a list, `self` is what stands before the list.
        if name != "self" || path.is_empty() {
            path.push(name);
        }
        let name = alias.unwrap_or_else(|| path[path.len() - 1].clone());
        self.import(&name, path.clone());
        self.mention(path);
    }

    /// A macro may put its tokens anywhere, so that all names joined by `::` count.
    fn read_tokens(&mut self, tokens: ParseStream) -> syn::Result<()> {
        while !tokens.is_empty() {
            if tokens.peek(Token![use])
                && let Ok(item) = tokens.fork().parse()
            {
                self.visit_item_use(&item);
            }
            let after_dot = tokens.parse::<Option<Token![.]>>()?.is_some();
            let path = next_path(tokens)?;
            if !path.is_empty() {
                let is_method = after_dot && path.len() == 1;
                self.mention(if is_method { method(&path[0]) } else { path });
            } else if let Ok((_, _, inner)) = tokens.parse_any_delimiter() {
                self.read_tokens(&inner)?;
            } else if !tokens.is_empty() {
                tokens.step(|at| match at.token_tree() {
                    Some((_, rest)) => Ok(((), rest)),
                    None => Err(at.error("a token")),
                })?;
            }
        }
        Ok(())
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes(item).iter().any(is_for_tests) {
            visit::visit_item(self, item);
        } else if let Item::Mod(module) = item {
            self.tests.push(self.here(&text(&module.ident)));
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let elsewhere = item.attrs.iter().any(|it| it.path().is_ident("path"));
        assert!(!elsewhere, "a file's path says which module it is");
        let inner = self.here(&text(&item.ident));
        self.names.add_module(&inner);
        let outer = mem::replace(&mut self.module, inner);
        visit::visit_item_mod(self, item);
        self.module = outer;
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        let receiver = self.written(type_path(&item.self_ty)).path;
        let outer = self.receiver.replace(receiver);
        visit::visit_item_impl(self, item);
        self.receiver = outer;
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let start = item.leading_colon.iter().map(|_| String::new());
        self.read_use(start.collect(), &item.tree);
    }

    fn visit_item_extern_crate(&mut self, item: &'ast ItemExternCrate) {
        if let Some((_, alias)) = &item.rename {
            // Known in every module, as crates are.
            let behind = self.written(path_of([&*text(&item.ident)]));
            self.names.add_import(path_of([&*text(alias)]), behind);
        }
    }

    fn visit_item_type(&mut self, item: &'ast ItemType) {
        self.import(&text(&item.ident), type_path(&item.ty));
        visit::visit_item_type(self, item);
    }

    fn visit_expr_path(&mut self, path: &'ast ExprPath) {
        // `<Type>::name` and `<Type as Trait>::name` are `Type::name`, too.
        if let Some(receiver) = &path.qself {
            let names = path.path.segments.iter().skip(receiver.position);
            let names = names.map(|segment| text(&segment.ident)).collect();
            self.mention([type_path(&receiver.ty), names].concat());
        }
        visit::visit_expr_path(self, path);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.mention(names_of(path));
        visit::visit_path(self, path);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        self.mention(method(&text(&call.method)));
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        let included = names_of(&call.path).ends_with(&path_of(["include"]));
        assert!(!included, "a file's path says which module it is");
        self.visit_path(&call.path);
        let read = call.parse_body_with(|tokens: ParseStream| self.read_tokens(tokens));
        read.expect("any tokens are fine");
    }

    fn visit_meta_list(&mut self, list: &'ast MetaList) {
        self.visit_path(&list.path);
        let read = list.parse_args_with(|tokens: ParseStream| self.read_tokens(tokens));
        read.expect("any tokens are fine");
    }
}

fn module_of(file: &str) -> Path {
    if matches!(file, "lib.rs" | "main.rs") {
        return path_of(["crate"]);
    }
    let file = file.trim_end_matches(".rs").trim_end_matches("/mod");
    path_of(["crate"].into_iter().chain(file.split('/')))
}

/// `r#name` is `name`.
fn text(name: &Ident) -> String {
    name.unraw().to_string()
}

fn names_of(path: &syn::Path) -> Path {
    let start = path.leading_colon.iter().map(|_| String::new());
    let names = path.segments.iter().map(|segment| text(&segment.ident));
    start.chain(names).collect()
}

/// The path of a type that has one.
fn type_path(of: &Type) -> Path {
    match of {
        Type::Path(named) if named.qself.is_none() => names_of(&named.path),
        _ => path_of(["_"]),
    }
}

/// The names joined by `::` that come next, if any.
fn next_path(tokens: ParseStream) -> syn::Result<Path> {
    let mut path = Path::new();
    if tokens.parse::<Option<Token![::]>>()?.is_some() {
        path.push(String::new());
    }
    while tokens.peek(Ident::peek_any) {
        path.push(text(&tokens.call(Ident::parse_any)?));
        // `::` is two tokens.
        if !(tokens.peek(Token![::]) && tokens.peek3(Ident::peek_any)) {
            break;
        }
        tokens.parse::<Token![::]>()?;
    }
    Ok(path)
}

fn is_for_tests(attribute: &Attribute) -> bool {
    let condition = attribute.parse_args::<Ident>();
    attribute.path().is_ident("cfg") && condition.is_ok_and(|it| it == "test")
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(it) => &it.attrs,
        Item::Enum(it) => &it.attrs,
        Item::ExternCrate(it) => &it.attrs,
        Item::Fn(it) => &it.attrs,
        Item::Impl(it) => &it.attrs,
        Item::Macro(it) => &it.attrs,
        Item::Mod(it) => &it.attrs,
        Item::Static(it) => &it.attrs,
        Item::Struct(it) => &it.attrs,
        Item::Trait(it) => &it.attrs,
        Item::Type(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        _ => &[],
    }
}
