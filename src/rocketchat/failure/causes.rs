//! The chain of causes behind an error of the HTTP library.

use std::{error::Error as StdError, io, iter};

/// The longest text of a chain, in bytes: certificates of others are quoted in it.
const MAX_BYTES: usize = 512;

/// `error` and what caused it, from the outermost on.
pub(super) fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    iter::successors(Some(error), |&cause| {
        // An `io::Error` that wraps another error skips it when asked for its source.
        match cause.downcast_ref().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => cause.source(),
        }
    })
}

/// The first cause of type `T`.
pub(super) fn find<'a, T: StdError + 'static>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a T> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// The chain in a line, for an operator.
pub(in crate::rocketchat) fn text(error: &(dyn StdError + 'static)) -> String {
    let mut texts: Vec<_> = causes(error).map(ToString::to_string).collect();
    // A wrapper says what it wraps.
    texts.dedup();
    let mut text = texts.join(": ");
    text.truncate(text.floor_char_boundary(MAX_BYTES));
    text
}
