//! The program's arguments.

use std::time::Duration;

use clap::Parser;

/// Asks a facade for a video conference
#[derive(Parser)]
#[command(name = "info")]
pub struct Arguments {
    /// The conference's id
    pub call_id: Option<String>,
    /// Where the facade listens
    #[arg(long, default_value = "localhost:50051")]
    pub server: String,
    /// The :authority to send, and the name that the certificate must be for
    #[arg(long)]
    pub authority: Option<String>,
    /// The deadline of the call, in seconds
    #[arg(long, default_value = "10", value_parser = seconds, allow_negative_numbers = true)]
    pub timeout: Duration,
    /// The oldest answer to accept, in seconds
    #[arg(long, value_parser = seconds, allow_negative_numbers = true)]
    pub max_age: Option<Duration>,
    /// Speak TLS, and trust the authorities in this PEM file
    #[arg(long)]
    pub tls_ca: Option<String>,
    /// The client's own certificate, in PEM
    #[arg(long)]
    pub tls_cert: Option<String>,
    /// Its key
    #[arg(long)]
    pub tls_key: Option<String>,
    /// Ask for the service's health in place of a call
    #[arg(long)]
    pub health: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The arguments, or a line about what is wrong with them. Leaves when help is asked for.
pub fn parse() -> Result<Arguments, String> {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => return Err(first_line(&error)),
        Err(help) => help.exit(),
    };
    // Not clap's `requires`, whose first line doesn't say what is missing.
    let problem = if arguments.timeout.is_zero() {
        "--timeout 0: not a time to wait"
    } else if arguments.tls_ca.is_none()
        && (arguments.tls_cert.is_some() || arguments.tls_key.is_some())
    {
        "--tls-cert and --tls-key need --tls-ca"
    } else if arguments.tls_cert.is_some() != arguments.tls_key.is_some() {
        "--tls-cert and --tls-key need each other"
    } else if arguments.call_id.is_none() && !arguments.health {
        "CALL_ID is missing; --help tells more"
    } else {
        return Ok(arguments);
    };
    Err(problem.to_owned())
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "not a number")?;
    let time = Duration::try_from_secs_f64(seconds).ok();
    // gRPC has no header for much more, on which tonic panics.
    time.filter(|it| i64::try_from(it.as_nanos()).is_ok())
        .ok_or_else(|| "not a number of seconds that fits".to_owned())
}
