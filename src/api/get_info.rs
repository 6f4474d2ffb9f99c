//! `GetInfo`: from a request to a query, from an answer to a response.

use std::time::Duration;

use tonic::Request;

use super::{Api, caller, metadata};
use crate::{
    call_id::CallId,
    error::Error,
    proto::{Conference, EncodedGetInfoResponse, v1::GetInfoRequest},
    query::{Caller, Query},
    record::Record,
    route::Info,
    source::{Answer, ConferenceSource},
};

pub(super) async fn answer<S: ConferenceSource>(
    api: &Api<S>,
    request: Request<GetInfoRequest>,
    record: &Record,
) -> Result<EncodedGetInfoResponse, Error> {
    let (query, caller) = to_query(api, request, record)?;
    api.source.find(&query, &caller).await.map(to_response)
}

/// Checks the credentials before the request, as Rocket.Chat does.
fn to_query<S>(
    api: &Api<S>,
    request: Request<GetInfoRequest>,
    record: &Record,
) -> Result<(Query<Info>, Caller), Error> {
    let credentials = metadata::credentials(request.metadata())?;
    let caller = caller(&request, record)?;

    let GetInfoRequest { call_id, max_age } = request.into_inner();
    let info = Info {
        call_id: CallId::new(call_id, api.options.max_call_id_bytes)
            .map_err(Error::InvalidCallId)?,
    };
    let max_age = max_age.map(to_duration).transpose()?;
    let query = api.query(info, credentials, record);
    Ok((query, Caller { max_age, ..caller }))
}

/// protobuf's own limits of a `Duration`, without the negative half.
fn to_duration(max_age: prost_types::Duration) -> Result<Duration, Error> {
    const MAX_SECONDS: u64 = 315_576_000_000;
    match (u64::try_from(max_age.seconds), u32::try_from(max_age.nanos)) {
        (Ok(seconds), Ok(nanos)) if seconds <= MAX_SECONDS && nanos < 1_000_000_000 => {
            Ok(Duration::new(seconds, nanos))
        }
        _ => Err(Error::InvalidMaxAge),
    }
}

fn to_response(answer: Answer<Conference>) -> EncodedGetInfoResponse {
    EncodedGetInfoResponse {
        video_conference: Some(answer.value),
        read_at: Some(answer.read_at.wall.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_age_is_a_duration_and_not_negative() {
        for (seconds, nanos, expected) in [
            (0, 0, Ok(Duration::ZERO)),
            (1, 500_000_000, Ok(Duration::from_millis(1500))),
            (315_576_000_000, 0, Ok(Duration::from_secs(315_576_000_000))),
            (315_576_000_001, 0, Err(Error::InvalidMaxAge)),
            (-1, 0, Err(Error::InvalidMaxAge)),
            (0, -1, Err(Error::InvalidMaxAge)),
            (1, -1, Err(Error::InvalidMaxAge)),
            (0, 1_000_000_000, Err(Error::InvalidMaxAge)),
        ] {
            let max_age = prost_types::Duration { seconds, nanos };
            assert_eq!(to_duration(max_age), expected, "{max_age:?}");
        }
    }
}
