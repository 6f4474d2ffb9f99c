//! The flags for operators: where they look, and what is told.

use super::{
    Listen, Problems,
    logs::{log_filter, log_format, shared_log_filter},
    otel::otel,
    values::yes_or_no,
};
use crate::telemetry::{logs, otlp};

/// The warning of metrics for everybody.
const IN_THE_OPEN: &str = "--admin-listen is open to other machines, and asks nobody who they are";

#[derive(Clone, clap::Args)]
pub(super) struct OperatorFlags {
    /// Show metrics and probes to operators on this address, over HTTP/1, as 127.0.0.1:9464
    #[arg(long, env = "VIDEOCONF_ADMIN_LISTEN", value_name = "ADDR:PORT")]
    admin_listen: Option<String>,

    /// Measure grpc_server_handling_seconds, too, for dashboards that ask for it
    #[arg(
        long,
        env = "VIDEOCONF_GRPC_SERVER_HANDLING_SECONDS",
        value_name = "BOOL"
    )]
    #[arg(default_value = "false", default_missing_value = "true")]
    #[arg(num_args = 0..=1, require_equals = true)]
    grpc_server_handling_seconds: String,

    /// What log lines look like: auto (human on a terminal, else json), human or json
    #[arg(long, env = "VIDEOCONF_LOG_FORMAT", value_name = "FORMAT")]
    #[arg(default_value = "auto")]
    log_format: String,

    /// Which log lines there are: a level, or levels by target, like info,access=debug [default:
    /// what RUST_LOG says, else info]
    #[arg(long, env = "VIDEOCONF_LOG_FILTER", value_name = "FILTER")]
    log_filter: Option<String>,
}

/// What they say, and OpenTelemetry's variables.
pub(super) struct Operators {
    pub(super) admin_listen: Option<Listen>,
    pub(super) handling_seconds: bool,
    pub(super) logs: logs::Options,
    pub(super) otlp: otlp::Options,
}

impl OperatorFlags {
    pub(super) fn check(
        &self,
        problems: &mut Problems,
        warnings: &mut Vec<String>,
    ) -> Option<Operators> {
        let admin_listen = self
            .admin_listen
            .as_ref()
            .and_then(|text| problems.check("--admin-listen", text, Listen::parse));
        if admin_listen.as_ref().is_some_and(|it| !it.is_loopback()) {
            warnings.push(IN_THE_OPEN.to_owned());
        }
        let handling_seconds = problems.check(
            "--grpc-server-handling-seconds",
            &self.grpc_server_handling_seconds,
            yes_or_no,
        );
        let format = problems.check("--log-format", &self.log_format, log_format);
        let filter = match &self.log_filter {
            Some(filter) => problems.check("--log-filter", filter, log_filter),
            None => Some(shared_log_filter(warnings)),
        };
        let otlp = otel(warnings);
        Some(Operators {
            admin_listen,
            handling_seconds: handling_seconds?,
            logs: logs::Options {
                format: format?,
                filter: filter?,
            },
            otlp,
        })
    }
}
