//! The page that an operator looks at: what the facade is doing now, drawn. Nothing in it comes from elsewhere.

/// The page itself.
pub const HTML: &str = include_str!("../../assets/operators/index.html");

/// What draws it, from the history.
pub const SCRIPT: &str = include_str!("../../assets/operators/page.js");
