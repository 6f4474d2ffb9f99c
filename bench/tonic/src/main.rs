//! The floors of the benchmark: what tonic costs by itself, and with reqwest behind it. No checks, no
//! log, no refusals, and a translation of the seed example's members only.

use std::{env, error::Error};

use prost_types::Timestamp;
use serde::Deserialize;
use tonic::{Request, Response, Status, async_trait, transport::Server};

#[allow(clippy::all, clippy::pedantic)]
mod v1 {
    tonic::include_proto!("rocketchat.videoconference.v1");
}

use v1::{
    GetInfoRequest, GetInfoResponse, User, VideoConference, VideoConferenceCapabilities,
    VideoConferenceMessages, VideoConferenceUser,
    video_conference_service_server::{VideoConferenceService, VideoConferenceServiceServer},
};

const SEED: &[u8] = include_bytes!("../../../tests/it/bodies/documented-example.json");

/// Answers each call with the same message.
struct Memory(GetInfoResponse);

/// Asks upstream for each call.
struct PassThrough {
    client: reqwest::Client,
    url: String,
}

#[async_trait]
impl VideoConferenceService for Memory {
    async fn get_info(
        &self,
        _: Request<GetInfoRequest>,
    ) -> Result<Response<GetInfoResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }
}

#[async_trait]
impl VideoConferenceService for PassThrough {
    async fn get_info(
        &self,
        request: Request<GetInfoRequest>,
    ) -> Result<Response<GetInfoResponse>, Status> {
        let metadata = request.metadata();
        let header = |name| metadata.get(name).map_or("", |it| it.to_str().unwrap_or(""));
        let answer = self
            .client
            .get(format!("{}?callId={}", self.url, request.get_ref().call_id))
            .header("x-user-id", header("x-user-id"))
            .header("x-auth-token", header("x-auth-token"))
            .send()
            .await
            .map_err(unavailable)?
            .error_for_status()
            .map_err(unavailable)?
            .json::<Conference>()
            .await
            .map_err(unavailable)?;
        Ok(Response::new(answer.into()))
    }
}

fn unavailable(error: reqwest::Error) -> Status {
    Status::unavailable(error.to_string())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Conference {
    #[serde(rename = "_id")]
    id: String,
    status: i32,
    rid: String,
    users: Vec<Member>,
    messages: Messages,
    url: String,
    created_by: Member,
    created_at: String,
    #[serde(rename = "_updatedAt")]
    updated_at: String,
    provider_name: String,
    ringing: bool,
    capabilities: Capabilities,
    title: String,
    anonymous_users: i32,
}

#[derive(Deserialize)]
struct Member {
    #[serde(rename = "_id")]
    id: String,
    username: String,
    name: String,
    ts: Option<String>,
}

#[derive(Deserialize)]
struct Messages {
    started: String,
}

#[derive(Deserialize)]
struct Capabilities {
    mic: bool,
    cam: bool,
    title: bool,
}

impl From<Conference> for GetInfoResponse {
    fn from(it: Conference) -> Self {
        let time = |text: &str| text.parse::<Timestamp>().ok();
        let users = it.users.into_iter().map(|user| VideoConferenceUser {
            id: user.id,
            username: Some(user.username),
            name: Some(user.name),
            ts: user.ts.as_deref().and_then(time),
            ..VideoConferenceUser::default()
        });
        let conference = VideoConference {
            id: it.id,
            r#type: 2,
            status: it.status + 1,
            rid: Some(it.rid),
            users: users.collect(),
            messages: Some(VideoConferenceMessages {
                started: Some(it.messages.started),
                ..VideoConferenceMessages::default()
            }),
            url: Some(it.url),
            created_by: Some(User {
                id: it.created_by.id,
                username: Some(it.created_by.username),
                name: Some(it.created_by.name),
                ..User::default()
            }),
            created_at: time(&it.created_at),
            updated_at: time(&it.updated_at),
            provider_name: Some(it.provider_name),
            ringing: Some(it.ringing),
            capabilities: Some(VideoConferenceCapabilities {
                mic: Some(it.capabilities.mic),
                cam: Some(it.capabilities.cam),
                title: Some(it.capabilities.title),
                ..VideoConferenceCapabilities::default()
            }),
            title: Some(it.title),
            anonymous_users: Some(it.anonymous_users),
            ..VideoConference::default()
        };
        Self {
            video_conference: Some(conference),
            read_at: Some(std::time::SystemTime::now().into()),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let mut server = Server::builder();
    let [listen, rest @ ..] = &arguments[..] else {
        return Err("usage: floor LISTEN [UPSTREAM]".into());
    };
    let listen = listen.parse()?;
    match rest {
        [] => {
            let seed: Conference = serde_json::from_slice(SEED)?;
            let service = VideoConferenceServiceServer::new(Memory(seed.into()));
            server.add_service(service).serve(listen).await?;
        }
        [upstream, ..] => {
            let service = VideoConferenceServiceServer::new(PassThrough {
                client: reqwest::Client::builder().no_proxy().build()?,
                url: format!("{upstream}/api/v1/video-conference.info"),
            });
            server.add_service(service).serve(listen).await?;
        }
    }
    Ok(())
}
