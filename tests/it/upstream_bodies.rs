//! What the body of a success may be like on the wire: its size, its packing, its pace, its end.

use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use flate2::{
    Compress, Compression, Crc, FlushCompress,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use videoconf_facade::sandbox::Reply;

use crate::support::{
    Facade, SMALLEST,
    process::{Server, serve},
    sandbox,
};

/// A success of exactly this many bytes.
fn body_of(size: usize) -> String {
    let (head, tail) = (r#"{"_id":"x","success":true,"title":""#, r#""}"#);
    let title = "t".repeat(size - head.len() - tail.len());
    [head, &title, tail].concat()
}

fn gzip(body: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// What HTTP calls deflate: with zlib's frame.
fn deflate(body: &str) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// What many servers send by that name.
fn raw_deflate(body: &str) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn packed(encoding: &str, body: impl Into<Vec<u8>>) -> Reply {
    Reply::json(200, body.into()).header("content-encoding", encoding)
}

/// A success with a title of this many MiB, as gzip a thousand times smaller.
fn bomb(mebibytes: usize) -> Vec<u8> {
    let block = vec![b'0'; 1 << 20];
    let mut deflate = Compress::new(Compression::best(), false);
    let mut pack = |bytes: &[u8], flush| {
        let mut packed = Vec::with_capacity(bytes.len() / 2 + 1024);
        deflate.compress_vec(bytes, &mut packed, flush).unwrap();
        let mut crc = Crc::new();
        crc.update(bytes);
        (packed, crc)
    };
    // A full flush leaves no reference behind, so that the block can be repeated.
    let head = pack(
        br#"{"_id":"x","success":true,"title":""#,
        FlushCompress::Full,
    );
    let block = pack(&block, FlushCompress::Full);
    let tail = pack(br#""}"#, FlushCompress::Finish);

    let mut gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    let mut crc = Crc::new();
    let blocks = std::iter::repeat_n(&block, mebibytes);
    for (packed, its) in std::iter::once(&head).chain(blocks).chain([&tail]) {
        gzip.extend_from_slice(packed);
        crc.combine(its);
    }
    gzip.extend_from_slice(&crc.sum().to_le_bytes());
    gzip.extend_from_slice(&crc.amount().to_le_bytes());
    gzip
}

#[track_caller]
fn assert_malformed(status: &Status, problem: &str, case: &str) {
    assert_failed(status, Code::Internal, "UPSTREAM_MALFORMED", problem, case);
}

#[track_caller]
fn assert_failed(status: &Status, code: Code, reason: &str, problem: &str, case: &str) {
    let details = status.get_error_details();
    let info = details.error_info().expect("an ErrorInfo");
    let problem_seen = info.metadata.get("problem").map(String::as_str);
    let seen = (status.code(), info.reason.as_str(), problem_seen);
    assert_eq!(seen, (code, reason, Some(problem)), "{case}");
}

#[tokio::test]
async fn the_limit_is_exact() {
    let sandbox = sandbox().await;
    for (flags, limit) in [
        (&[][..], 1 << 20),
        (&["--max-body-bytes", "50"], 50),
        (&["--max-body-bytes", "2000000"], 2_000_000),
    ] {
        let url = sandbox.url();
        let facade = Facade::with(&[&["--upstream-url", &url], flags].concat()).await;
        for size in [limit, limit + 1] {
            let body = body_of(size);
            assert_eq!(body.len(), size);
            for (form, reply) in [
                ("with its length", Reply::json(200, body.clone())),
                ("chunked", Reply::json(200, body.clone()).chunked()),
                ("gzip", packed("gzip", gzip(&body))),
                ("chunked gzip", packed("gzip", gzip(&body)).chunked()),
                ("deflate", packed("deflate", deflate(&body))),
            ] {
                let case = format!("{size} bytes, {form}");
                let answer = facade.get_scripted(&sandbox, reply).await;
                if size > limit {
                    let status = answer.expect_err(&case);
                    assert_malformed(&status, "larger than the limit", &case);
                } else {
                    answer.expect(&case);
                }
            }
        }
    }
}

#[tokio::test]
async fn an_endless_body_is_refused_at_the_limit() {
    let sandbox = sandbox().await;
    let url = sandbox.url();
    let facade = Facade::with(&["--upstream-url", &url, "--max-body-bytes", "1000"]).await;
    let body = body_of(100_000);
    for (case, reply) in [
        (
            "with its length",
            Reply::json(200, body.clone()).then_hang(1001),
        ),
        ("chunked", Reply::json(200, body).chunked().then_hang(1001)),
        ("gzip", packed("gzip", bomb(1)).then_hang(200)),
        (
            "of members without content",
            packed("gzip", gzip("").repeat(200)).then_hang(3000),
        ),
        (
            "of padding",
            packed("gzip", [gzip("a"), vec![0; 9000]].concat()).then_hang(3000),
        ),
    ] {
        let status = facade.get_scripted(&sandbox, reply).await.expect_err(case);
        assert_malformed(&status, "larger than the limit", case);
    }
}

#[tokio::test]
async fn packed_bodies_are_understood() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    let body = r#"{"_id":"x","success":true,"title":"Støtte & drift"}"#;
    for (encoding, bytes) in [
        ("gzip", gzip(body)),
        ("deflate", deflate(body)),
        ("deflate", raw_deflate(body)),
    ] {
        for reply in [
            packed(encoding, bytes.clone()),
            packed(encoding, bytes).chunked(),
        ] {
            let answer = facade.get_scripted(&sandbox, reply).await.expect(encoding);
            let title = answer.video_conference.unwrap().title;
            assert_eq!(title.as_deref(), Some("Støtte & drift"), "{encoding}");
        }
    }
    let request = &sandbox.requests()[0];
    let offered = request.header("accept-encoding").unwrap().split(',');
    assert_eq!(
        offered.map(str::trim).collect::<Vec<_>>(),
        ["gzip", "deflate"]
    );
}

/// RFC 9110, 8.4.1: in any case, `x-gzip` is another name of gzip, and `identity` is no packing.
#[tokio::test]
async fn packing_has_the_names_that_http_gives_it() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    let (plain, gzip) = (SMALLEST.as_bytes().to_vec(), gzip(SMALLEST));
    let mut refused = Vec::new();
    for (encoding, bytes) in [
        ("GZIP", &gzip),
        ("x-gzip", &gzip),
        ("Deflate", &deflate(SMALLEST)),
        ("identity", &plain),
        ("", &plain),
    ] {
        let reply = packed(encoding, bytes.clone());
        if facade.get_scripted(&sandbox, reply).await.is_err() {
            refused.push(encoding);
        }
    }
    assert_eq!(refused, [""; 0]);
}

/// Every reader of gzip ignores what follows the last member, as writers to tape have it.
#[tokio::test]
async fn padding_after_a_packing_is_ignored() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    for padding in [&[0; 1024][..], b"\0", b"junk"] {
        let padded = |body: &str| [&gzip(body)[..], padding].concat();
        let answer = packed("gzip", padded(SMALLEST));
        let answer = facade.get_scripted(&sandbox, answer).await;
        answer.expect("a conference");

        let refusal = r#"{"success":false,"error":"invalid-params"}"#;
        let refusal = Reply::json(400, padded(refusal)).header("content-encoding", "gzip");
        let refused = facade.get_scripted(&sandbox, refusal).await;
        let details = refused.expect_err("a refusal").get_error_details();
        let info = details.error_info().expect("an ErrorInfo");
        assert_eq!(info.reason, "CALL_NOT_FOUND_OR_NOT_VISIBLE");
    }
}

#[tokio::test]
async fn broken_packing_is_malformed() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    let body = body_of(5000);
    let (whole, zlib) = (gzip(&body), deflate(&body));
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        bytes
    };
    let (broken, unknown) = ("content encoding broken", "unknown content encoding");
    for (case, encoding, bytes, problem) in [
        (
            "truncated",
            "gzip",
            whole[..whole.len() / 2].to_vec(),
            broken,
        ),
        (
            "without its checksum",
            "gzip",
            whole[..whole.len() - 8].to_vec(),
            broken,
        ),
        (
            "without the last byte",
            "gzip",
            whole[..whole.len() - 1].to_vec(),
            broken,
        ),
        ("a head only", "gzip", whole[..10].to_vec(), broken),
        ("half a head", "gzip", whole[..5].to_vec(), broken),
        ("wrong magic", "gzip", flipped(0), broken),
        ("wrong method", "gzip", flipped(2), broken),
        ("wrong block", "gzip", flipped(10), broken),
        ("wrong data", "gzip", flipped(whole.len() / 2), broken),
        ("wrong checksum", "gzip", flipped(whole.len() - 5), broken),
        ("wrong length", "gzip", flipped(whole.len() - 1), broken),
        ("plain as gzip", "gzip", SMALLEST.into(), broken),
        ("plain as deflate", "deflate", SMALLEST.into(), broken),
        ("gzip as deflate", "deflate", whole.clone(), broken),
        ("deflate as gzip", "gzip", zlib.clone(), broken),
        (
            "truncated deflate",
            "deflate",
            zlib[..zlib.len() / 2].to_vec(),
            broken,
        ),
        ("nothing", "gzip", vec![], broken),
        ("brotli", "br", vec![0x0b, 0x02, 0x80], unknown),
        ("zstd", "zstd", b"\x28\xb5\x2f\xfd".to_vec(), unknown),
        ("invented", "rot13", SMALLEST.into(), unknown),
        ("two of them", "gzip, br", whole.clone(), unknown),
    ] {
        let reply = packed(encoding, bytes);
        for (form, reply) in [("", reply.clone()), ("chunked", reply.chunked())] {
            let case = format!("{case} {form}");
            let status = facade.get_scripted(&sandbox, reply).await.expect_err(&case);
            assert_malformed(&status, problem, &case);
        }
    }
}

