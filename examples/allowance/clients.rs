//! The callers: each asks at its own pace, whatever became of the calls before.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use tokio::{
    task::JoinSet,
    time::{Instant, interval_at, timeout},
};
use tonic::{
    Code, Request, Status,
    metadata::MetadataValue,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;
use videoconf_facade::{
    error::status::code_name,
    proto::v1::{
        GetInfoRequest, GetInfoResponse,
        video_conference_service_client::VideoConferenceServiceClient,
    },
    sandbox::USERS,
};

type Client = VideoConferenceServiceClient<Channel>;

/// What Rocket.Chat's limit comes to: 15 requests per 3 s.
const PER_READ: Duration = Duration::from_millis(200);

/// How much longer the first fill may take.
const FILL_SLACK: Duration = Duration::from_secs(1);

/// Clients share connections beyond this number, since each takes two of the process's descriptors.
const MAX_CONNECTIONS: u32 = 64;

/// For connecting, which on loopback takes no time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What is asked, and how often.
#[derive(Clone, Copy)]
pub struct Load {
    /// How many different calls are asked for.
    pub calls: u32,
    /// How many clients ask.
    pub clients: u32,
    /// How many times a second they ask, all together.
    pub rate: u32,
    /// How long they wait for each answer.
    pub deadline: Duration,
    /// How long they go on after the first fill.
    pub after_fill: Duration,
}

/// What became of one call.
pub struct Outcome {
    /// When it was made, from the beginning of the run.
    pub made: Duration,
    /// How old the answer already was at that moment, or the reason why there is none.
    pub age: Result<Duration, String>,
}

impl Load {
    /// How long it takes until each call has been read.
    pub fn fill(&self) -> Duration {
        limit(self.calls) + FILL_SLACK
    }

    /// How long calls are made.
    pub fn length(&self) -> Duration {
        self.fill() + self.after_fill
    }
}

/// How old the oldest answer gets at best, if so many calls are read in turn.
pub fn limit(calls: u32) -> Duration {
    PER_READ * calls
}

/// Makes the calls of `load` at `addresses`, clients being spread over them.
pub async fn ask(addresses: &[SocketAddr], load: Load) -> Result<Vec<Outcome>, String> {
    let mut connections = Vec::new();
    let count = load.clients.min(MAX_CONNECTIONS) as usize;
    for address in addresses.iter().cycle().take(count) {
        connections.push(Client::new(connect(*address).await?));
    }
    let start = Instant::now();
    let clients: JoinSet<_> = (0..load.clients)
        .zip(connections.iter().cycle())
        .map(|(number, connection)| ask_steadily(connection.clone(), load, start, number))
        .collect();
    Ok(clients.join_all().await.into_iter().flatten().collect())
}

async fn connect(address: SocketAddr) -> Result<Channel, String> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"));
    let endpoint = endpoint.map_err(|error| error.to_string())?;
    endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .connect()
        .await
        .map_err(|error| format!("can't connect to the facade: {error}"))
}

/// One client. Calls last no longer than their deadline, which bounds how many are out at a time.
async fn ask_steadily(client: Client, load: Load, start: Instant, number: u32) -> Vec<Outcome> {
    let all_once = Duration::from_secs(1) * load.clients / load.rate;
    let phase = all_once * number / load.clients;
    let mut ticks = interval_at(start + phase, all_once);
    let mut random = fastrand::Rng::with_seed(number.into());
    let mut calls = JoinSet::new();
    let mut outcomes = Vec::new();
    loop {
        tokio::select! {
            tick = ticks.tick() => {
                let made = tick - start;
                if made >= load.length() {
                    break;
                }
                let call_id = format!("{:024x}", random.u32(0..load.calls));
                let age = age(client.clone(), call_id, load.deadline);
                calls.spawn(async move { Outcome { made, age: age.await } });
            }
            Some(Ok(outcome)) = calls.join_next() => outcomes.push(outcome),
        }
    }
    outcomes.extend(calls.join_all().await);
    outcomes
}

/// Makes one call. See [`Outcome::age`].
async fn age(mut client: Client, call_id: String, deadline: Duration) -> Result<Duration, String> {
    let made = SystemTime::now();
    let request = request(call_id, deadline);
    // Waiting for the connection is outside of tonic's own timeout.
    match timeout(deadline, client.get_info(request)).await {
        Ok(Ok(response)) => age_at(made, response.get_ref()),
        Ok(Err(status)) => Err(reason(&status)),
        Err(_) => Err(code_name(Code::DeadlineExceeded).to_owned()),
    }
}

fn request(call_id: String, deadline: Duration) -> Request<GetInfoRequest> {
    let mut request = Request::new(GetInfoRequest {
        call_id,
        max_age: None,
    });
    request.set_timeout(deadline);
    let user = &USERS[0]; // one to whom the limit applies
    for (key, value) in [("x-user-id", user.id), ("x-auth-token", user.token)] {
        let value = MetadataValue::from_static(value);
        request.metadata_mut().insert(key, value);
    }
    request
}

/// An answer that was read after the call was made has no age.
fn age_at(made: SystemTime, response: &GetInfoResponse) -> Result<Duration, String> {
    let read_at = response
        .read_at
        .and_then(|at| SystemTime::try_from(at).ok());
    let read_at = read_at.ok_or("an answer without read_at")?;
    Ok(made.duration_since(read_at).unwrap_or_default())
}

fn reason(status: &Status) -> String {
    match status.get_details_error_info() {
        Some(info) => info.reason,
        // So tonic's client says it where its clock is faster than the server's.
        None if status.code() == Code::Cancelled => code_name(Code::DeadlineExceeded).to_owned(),
        None => code_name(status.code()).to_owned(),
    }
}
