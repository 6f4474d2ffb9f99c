//! An answer as it stands on the wire, which is what seeds look like.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// The status, the headers, and what follows them; `None` if no client would make an answer of it.
pub fn read(bytes: &[u8]) -> Option<(StatusCode, HeaderMap, &[u8])> {
    let mut lines = [httparse::EMPTY_HEADER; 16];
    let mut answer = httparse::Response::new(&mut lines);
    let httparse::Status::Complete(length) = answer.parse(bytes).ok()? else {
        return None;
    };
    let mut headers = HeaderMap::new();
    for line in answer.headers {
        headers.append(
            HeaderName::try_from(line.name).ok()?,
            HeaderValue::from_bytes(line.value).ok()?,
        );
    }
    let status = StatusCode::from_u16(answer.code?).ok()?;
    Some((status, headers, &bytes[length..]))
}
