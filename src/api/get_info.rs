//! `GetInfo`: from a request to a lookup, from an answer to a response.

use std::time::Duration;

use tonic::Request;

use super::{Options, metadata};
use crate::{
    call_id::CallId,
    deadline::Deadline,
    error::Error,
    journal::Journal,
    proto::v1::{GetInfoRequest, GetInfoResponse},
    source::{Answer, ConferenceSource, Lookup},
};

pub(super) async fn answer(
    source: &impl ConferenceSource,
    options: Options,
    request: Request<GetInfoRequest>,
) -> Result<GetInfoResponse, Error> {
    let lookup = to_lookup(options, request)?;
    source.find(&lookup).await.map(to_response)
}

/// Checks the credentials before the request, as Rocket.Chat does.
fn to_lookup(options: Options, mut request: Request<GetInfoRequest>) -> Result<Lookup, Error> {
    let credentials = metadata::credentials(request.metadata())?;
    // Put there by the request stack, which no call gets around.
    let extensions = request.extensions_mut();
    let deadline = extensions.remove::<Deadline>().ok_or(Error::Internal)?;
    let journal = extensions.remove::<Journal>().ok_or(Error::Internal)?;

    let GetInfoRequest { call_id, max_age } = request.into_inner();
    Ok(Lookup {
        call_id: CallId::new(call_id, options.max_call_id_bytes).map_err(Error::InvalidCallId)?,
        credentials,
        max_age: max_age.map(to_duration).transpose()?,
        deadline,
        may_reuse_connection: true,
        journal,
    })
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

fn to_response(answer: Answer) -> GetInfoResponse {
    GetInfoResponse {
        video_conference: Some(answer.conference),
        read_at: Some(answer.read_at.into()),
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