#[tokio::test]
async fn a_connection_cut_inside_a_packed_body_is_cut_off() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    let body = body_of(5000);
    for (encoding, bytes) in [("gzip", gzip(&body)), ("deflate", deflate(&body))] {
        for cut in [0, 1, 10, bytes.len() / 2, bytes.len() - 1] {
            for reply in [
                packed(encoding, bytes.clone()),
                packed(encoding, bytes.clone()).chunked(),
            ] {
                let case = format!("{encoding} cut after {cut}");
                let status = facade
                    .get_scripted(&sandbox, reply.cut_after(cut))
                    .await
                    .expect_err(&case);
                let (code, reason) = (Code::Unavailable, "UPSTREAM_UNAVAILABLE");
                assert_failed(&status, code, reason, "answer cut off", &case);
            }
        }
    }
}

/// The limit holds for what was unpacked, and for that only as much is unpacked as it takes.
#[tokio::test]
async fn a_bomb_is_refused_with_little_memory() {
    let sandbox = sandbox().await;
    let url = sandbox.url();
    let flags = ["--upstream-url", &url, "--max-body-bytes", "3000000"];
    let served = Server::start(&mut serve(&flags)).await;

    sandbox.script(packed("gzip", bomb(2)));
    let answer = served.get("small").await.expect("an answer");
    let title = answer.video_conference.unwrap().title.unwrap();
    assert_eq!(title.len(), 2 << 20, "the bomb is well made");
    let before = peak_memory(&served);

    let bomb = bomb(100);
    assert!(bomb.len() < 200 << 10, "{}", bomb.len());
    for reply in [packed("gzip", bomb.clone()), packed("gzip", bomb).chunked()] {
        sandbox.script(reply);
        let status = served.get("large").await.expect_err("a bomb");
        assert_malformed(&status, "larger than the limit", "100 MiB");
    }
    if let (Some(before), Some(after)) = (before, peak_memory(&served)) {
        assert!(
            after < before + (16 << 10),
            "from {before} KiB to {after} KiB"
        );
    }
}

/// The most memory that the process had, in KiB, where the system says it.
fn peak_memory(served: &Server) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", served.id())).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// A Rocket.Chat that sends `body` byte by byte.
async fn slow(body: &'static str, pause: Duration) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.set_nodelay(true).unwrap();
        let mut request = [0; 1024];
        let _ = socket.read(&mut request).await.unwrap();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut pace = tokio::time::interval(pause);
        for byte in body.as_bytes() {
            pace.tick().await;
            if socket.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
    });
    address
}

#[tokio::test]
async fn a_slow_body_is_waited_for_until_the_deadline() {
    let url = format!("http://{}", slow(SMALLEST, Duration::from_millis(10)).await);
    let facade = Facade::with(&["--upstream-url", &url]).await;
    facade.get("x").await.expect("an answer");

    let url = format!("http://{}", slow(SMALLEST, Duration::from_secs(1)).await);
    let facade = Facade::with(&["--upstream-url", &url, "--request-timeout", "300ms"]).await;
    let status = facade.get("x").await.expect_err("too slow");
    assert_eq!(status.code(), Code::DeadlineExceeded);
}
