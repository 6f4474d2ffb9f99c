//! The body of a call, as it stands behind the headers: the answer is OK for one message with a call id and a
//! sensible age, and for nothing else, and what is asked is what was sent.

#![no_main]

use std::{
    io::Read,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use libfuzzer_sys::fuzz_target;
use prost::Message;
use tokio::{runtime, time::Instant};
use tonic::{Code, Status, body::Body, codegen::Service};
use videoconf_facade::{
    api,
    call_id::CallId,
    credentials::FingerprintKey,
    deadline::Deadline,
    error::Error,
    exchange::Moment,
    proto::{
        Conference,
        v1::{GetInfoRequest, VideoConference},
    },
    query::{Caller, Query},
    record::Record,
    route::Info,
    source::{Answer, Lookup},
};

const MAX_CALL_ID: usize = 64;

/// A call id, and the oldest answer that will do.
type Question = (String, Option<Duration>);

/// What was asked.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Option<Question>>>);

impl Lookup<Info> for Asked {
    async fn find(
        &self,
        query: &Query<Info>,
        caller: &Caller,
    ) -> Result<Answer<Conference>, Error> {
        let call_id = query.key.parameters.call_id.as_str().to_owned();
        *self.0.lock().unwrap() = Some((call_id, caller.max_age));
        Ok(Answer {
            value: Conference::encode(&VideoConference::default()),
            read_at: Moment::now(),
        })
    }
}

fuzz_target!(|bytes: &[u8]| {
    let runtime = runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    // As it is, and as the only message.
    runtime.block_on(call(bytes));
    let length = u32::try_from(bytes.len())
        .expect("a short input")
        .to_be_bytes();
    runtime.block_on(call(&[&[0], &length[..], bytes].concat()));
});

async fn call(body: &[u8]) {
    let asked = Asked::default();
    let mut service = api::service(
        asked.clone(),
        api::Options {
            max_call_id_bytes: MAX_CALL_ID,
        },
        FingerprintKey::random(),
    );
    let now = Instant::now();
    let mut request =
        Request::post("/rocketchat.videoconference.v1.VideoConferenceService/GetInfo")
            .header("content-type", "application/grpc")
            .header("grpc-encoding", "gzip")
            .header("x-user-id", "u")
            .header("x-auth-token", "t")
            .body(Body::new(Full::new(Bytes::copy_from_slice(body))))
            .expect("a request");
    request.extensions_mut().insert(Deadline::of_call(
        &HeaderMap::new(),
        now,
        Duration::from_secs(10),
    ));
    request.extensions_mut().insert(Record::begin(now));
    let response = service.call(request).await.expect("an answer");
    let asked = asked.0.lock().unwrap().take();
    assert_eq!(code(&response) == Code::Ok, asked.is_some());
    let Some((call_id, max_age)) = asked else {
        assert!(!is_one_good_message(body), "it was refused: {response:?}");
        return;
    };
    assert!((1..=MAX_CALL_ID).contains(&call_id.len()));
    let (head, rest) = body.split_at(5);
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    let (message, behind) = rest.split_at(length);
    // The library takes the head of another message, and nothing behind it, for the end.
    assert!(behind.len() <= 5, "there is more than one message");
    let mut unpacked = Vec::new();
    let message = match head[0] {
        0 => message,
        _ => {
            let mut packed = GzDecoder::new(message);
            packed.read_to_end(&mut unpacked).expect("gzip");
            &unpacked
        }
    };
    let sent = GetInfoRequest::decode(message).expect("a message");
    assert_eq!(sent.call_id, call_id);
    assert_eq!(
        sent.max_age
            .map(|it| Duration::try_from(it).expect("not negative")),
        max_age
    );
}

/// Whether it is a frame with a message that isn't packed, whose id and age are as they should be.
fn is_one_good_message(body: &[u8]) -> bool {
    let Some((&[0, a, b, c, d], message)) = body.split_first_chunk() else {
        return false;
    };
    let is_whole = u32::from_be_bytes([a, b, c, d]) as usize == message.len();
    let Ok(request) = GetInfoRequest::decode(message) else {
        return false;
    };
    let is_age = |age: prost_types::Duration| {
        (0..=315_576_000_000).contains(&age.seconds) && (0..1_000_000_000).contains(&age.nanos)
    };
    is_whole
        && CallId::new(request.call_id, MAX_CALL_ID).is_ok()
        && request.max_age.is_none_or(is_age)
}

fn code(response: &Response<Body>) -> Code {
    assert_eq!(response.status(), 200);
    Status::from_header_map(response.headers()).map_or(Code::Ok, |it| it.code())
}
