//! Each way round the rules, and what the reader sees of it.

use std::collections::BTreeSet;

use super::reader::read;

/// What a file says, its path below `src`, and the paths that are read from it.
const EVASIONS: &[(&str, &str, &[&str])] = &[
    // A list with braces for one name.
    ("use tonic::{Request};", "lookup.rs", &["tonic::Request"]),
    // Nested lists, with `self` in them.
    (
        "use crate::{api::{self, metadata::{read}}, server};",
        "lookup.rs",
        &["crate::api", "crate::api::metadata::read", "crate::server"],
    ),
    // Relative paths, from files and from modules in them.
    (
        "use super::super::server;",
        "lookup/direct.rs",
        &["crate::server"],
    ),
    (
        "mod inner { fn f() { super::super::server::g() } }",
        "lookup.rs",
        &["crate::server::g"],
    ),
    ("use super::server;", "lookup/mod.rs", &["crate::server"]),
    ("use self::super::server;", "lookup.rs", &["crate::server"]),
    (
        "use self::direct::find;",
        "lookup.rs",
        &["crate::lookup::direct::find"],
    ),
    (
        "mod direct; use direct::find;",
        "lookup.rs",
        &["crate::lookup::direct::find"],
    ),
    // The crate by its own name.
    (
        "fn f() { videoconf_facade::server::g() }",
        "lookup.rs",
        &["crate::server::g"],
    ),
    (
        "use ::videoconf_facade::server;",
        "lookup.rs",
        &["crate::server"],
    ),
    // A function with its module's name.
    (
        "mod inner { use tonic::Status; fn inner() { Status::new() } } use inner::inner;",
        "lookup.rs",
        &[
            "crate::lookup::inner::inner",
            "tonic::Status",
            "tonic::Status::new",
        ],
    ),
    // Raw identifiers.
    ("use r#tonic::r#Request;", "lookup.rs", &["tonic::Request"]),
    // Globs.
    ("use tonic::*;", "lookup.rs", &["tonic::*"]),
    (
        "use crate::{server::*};",
        "lookup.rs",
        &["crate::server::*"],
    ),
    // Renames: of a module, the crate, another crate, a type, by re-export.
    (
        "use crate::server as s; fn f() { s::x() }",
        "lookup.rs",
        &["crate::server", "crate::server::x"],
    ),
    (
        "use crate as c; fn f() { c::server::x() }",
        "lookup.rs",
        &["crate::server::x"],
    ),
    (
        "use hyper_rustls as r; type T = r::HttpsConnector;",
        "lookup.rs",
        &["hyper_rustls::HttpsConnector"],
    ),
    (
        "extern crate hyper_rustls as r; type T = r::HttpsConnector;",
        "lookup.rs",
        &["hyper_rustls::HttpsConnector"],
    ),
    (
        "fn f() { use tonic::Status as S; S::new() }",
        "lookup.rs",
        &["tonic::Status", "tonic::Status::new"],
    ),
    (
        "type S = tonic::Status; fn f() { S::new() }",
        "lookup.rs",
        &["tonic::Status", "tonic::Status::new"],
    ),
    (
        "mod inner { pub use tonic::Status as S; } fn f() { inner::S::new() }",
        "lookup.rs",
        &["tonic::Status", "tonic::Status::new"],
    ),
    (
        "use uuid::{self}; type T = uuid::Uuid;",
        "lookup.rs",
        &["uuid::Uuid"],
    ),
    // Types that stand elsewhere than in front.
    (
        "fn f() { <::tonic::Status>::new() }",
        "lookup.rs",
        &["tonic::Status", "tonic::Status::new"],
    ),
    (
        "mod inner { impl T for super::Status { fn f() { Self::new() } } } use tonic::Status;",
        "lookup.rs",
        &["tonic::Status", "tonic::Status::new"],
    ),
    (
        "fn f(_: Vec<tonic::Request<()>>) {}",
        "lookup.rs",
        &["tonic::Request"],
    ),
    // Attributes, and what they hold.
    (
        "#[tonic::async_trait] trait T {}",
        "lookup.rs",
        &["tonic::async_trait"],
    ),
    (
        "#[arg(value_parser = crate::server::x)] struct S;",
        "lookup.rs",
        &["crate::server::x"],
    ),
    // Macros.
    (
        "use tonic::Status; m!(a, [Status::new()]);",
        "lookup.rs",
        &["tonic::Status", "tonic::Status::new"],
    ),
    (
        "macro_rules! m { () => { $crate::server::x(); ::tonic::Request::<u8>::new() } }",
        "lookup.rs",
        &["crate::server::x", "tonic::Request"],
    ),
    (
        "m! { pub use crate::{server as s}; s::x() }",
        "lookup.rs",
        &["crate::server", "crate::server::x"],
    ),
    // Secrets.
    ("fn f() { token.expose(); }", "lookup.rs", &["_::expose"]),
    ("m!(token.expose());", "lookup.rs", &["_::expose"]),
    (
        "use crate::credentials::AuthToken; m!(AuthToken::expose);",
        "lookup.rs",
        &[
            "crate::credentials::AuthToken",
            "crate::credentials::AuthToken::expose",
        ],
    ),
    // What is for tests only doesn't count, what looks like it does.
    ("#[cfg(test)] mod tests { use super::*; }", "lookup.rs", &[]),
    (
        "#[cfg(test)] use tonic::Request; #[cfg(test)] fn f() { crate::server::g() }",
        "lookup.rs",
        &[],
    ),
    (
        "#[cfg(not(test))] use tonic::Request;",
        "lookup.rs",
        &["tonic::Request"],
    ),
];

#[test]
fn nothing_gets_round_the_reader() {
    for (text, file, expected) in EVASIONS {
        let mentions = read([(*file, *text)]);
        let paths: BTreeSet<_> = mentions.iter().map(|it| &*it.path).collect();
        let expected = expected.iter().copied().collect();
        assert_eq!(paths, expected, "{text}");
    }
}
