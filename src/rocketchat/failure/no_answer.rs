//! From a failed connection to our error.

use std::{error::Error as StdError, io};

use super::wait;
use crate::error::{Error, Unavailable};

/// What it means that a request got no answer.
pub(in crate::rocketchat) fn no_answer(error: &reqwest::Error) -> Error {
    if error.is_builder() {
        return Error::Internal;
    }
    let cause = if error.is_dns() {
        Unavailable::UnknownHost
    } else if error.is_connect() && error.is_timeout() {
        Unavailable::ConnectTimeout
    } else if error.is_connect() {
        match find::<io::Error>(error).map(io::Error::kind) {
            _ if find::<rustls::Error>(error).is_some() => Unavailable::TlsHandshake,
            Some(io::ErrorKind::ConnectionRefused) => Unavailable::ConnectionRefused,
            _ => Unavailable::NotConnected,
        }
    } else if find::<hyper::Error>(error).is_some_and(hyper::Error::is_parse) {
        Unavailable::NotHttp
    } else if is_closed(error) {
        Unavailable::ConnectionClosed
    } else {
        Unavailable::NotConnected
    };
    Error::UpstreamUnavailable {
        cause,
        retry_after: wait::UNAVAILABLE,
    }
}

/// What it means that an answer's body ended before its end.
pub(in crate::rocketchat) fn cut_off() -> Error {
    Error::UpstreamUnavailable {
        cause: Unavailable::CutOff,
        retry_after: wait::UNAVAILABLE,
    }
}

/// Whether the connection was closed, or found closed, under the request.
fn is_closed(error: &reqwest::Error) -> bool {
    let by_http = find::<hyper::Error>(error).is_some_and(|error| {
        error.is_incomplete_message() || error.is_canceled() || error.is_closed()
    });
    let by_network = find::<io::Error>(error).is_some_and(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::BrokenPipe
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::UnexpectedEof
        )
    });
    by_http || by_network
}

/// The first error of type `T` in the chain of causes.
fn find<T: StdError + 'static>(error: &reqwest::Error) -> Option<&T> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(found) = cause.downcast_ref() {
            return Some(found);
        }
        // An `io::Error` that wraps another error skips it when asked for its source.
        let wrapped = cause.downcast_ref().and_then(io::Error::get_ref);
        source = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => cause.source(),
        };
    }
    None
}
