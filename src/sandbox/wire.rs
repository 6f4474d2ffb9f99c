//! Puts an answer into HTTP/1.1 bytes.

use std::fmt::Write as _;
use std::time::SystemTime;

use http::StatusCode;

use super::reply::{Ending, Reply};

/// What the answer's form depends on besides the reply.
pub(super) struct Form {
    /// The time for the `Date` header.
    pub date: SystemTime,
    /// The request was a HEAD: everything but the body is sent.
    pub head_only: bool,
    /// The connection ends with this answer, which is announced.
    pub last: bool,
}

/// All the bytes that will ever be sent of this reply: its head, its body, and the end of that, if
/// it is chunked.
pub(super) fn encode(reply: &Reply, form: &Form) -> [Vec<u8>; 3] {
    let head = head(reply, form).into_bytes();
    if form.head_only || !may_have_body(reply.status) {
        return [head, Vec::new(), Vec::new()];
    }
    let [body, end] = body(reply);
    [head, body, end]
}

fn head(reply: &Reply, form: &Form) -> String {
    let status = StatusCode::from_u16(reply.status).ok();
    let reason = status.and_then(|status| status.canonical_reason());
    let mut head = format!("HTTP/1.1 {} {}\r\n", reply.status, reason.unwrap_or(""));
    let mut automatic = Vec::new();
    automatic.push(("Date", httpdate::fmt_http_date(form.date)));
    if reply.chunked {
        automatic.push(("Transfer-Encoding", "chunked".to_owned()));
    } else if may_have_body(reply.status) {
        automatic.push(("Content-Length", reply.body.len().to_string()));
    }
    if form.last {
        automatic.push(("Connection", "close".to_owned()));
    }
    automatic.retain(|(name, _)| !reply.has_header(name));
    let given = reply.headers.iter().map(|(n, v)| (n.as_str(), v.as_str()));
    let automatic = automatic.iter().map(|(n, v)| (*n, v.as_str()));
    for (name, value) in given.chain(automatic) {
        // Writing to a String cannot fail.
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head + "\r\n"
}

fn body(reply: &Reply) -> [Vec<u8>; 2] {
    let (limit, complete) = match reply.ending {
        Ending::CutAfter(limit) | Ending::HangAfter(limit) => (limit, false),
        _ => (usize::MAX, true),
    };
    let part = &reply.body[..reply.body.len().min(limit)];
    if !reply.chunked {
        return [part.to_vec(), Vec::new()];
    }
    // An empty chunk would end the body.
    let chunk = if part.is_empty() {
        Vec::new()
    } else {
        let length = format!("{:x}\r\n", part.len());
        [length.as_bytes(), part, b"\r\n"].concat()
    };
    let end = if complete { &b"0\r\n\r\n"[..] } else { b"" };
    [chunk, end.to_vec()]
}

fn may_have_body(status: u16) -> bool {
    !matches!(status, 100..=199 | 204 | 304)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(reply: &Reply, head_only: bool) -> String {
        let form = Form {
            date: SystemTime::UNIX_EPOCH,
            head_only,
            last: false,
        };
        String::from_utf8(encode(reply, &form).concat()).unwrap()
    }

    const DATE: &str = "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";

    #[test]
    fn announces_the_length_of_the_whole_body() {
        let reply = Reply::new(503).body("hello").cut_after(2);
        let expected =
            format!("HTTP/1.1 503 Service Unavailable\r\n{DATE}Content-Length: 5\r\n\r\nhe");
        assert_eq!(encoded(&reply, false), expected);
    }

    #[test]
    fn chunks_are_terminated_only_when_complete() {
        let head = format!("HTTP/1.1 200 OK\r\n{DATE}Transfer-Encoding: chunked\r\n\r\n");
        let reply = Reply::new(200).body("hello").chunked();
        assert_eq!(
            encoded(&reply, false),
            format!("{head}5\r\nhello\r\n0\r\n\r\n")
        );
        assert_eq!(encoded(&reply, true), head);
        let cut = reply.clone().cut_after(9);
        assert_eq!(encoded(&cut, false), format!("{head}5\r\nhello\r\n"));
        assert_eq!(encoded(&reply.then_hang(0), false), head);
    }

    #[test]
    fn headers_set_by_hand_replace_automatic_ones() {
        let reply = Reply::new(204).header("date", "never");
        assert_eq!(
            encoded(&reply, false),
            "HTTP/1.1 204 No Content\r\ndate: never\r\n\r\n"
        );
    }
}
