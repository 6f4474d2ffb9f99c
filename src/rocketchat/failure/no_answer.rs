//! From a failed connection to our error.

use std::{error::Error as StdError, io};

use hyper_util::client::legacy;
use rustls::CertificateError;

use super::{
    causes::{causes, find},
    wait,
};
use crate::error::{Error, Unavailable};

/// What it means that a request got no answer.
pub(in crate::rocketchat) fn no_answer(error: &legacy::Error) -> Error {
    let by_http = find::<hyper::Error>(error);
    if by_http.is_some_and(hyper::Error::is_parse_too_large) {
        return Error::UpstreamMalformed {
            http_status: None,
            problem: "headers beyond the limit",
            detail: None,
        };
    }
    let cause = if error.is_connect() {
        no_connection(error)
    } else if let Some(error) = find(error) {
        // A server may say what it thinks of our side of the handshake after the end of it.
        tls(error)
    } else if by_http.is_some_and(hyper::Error::is_parse) {
        Unavailable::NotHttp
    } else if is_closed(error) || by_http.is_some_and(is_closed_by_http) {
        Unavailable::ConnectionClosed
    } else {
        Unavailable::NotConnected
    };
    unavailable(cause)
}

/// What it means that an answer's body ended before its end.
pub(in crate::rocketchat) fn cut_off() -> Error {
    unavailable(Unavailable::CutOff)
}

/// What it means that a proxy asks for credentials.
pub(in crate::rocketchat) fn proxy_authentication() -> Error {
    unavailable(Unavailable::ProxyAuthentication)
}

fn unavailable(cause: Unavailable) -> Error {
    Error::UpstreamUnavailable {
        cause,
        retry_after: wait::UNAVAILABLE,
    }
}

fn no_connection(error: &legacy::Error) -> Unavailable {
    // The library tells some of them in words only.
    let mut told = causes(error).map(ToString::to_string);
    if let Some(cause) = told.find_map(|words| tunnel(&words).or_else(|| resolver(&words))) {
        cause
    } else if has_kind(error, &[io::ErrorKind::TimedOut]) {
        Unavailable::ConnectTimeout
    } else if let Some(error) = find(error) {
        tls(error)
    } else if has_kind(error, &[io::ErrorKind::ConnectionRefused]) {
        Unavailable::ConnectionRefused
    } else if is_closed(error) {
        Unavailable::ClosedInHandshake
    } else {
        Unavailable::NotConnected
    }
}

/// What it means that a name has no address.
fn resolver(text: &str) -> Option<Unavailable> {
    (text == "dns error").then_some(Unavailable::UnknownHost)
}

/// What it means that a proxy makes no tunnel.
fn tunnel(text: &str) -> Option<Unavailable> {
    match text.strip_prefix("tunnel error: ")? {
        "proxy authorization required" => Some(Unavailable::ProxyAuthentication),
        "unexpected end of file" | "io error establishing tunnel" => {
            Some(Unavailable::ClosedInHandshake)
        }
        // There is no connection to the proxy; what is wrong with that stands further down.
        "failed to create underlying connection" => None,
        _ => Some(Unavailable::ProxyRefused),
    }
}

fn tls(error: &rustls::Error) -> Unavailable {
    let rustls::Error::InvalidCertificate(error) = error else {
        return Unavailable::Tls;
    };
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Unavailable::CertificateExpired
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Unavailable::CertificateNotYetValid
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Unavailable::CertificateForAnotherName
        }
        // The latter if somebody has the name of an authority, and another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            Unavailable::AuthorityNotTrusted
        }
        _ => Unavailable::Tls,
    }
}

/// Whether the network says that the connection was closed.
fn is_closed(error: &legacy::Error) -> bool {
    has_kind(
        error,
        &[
            io::ErrorKind::BrokenPipe,
            io::ErrorKind::ConnectionAborted,
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::UnexpectedEof,
        ],
    )
}

/// Whether the connection was closed, or found closed, under the request.
fn is_closed_by_http(error: &hyper::Error) -> bool {
    error.is_incomplete_message() || error.is_canceled() || error.is_closed()
}

/// Whether one of the causes is an error of the system of one of these kinds.
fn has_kind(error: &(dyn StdError + 'static), kinds: &[io::ErrorKind]) -> bool {
    causes(error)
        .filter_map(|cause| cause.downcast_ref())
        .any(|cause: &io::Error| kinds.contains(&cause.kind()))
}
