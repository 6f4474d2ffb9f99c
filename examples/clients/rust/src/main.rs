//! `info CALL_ID`: asks a facade for a conference, and tells what it heard.

mod show;

use std::{env, error::Error as StdError, fs, process::ExitCode, time::Duration};

use clap::Parser;
use tonic::transport::Channel;
use videoconf_client::{
    Client, Credentials, Options, Refusal, Tls, connect,
    proto::grpc::health::v1::{HealthCheckRequest, health_client::HealthClient},
    refusal::Kind,
};

/// The service, as health knows it.
const SERVICE: &str = "rocketchat.videoconference.v1.VideoConferenceService";

/// Asks a facade for a video conference
#[derive(Parser)]
#[command(name = "info")]
struct Arguments {
    /// The conference's id
    #[arg(required_unless_present = "health")]
    call_id: Option<String>,
    /// Where the facade listens
    #[arg(long, default_value = "localhost:50051")]
    server: String,
    /// The :authority to send, and the name that the certificate must be for
    #[arg(long)]
    authority: Option<String>,
    /// The deadline of the call, in seconds
    #[arg(long, default_value = "10", value_parser = seconds)]
    timeout: Duration,
    /// The oldest answer to accept, in seconds
    #[arg(long, value_parser = seconds)]
    max_age: Option<Duration>,
    /// Speak TLS, and trust the authorities in this PEM file
    #[arg(long)]
    tls_ca: Option<String>,
    /// The client's own certificate, in PEM
    #[arg(long, requires_all = ["tls_ca", "tls_key"])]
    tls_cert: Option<String>,
    /// Its key
    #[arg(long, requires = "tls_cert")]
    tls_key: Option<String>,
    /// Ask for the service's health in place of a call
    #[arg(long)]
    health: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Why the program ends without an answer.
enum Failure {
    /// The arguments, the environment or a file.
    Usage(String),
    Refused(Box<Refusal>),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let failure = match run(&arguments).await {
        Ok(()) => return ExitCode::SUCCESS,
        Err(failure) => failure,
    };
    match failure {
        Failure::Usage(problem) => {
            if arguments.json {
                println!("{}", serde_json::json!({"message": problem}));
            }
            eprintln!("{problem}");
            ExitCode::from(2)
        }
        Failure::Refused(refusal) => {
            if arguments.json {
                println!("{}", show::refusal_as_json(&refusal));
            }
            eprintln!("{}: {refusal}", words(refusal.kind()));
            ExitCode::from(status(refusal.kind()))
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let channel = connect(options(arguments)?).map_err(|error| Failure::Usage(text(&error)))?;
    if arguments.health {
        println!("{}", health(channel, arguments.timeout).await?);
        return Ok(());
    }
    let client = Client::new(channel, credentials()?);
    let call_id = arguments.call_id.as_deref().unwrap_or_default();
    let answer = client
        .get_info(call_id, arguments.max_age, arguments.timeout)
        .await
        .map_err(|refusal| Failure::Refused(Box::new(refusal)))?;
    if arguments.json {
        println!("{}", show::as_json(&answer));
    } else {
        print!("{}", show::in_words(&answer));
    }
    Ok(())
}

async fn health(channel: Channel, timeout: Duration) -> Result<&'static str, Failure> {
    let mut request = tonic::Request::new(HealthCheckRequest {
        service: SERVICE.to_owned(),
    });
    request.set_timeout(timeout);
    let answer = HealthClient::new(channel).check(request).await;
    let answer = answer.map_err(|status| Failure::Refused(Box::new(status.into())))?;
    Ok(answer.into_inner().status().as_str_name())
}

fn options(arguments: &Arguments) -> Result<Options, Failure> {
    let tls = arguments.tls_ca.as_deref().map(|ca| -> Result<_, Failure> {
        let pair = arguments
            .tls_cert
            .as_deref()
            .zip(arguments.tls_key.as_deref());
        let identity = pair.map(|(certificate, key)| Ok((read(certificate)?, read(key)?)));
        Ok(Tls {
            ca: read(ca)?,
            identity: identity.transpose()?,
        })
    });
    Ok(Options {
        server: arguments.server.clone(),
        authority: arguments.authority.clone(),
        tls: tls.transpose()?,
    })
}

fn read(path: &str) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::Usage(format!("{path} can't be read: {error}")))
}

fn credentials() -> Result<Credentials, Failure> {
    let variable = |name| {
        env::var(name).map_err(|_| Failure::Usage(format!("{name} isn't set, or isn't text")))
    };
    let (user_id, auth_token) = (
        variable("VIDEOCONF_USER_ID")?,
        variable("VIDEOCONF_AUTH_TOKEN")?,
    );
    Credentials::new(&user_id, &auth_token)
        .map_err(|_| Failure::Usage("the credentials have bytes that can't be sent".to_owned()))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "is no number".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// An error with its causes.
fn text(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn words(kind: Kind) -> &'static str {
    match kind {
        Kind::NoSuchCall => "no such call, or you can't see it",
        Kind::BadRequest => "the request is wrong",
        Kind::BadCredentials => "the credentials are not accepted",
        Kind::TryLater => "not now",
        Kind::DeadlineExceeded => "no answer in time",
        Kind::Other => "failed",
    }
}

fn status(kind: Kind) -> u8 {
    match kind {
        Kind::Other => 1,
        Kind::NoSuchCall => 3,
        Kind::BadRequest => 4,
        Kind::BadCredentials => 5,
        Kind::TryLater => 6,
        Kind::DeadlineExceeded => 7,
    }
}
