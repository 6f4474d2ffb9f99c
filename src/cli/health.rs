//! `health`: a probe of a running facade.

use std::{process::ExitCode, time::Duration};

use tonic::Request;

use super::{
    block_on, fail,
    failure::{summary, within},
    print, refuse,
    server::{Server, ServerFlags},
};
use crate::{
    config::{Problem, Problems, time},
    proto::health::{
        HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
    },
};

#[derive(clap::Args)]
pub(super) struct Flags {
    #[command(flatten)]
    server: ServerFlags,

    /// How long to wait for the answer
    #[arg(long, env = "VIDEOCONF_TIMEOUT", value_name = "TIME")]
    #[arg(default_value = "2s")]
    timeout: String,

    /// The service to ask for [default: the server as a whole]
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    service: String,
}

pub(super) fn run(flags: &Flags, problems: Problems) -> ExitCode {
    match flags.check(problems) {
        Ok((server, timeout)) => block_on(probe(server, timeout, flags.service.clone())),
        Err(problems) => refuse(&problems),
    }
}

async fn probe(server: Server, timeout: Duration, service: String) -> ExitCode {
    let mut request = Request::new(HealthCheckRequest { service });
    request.set_timeout(timeout);
    let mut client = HealthClient::new(server.connect());
    let answer = within(timeout, client.check(request)).await;
    match answer.map(|response| response.into_inner().status()) {
        Ok(ServingStatus::Serving) => {
            // A probe looks at the exit status, whether or not it takes the word.
            print("SERVING");
            ExitCode::SUCCESS
        }
        Ok(status) => fail(status.as_str_name()),
        Err(status) => fail(summary(&status)),
    }
}

impl Flags {
    fn check(&self, mut problems: Problems) -> Result<(Server, Duration), Vec<Problem>> {
        let server = self.server.check(&mut problems);
        let timeout = problems.check("--timeout", &self.timeout, time);
        problems.result(server.zip(timeout))
    }
}
