//! SIGUSR1 opens the log's filter, and closes it again, while calls go on.

use rustix::process::Signal;
use videoconf_facade::sandbox::Reply;

use crate::support::{
    SMALLEST, any_age, as_user,
    process::{Server, json_lines},
    sandbox,
};

#[tokio::test]
async fn everything_is_logged_between_two_signals() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    // As much as it takes to hear that it serves, and no access lines at all.
    let flags = ["--log-filter", "info,access=off", "--fresh-for", "30s"];
    let server = Server::before(&sandbox, &flags).await;
    let ask = async |request_id: &str| {
        let mut call = as_user(any_age("x"));
        let id = request_id.parse().expect("an id");
        call.metadata_mut().insert("x-request-id", id);
        server.client().get_info(call).await.expect("an answer");
    };
    let switch = async |debug: bool| {
        server.process.signal(Signal::USR1);
        let is_it =
            |line: &serde_json::Value| line["target"] == "log_filter" && line["debug"] == debug;
        server.process.stderr.find_json(is_it).await;
    };
    ask("before").await;
    switch(true).await;
    ask("meanwhile").await;
    switch(false).await;
    ask("after").await;
    let log = server.end().await.stderr;
    let lines = json_lines(&log);
    let accesses = lines.iter().filter(|line| line["target"] == "access");
    let ids: Vec<_> = accesses.map(|line| &line["request_id"]).collect();
    // From memory, which is at debug.
    assert_eq!(ids, ["meanwhile"]);
}
