//! `info CALL_ID`: asks a facade for a conference, and tells what it heard.

mod arguments;
mod show;

use std::{env, process::ExitCode, time::Duration};

use tonic::{Request, Status};
use videoconf_client::{
    Channel, Client, Credentials, Invalid, Options, Refusal, connect,
    proto::grpc::health::v1::{
        HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
        health_client::HealthClient,
    },
    refusal::Kind,
    tls_from_files,
};

use arguments::Arguments;

/// The service, as health knows it.
const SERVICE: &str = "rocketchat.videoconference.v1.VideoConferenceService";

/// Why the program ends without an answer.
enum Failure {
    /// The arguments, the environment or a file.
    Usage(String),
    Refused(Box<Refusal>),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Err(failure) = run().await else {
        return ExitCode::SUCCESS;
    };
    // Arguments that can't be parsed are told of in JSON, too.
    if env::args_os().any(|it| it == "--json") {
        println!("{}", failure.as_json());
    }
    eprintln!("info: {}", show::one_line(&failure.in_words()));
    ExitCode::from(failure.status())
}

async fn run() -> Result<(), Failure> {
    let arguments = arguments::parse().map_err(Failure::Usage)?;
    let channel = connect(options(&arguments)?)?;
    if arguments.health {
        let answer = health(channel, arguments.timeout).await?;
        if arguments.json {
            println!(
                "{}",
                show::as_json("grpc.health.v1.HealthCheckResponse", &answer)
            );
        } else {
            println!("{}", answer.status().as_str_name());
        }
        return Ok(());
    }
    let client = Client::new(channel, credentials()?);
    let call_id = arguments.call_id.as_deref().unwrap_or_default();
    let answer = client.get_info(call_id, arguments.max_age, arguments.timeout);
    let answer = answer.await?;
    if arguments.json {
        let name = "rocketchat.videoconference.v1.GetInfoResponse";
        println!("{}", show::as_json(name, &answer));
    } else {
        print!("{}", show::in_words(&answer));
    }
    Ok(())
}

async fn health(channel: Channel, timeout: Duration) -> Result<HealthCheckResponse, Refusal> {
    let mut request = Request::new(HealthCheckRequest {
        service: SERVICE.to_owned(),
    });
    request.set_timeout(timeout);
    let answer = HealthClient::new(channel)
        .check(request)
        .await?
        .into_inner();
    match answer.status() {
        ServingStatus::Serving => Ok(answer),
        other => {
            let problem = format!("the service is {}", other.as_str_name());
            Err(Status::unavailable(problem).into())
        }
    }
}

fn options(arguments: &Arguments) -> Result<Options, Invalid> {
    let certificate = arguments.tls_cert.as_deref();
    let own = certificate.zip(arguments.tls_key.as_deref());
    let ca = arguments.tls_ca.as_deref();
    Ok(Options {
        server: arguments.server.clone(),
        authority: arguments.authority.clone(),
        tls: ca.map(|ca| tls_from_files(ca, own)).transpose()?,
    })
}

fn credentials() -> Result<Credentials, Failure> {
    let variable = |name| {
        // What isn't text is refused as such a byte below.
        let value = env::var_os(name).unwrap_or_default();
        value.to_string_lossy().into_owned()
    };
    let (user_id, auth_token) = (
        variable("VIDEOCONF_USER_ID"),
        variable("VIDEOCONF_AUTH_TOKEN"),
    );
    Credentials::new(&user_id, &auth_token).map_err(|problem| {
        Failure::Usage(format!(
            "VIDEOCONF_USER_ID, VIDEOCONF_AUTH_TOKEN: {problem}"
        ))
    })
}

impl Failure {
    fn status(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Refused(refusal) => match refusal.kind() {
                Kind::Other => 1,
                Kind::NoSuchCall => 3,
                Kind::BadRequest => 4,
                Kind::BadCredentials => 5,
                Kind::TryLater => 6,
                Kind::DeadlineExceeded => 7,
            },
        }
    }

    fn in_words(&self) -> String {
        match self {
            Self::Usage(problem) => problem.clone(),
            Self::Refused(refusal) => refusal.to_string(),
        }
    }

    fn as_json(&self) -> serde_json::Value {
        match self {
            Self::Usage(problem) => serde_json::json!({"message": problem}),
            Self::Refused(refusal) => show::refusal_as_json(refusal),
        }
    }
}

impl From<Invalid> for Failure {
    fn from(problem: Invalid) -> Self {
        Self::Usage(problem.to_string())
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}
