//! `descriptor`: the proto as other tools read it.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use prost::Message;

use super::{done, fail};
use crate::app;

pub(super) fn run() -> ExitCode {
    let mut stdout = io::stdout();
    if stdout.is_terminal() {
        return fail("the descriptor set is binary: send it to a file, as with > videoconf.binpb");
    }
    let descriptors = app::descriptor_set().encode_to_vec();
    done(stdout.write_all(&descriptors).and_then(|()| stdout.flush()))
}
