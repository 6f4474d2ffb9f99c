//! The names of all instruments, as OpenTelemetry has them. Prometheus has `_` for each dot, the unit at the
//! end, and `_total` after counters.

/// An instrument's name.
#[derive(Clone, Copy, Debug)]
pub struct Name {
    /// The name itself.
    pub name: &'static str,
    /// Its unit, as UCUM writes it; what is in braces is for people.
    pub unit: &'static str,
    /// What it tells.
    pub about: &'static str,
}

macro_rules! names {
    ($($constant:ident = $name:literal, $unit:literal, $about:literal;)*) => {
        $(
            #[doc = $about]
            pub const $constant: Name = Name { name: $name, unit: $unit, about: $about };
        )*
    };
}

names! {
    // OpenTelemetry's.
    RPC_DURATION = "rpc.server.call.duration", "s", "How long calls took, until the end of their answers";
    HTTP_DURATION = "http.client.request.duration", "s", "How long requests to Rocket.Chat took, until the end of their answers";

    // Those that gRPC's classic dashboards ask for.
    STARTED = "grpc_server_started", "", "Calls that came";
    HANDLED = "grpc_server_handled", "", "Calls that ended, refused and cancelled ones included";
    HANDLING = "grpc_server_handling_seconds", "", "How long calls took, with --grpc-server-handling-seconds";

    // Our own: calls.
    IN_FLIGHT = "videoconf.calls.in_flight", "{call}", "Calls that have come and not ended";
    REFUSALS = "videoconf.refusals", "{call}", "Calls that were refused, by ErrorInfo's reason and, where a reason has several causes, its problem";
    ANSWERS = "videoconf.answers", "{call}", "Calls that were answered, by where the answer came from";
    ANSWER_AGE = "videoconf.answer.age", "s", "How old answers were when their calls came";

    // Our own: reads.
    READS_IN_FLIGHT = "videoconf.reads.in_flight", "{read}", "Reads of Rocket.Chat that wait for their turn or are under way";
    READ_CALLERS = "videoconf.read.callers", "{call}", "For how many calls a read was made that was sent";
    TURN_WAIT = "videoconf.turn.wait", "s", "How long requests to Rocket.Chat waited for their turn, in vain or not";
    UPSTREAM_DOWN = "videoconf.upstream.down", "", "1 while it is known that Rocket.Chat gives no answers, else 0";
    QUEUE_LENGTH = "videoconf.queue.length", "{read}", "Reads that wait for their turn";
    ALLOWANCE_LIMIT = "videoconf.allowance.limit", "{request}", "How many requests Rocket.Chat allows our address in a window";
    ALLOWANCE_USED = "videoconf.allowance.used", "{request}", "How many of them we have sent in the last window";
    ALLOWANCE_OTHERS = "videoconf.allowance.others", "{request}", "How many of them others at our address are expected to send in a window";

    // OpenTelemetry's, of the store that replicas share; only with --shared-store.
    STORE_DURATION = "db.client.operation.duration", "s", "How long operations on the shared store took, by command and, if one failed, by why";

    // Our own: the store that replicas share; likewise.
    STORE_UNREADABLE = "videoconf.store.unreadable", "{value}", "Values and entries in the shared store that can't be read, and are ignored";
    STORE_REACHABLE = "videoconf.store.reachable", "", "1 while the limit is shared with all replicas, 0 while the store can't be reached";
    REPLICAS = "videoconf.replicas", "{replica}", "Replicas that share the limit, this one included, or shared it before the store was lost";
    REPLICAS_WITH_ANOTHER_KEY = "videoconf.replicas.with_another_key", "{replica}", "Those of them that have another --shared-store-key-file, so that answers aren't shared with them";

    // Our own: connections.
    CONNECTIONS_OPEN = "videoconf.connections.open", "{connection}", "Connections that are open";
    CONNECTIONS_ACCEPTED = "videoconf.connections.accepted", "{connection}", "Connections that were accepted";
    CONNECTIONS_ENDED = "videoconf.connections.ended", "{connection}", "Connections that ended, by why";

    // OpenTelemetry's, of itself. What it loses before, it counts as otel.sdk.processor.span.processed.
    SPANS_EXPORTED = "otel.sdk.exporter.span.exported", "{span}", "Spans that were delivered to the receiver of traces, or lost with an error.type; only while there is one";

    // Our own: the process.
    CERTIFICATE_EXPIRY = "videoconf.certificate.expiry.timestamp", "s", "When the server's certificate expires, in seconds since 1970";
    LOG_LINES_LOST = "videoconf.log.lines_lost", "{line}", "Log lines that were lost, since nobody took them";
    BUILD_INFO = "videoconf.build_info", "", "1, with the version and the commit";

    // Prometheus' own, for any process.
    CPU_SECONDS = "process_cpu_seconds", "", "User and system time, in seconds";
    RESIDENT_MEMORY = "process_resident_memory_bytes", "", "Resident memory, in bytes";
    VIRTUAL_MEMORY = "process_virtual_memory_bytes", "", "Virtual memory, in bytes";
    OPEN_FDS = "process_open_fds", "", "Open file descriptors";
    MAX_FDS = "process_max_fds", "", "How many file descriptors may be open";
    THREADS = "process_threads", "", "Threads";
    START_TIME = "process_start_time_seconds", "", "When the process started, in seconds since 1970";
}
