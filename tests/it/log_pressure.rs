//! Writing the log never makes a call wait, nor the end: what nobody reads is lost, and counted.

use std::{
    fs::File,
    io::{PipeReader, PipeWriter, Write},
    os::fd::{AsRawFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::unix::pipe::{OpenOptions, Receiver},
    process::Child,
};
use tonic::transport::Channel;
use videoconf_facade::{
    proto::v1::video_conference_service_client::VideoConferenceServiceClient,
    sandbox::{Reply, Sandbox},
};

use crate::support::{
    SMALLEST, as_user,
    process::{json_lines, send_signal, serve, serving},
    request, sandbox, soon,
};

/// How many bytes of lines wait for the writer at most.
const QUEUE: usize = 4 * 1024 * 1024;

/// With every filter open each of these makes dozens of lines, which fills pipe and queue.
const CALLS: usize = 700;

/// Far more than the writer is given for its last lines.
const AT_ONCE: Duration = Duration::from_secs(20);

/// A `serve` with every filter open, whose log is read on demand only.
struct Server {
    child: Child,
    log: BufReader<Receiver>,
    client: VideoConferenceServiceClient<Channel>,
}

impl Server {
    /// Starts it before `sandbox`. Its stdout goes where its log goes, if that is `shared`.
    async fn start(sandbox: &Sandbox, shared: bool) -> Self {
        let (log, writer): (PipeReader, PipeWriter) = std::io::pipe().expect("a pipe");
        let mut command = serve(&["--upstream-url", &sandbox.url()]);
        command.env("RUST_LOG", "trace");
        if shared {
            command.stdout(writer.try_clone().expect("a pipe"));
        }
        let child = command.stderr(writer).spawn().expect("the command");
        // It holds the pipe's other end, too.
        drop(command);

        let log = Receiver::from_owned_fd(OwnedFd::from(log)).expect("a pipe");
        let mut log = BufReader::new(log);
        let mut line = String::new();
        let address = loop {
            let length = soon(log.read_line(&mut line)).await.expect("a line");
            assert_ne!(length, 0, "ended: {line}");
            if let Some(address) = serving(line.trim_end()) {
                break address;
            }
            line.clear();
        };
        let channel = Channel::from_shared(format!("http://{address}")).expect("a URL");
        let client = VideoConferenceServiceClient::new(channel.connect_lazy());
        Self { child, log, client }
    }

    /// Makes calls, one after another, each of which must be answered.
    async fn answer_calls(&mut self) {
        for _ in 0..CALLS {
            let answer = soon(self.client.get_info(as_user(request("x")))).await;
            answer.expect("a conference");
        }
    }

    /// Fills what is left of the pipe, to the last byte.
    fn fill_pipe(&self) {
        // Opened anew, since not to block is a property that the command's end must not have.
        let path = format!("/proc/self/fd/{}", self.log.get_ref().as_raw_fd());
        let sender = OpenOptions::new().open_sender(path).expect("the pipe");
        let mut pipe = File::from(sender.into_nonblocking_fd().expect("the pipe"));
        while pipe.write(b"\n").is_ok() {}
    }

    /// Asks for the end, which must come soon, and gives what is in the pipe of its own for stdout.
    async fn end(self) -> String {
        let begun = Instant::now();
        send_signal(&self.child, Signal::TERM);
        let output = soon(self.child.wait_with_output()).await.expect("an end");
        assert_eq!(output.status.code(), Some(0));
        assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

async fn sandbox_with_an_answer() -> Sandbox {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    sandbox
}

#[tokio::test]
async fn lost_lines_are_counted() {
    let sandbox = sandbox_with_an_answer().await;
    let mut server = Server::start(&sandbox, false).await;
    server.answer_calls().await;

    // Somebody comes to read. What had to wait is more than the queue holds, so once that much has
    // been read there is room in it for the last lines.
    let mut log = String::new();
    while log.len() < QUEUE {
        let length = soon(server.log.read_line(&mut log)).await.expect("a line");
        assert_ne!(length, 0, "the end");
    }
    send_signal(&server.child, Signal::TERM);
    while soon(server.log.read_line(&mut log)).await.expect("a line") > 0 {}
    let status = soon(server.child.wait()).await.expect("a status");
    assert_eq!(status.code(), Some(0));

    // What was lost was lost in whole lines.
    let lines = json_lines(&log);
    // Libraries may still say something after it.
    let end = lines.iter().find(|line| line["message"] == "ended");
    let end = end.expect("the end");
    let lost = end["lost_log_lines"].as_u64().expect("a number");
    assert!(lost > 0, "{end}");
}

#[tokio::test]
async fn the_end_does_not_wait_for_a_reader() {
    let sandbox = sandbox_with_an_answer().await;
    let mut server = Server::start(&sandbox, false).await;
    server.answer_calls().await;
    let stdout = server.end().await;
    assert_eq!(stdout, "", "a server has nothing to say on stdout");
}

/// As under a supervisor that hands one pipe or socket to both.
#[tokio::test]
async fn the_end_does_not_wait_for_a_reader_of_stdout_and_stderr_in_one() {
    let sandbox = sandbox_with_an_answer().await;
    let mut server = Server::start(&sandbox, true).await;
    server.answer_calls().await;
    server.fill_pipe();
    server.end().await;
}

#[tokio::test]
async fn a_reader_who_leaves_takes_nothing_along() {
    let sandbox = sandbox_with_an_answer().await;
    for shared in [false, true] {
        let mut server = Server::start(&sandbox, shared).await;
        let (closed, _writer) = std::io::pipe().expect("a pipe");
        let closed = Receiver::from_owned_fd(OwnedFd::from(closed)).expect("a pipe");
        drop(std::mem::replace(&mut server.log, BufReader::new(closed)));
        server.answer_calls().await;
        server.end().await;
    }
}
