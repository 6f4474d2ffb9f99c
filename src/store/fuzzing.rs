//! Doors for fuzzers to the parsers of what stands in the store, which are private otherwise.

use std::{collections::HashMap, time::Duration};

use prost::Message;

use super::{entries, said::Said};
use crate::route::INFO;

/// What an entry of the ledger with these fields says, as fields again; `None` if it says nothing.
#[must_use]
pub fn entry(fields: &HashMap<String, String>) -> Option<HashMap<String, String>> {
    let (by, event) = entries::event(fields)?;
    let fields = entries::fields(by, &event).into_iter();
    Some(fields.map(|(name, text)| (name.to_owned(), text)).collect())
}

/// What an unsealed value of the shelf says, as one again; `None` if it says nothing.
#[must_use]
pub fn said(value: &[u8]) -> Option<Vec<u8>> {
    let said = Said::decode(value).ok()?;
    let (read_at, wall) = (Duration::from_micros(said.read_at), said.wall());
    let said = said.into_said(&INFO)?;
    Some(Said::new(&said, read_at, wall)?.encode_to_vec())
}
