//! How a connection begins: HTTP/2 is what begins with its preface, and nothing else; what could be a head of
//! HTTP/1 is taken for one; and a connection that is served loses nothing of what was said, in whatever pieces.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tokio::{io::AsyncReadExt, runtime};
use videoconf_facade::server::fuzzing;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fuzz_target!(|bytes: &[u8]| {
    let Some((&cut, said)) = bytes.split_first() else {
        return;
    };
    // A short piece between a long one and the rest.
    let (first, rest) = said.split_at(usize::from(cut).min(said.len()));
    let (second, third) = rest.split_at((usize::from(cut) % 5).min(rest.len()));
    let pieces = || first.chain(second).chain(third);
    let runtime = runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let served = runtime.block_on(fuzzing::served(pieces(), true));
    let without_http1 = runtime.block_on(fuzzing::served(pieces(), false));

    let is_http2 = served.as_ref().is_some_and(|it| !it.http1);
    assert_eq!(is_http2, said.starts_with(PREFACE));
    assert_eq!(without_http1.is_some(), is_http2);
    assert!(without_http1.is_none_or(|it| !it.http1 && it.read == said));
    if is_head(said) {
        assert!(served.is_some());
    }
    if let Some(served) = served {
        assert_eq!(served.read, said);
    }
});

/// Whether this is the head of a request in HTTP/1, as browsers, tools and proxies send it.
fn is_head(said: &[u8]) -> bool {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    if !matches!(request.parse(said), Ok(httparse::Status::Complete(_))) {
        return false;
    }
    let (method, target) = (request.method.unwrap_or(""), request.path.unwrap_or(""));
    let is_target = ["/", "*", "http:", "https:"]
        .iter()
        .any(|it| target.starts_with(it));
    // A load balancer's greeting looks like one of a method PROXY; a line ending before it is skipped by parsers.
    method.bytes().all(|it| it.is_ascii_uppercase())
        && method != "PROXY"
        && (is_target || method == "CONNECT")
        && said.starts_with(method.as_bytes())
}
