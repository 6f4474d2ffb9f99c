//! The probe for images without a shell.

use videoconf_facade::api::SERVICE_NAME;

use super::{run_with, taken};
use crate::support::{Facade, process::run, sandbox};

#[tokio::test]
async fn health_is_told_by_the_exit_status() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    let server = facade.address.to_string();
    let (_silent, silent) = taken();
    for (flags, status, stdout, stderr) in [
        (&["--server", &server][..], 0, "SERVING\n", ""),
        (
            &["--server", &server, "--service", SERVICE_NAME],
            0,
            "SERVING\n",
            "",
        ),
        (&["--server", &server, "--service", "x"], 1, "", "NOT_FOUND"),
        (&["--server", "127.0.0.1:1"], 1, "", "UNAVAILABLE"),
        (&["--server", &silent, "--timeout", "300ms"], 1, "", ""),
        (&["--server", "a b", "--timeout", "0s"], 64, "", "--server"),
        (&["--unknown"], 64, "", "argument 2"),
    ] {
        let ended = run(&[&["health"], flags].concat()).await;
        assert_eq!(ended.status, Some(status), "{flags:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, stdout, "{flags:?}");
        assert!(ended.stderr.contains(stderr), "{flags:?}: {}", ended.stderr);
        assert_eq!(
            ended.stderr.is_empty(),
            status == 0,
            "{flags:?}: {}",
            ended.stderr
        );
    }
    let variable = ("VIDEOCONF_SERVER", &*server);
    assert_eq!(run_with(&["health"], &[variable]).await.status, Some(0));
}
