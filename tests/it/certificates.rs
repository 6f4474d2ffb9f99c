//! Certificates that are renewed while the server runs.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use rcgen::{CertificateParams, date_time_ymd};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use videoconf_facade::{
    proto::v1::video_conference_service_client::VideoConferenceServiceClient,
    sandbox::{Reply, Sandbox},
};

use crate::support::{
    SMALLEST, any_age, as_user,
    authority::{Authority, Pair},
    process::{Server, json_lines},
    sandbox, soon,
    tls::{self, certificate, client, connect},
};

/// A block of PEM that only says that it is one.
const NO_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

const RENEWED: &str = "the certificate is renewed";
const NOT_RENEWED: &str = "the certificate can't be renewed, the old one stays";

/// A volume as Kubernetes mounts it: files are links into a folder, which is a link that is swapped.
struct Volume(TempDir);

impl Volume {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        for name in ["cert.pem", "key.pem", "clients.pem"] {
            symlink(Path::new("..data").join(name), folder.path().join(name)).unwrap();
        }
        Self(folder)
    }

    fn put(&self, pair: &Pair, clients: &Authority) {
        let version = TempDir::new_in(self.0.path()).unwrap().keep();
        fs::write(version.join("cert.pem"), &pair.certificate).unwrap();
        fs::write(version.join("key.pem"), &pair.key).unwrap();
        fs::write(version.join("clients.pem"), clients.pem()).unwrap();
        let swap = self.0.path().join("..swap");
        symlink(version.file_name().unwrap(), &swap).unwrap();
        fs::rename(swap, self.0.path().join("..data")).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    async fn server(&self, sandbox: &Sandbox, flags: &[&str]) -> Server {
        let (certificate, key) = (self.path("cert.pem"), self.path("key.pem"));
        let tls = ["--tls-cert", &certificate, "--tls-key", &key];
        Server::before(sandbox, &[&tls, flags].concat()).await
    }
}

/// Whether new connections are shown the certificate of `pair`.
async fn shows(server: &Server, authority: &Authority, pair: &Pair) -> bool {
    let stream = connect(server.address, client(authority, None)).await;
    let stream = stream.expect("a trusted certificate");
    let shown = stream
        .get_ref()
        .1
        .peer_certificates()
        .expect("a certificate");
    shown[0] == certificate(&pair.certificate)
}

/// Waits for the `count`th line with `message`.
async fn wait_for(server: &Server, message: &str, count: usize) -> Value {
    let mut seen = 0;
    let find = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        seen += usize::from(line["message"] == message);
        (seen == count).then_some(line)
    };
    server.process.stderr.find(find).await
}

#[tokio::test]
async fn a_new_certificate_is_shown_and_no_call_is_lost() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let authority = Authority::new();
    let [old, new] = [(); 2].map(|()| authority.issue_for("localhost"));
    let volume = Volume::new();
    volume.put(&old, &authority);
    let server = volume.server(&sandbox, &[]).await;

    let over = Arc::new(AtomicBool::new(false));
    let address = server.address;
    let load = |is_reconnecting: bool| {
        let over = over.clone();
        let config = client(&authority, None);
        tokio::spawn(async move {
            let mut channel = tls::channel(address, config.clone());
            let mut answered = 0;
            while answered < 30 || !over.load(Ordering::Relaxed) {
                if is_reconnecting {
                    channel = tls::channel(address, config.clone());
                }
                let mut caller = VideoConferenceServiceClient::new(channel.clone());
                let answer = caller.get_info(as_user(any_age("x"))).await;
                answer.expect("an answer");
                answered += 1;
            }
        })
    };
    let callers = [load(true), load(true), load(false)];
    assert!(shows(&server, &authority, &old).await);
    volume.put(&new, &authority);
    let line = server.process.stderr.message(RENEWED).await;
    assert!(line["expires"].as_str().unwrap().ends_with('Z'), "{line}");
    assert!(shows(&server, &authority, &new).await);
    over.store(true, Ordering::Relaxed);
    for caller in callers {
        soon(caller).await.expect("no failed call");
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_reported_and_the_old_one_stays() {
    let sandbox = sandbox().await;
    let authority = Authority::new();
    let volume = Volume::new();
    let good = authority.issue_for("localhost");
    volume.put(&good, &authority);
    let server = volume.server(&sandbox, &[]).await;
    let mut expired = CertificateParams::new(["localhost".to_owned()]).unwrap();
    expired.not_after = date_time_ymd(2020, 1, 1);
    let mut early = CertificateParams::new(["localhost".to_owned()]).unwrap();
    early.not_before = date_time_ymd(2900, 1, 1);
    let text = |text: &str| text.to_owned();
    let bad = [
        (
            Pair {
                certificate: text(""),
                key: good.key.clone(),
            },
            "--tls-cert",
            "has no certificate in PEM",
        ),
        (
            Pair {
                certificate: good.certificate.clone(),
                key: text("garbage"),
            },
            "--tls-key",
            "has no private key in PEM, or only one with a password",
        ),
        (
            Pair {
                key: authority.issue_for("x").key,
                ..authority.issue_for("localhost")
            },
            "--tls-key",
            "is not the key of the certificate",
        ),
        (
            Pair {
                certificate: good.certificate.clone() + NO_CERTIFICATE,
                key: good.key.clone(),
            },
            "--tls-cert",
            "has a certificate that is none: TrailingData(SignedData)",
        ),
        (
            authority.issue(&expired),
            "--tls-cert",
            "has expired at 2020-01-01T00:00:00Z",
        ),
        (
            authority.issue(&early),
            "--tls-cert",
            "is not valid before 2900-01-01T00:00:00Z",
        ),
    ];
    for (at, (pair, flag, problem)) in bad.iter().enumerate() {
        volume.put(pair, &authority);
        if at > 0 {
            server.process.signal(Signal::HUP);
        }
        let line = wait_for(&server, NOT_RENEWED, at + 1).await;
        assert_eq!(line["level"], "ERROR");
        let told = line["problem"].as_str().unwrap();
        assert!(told.starts_with(flag) && told.ends_with(problem), "{told}");
        assert!(shows(&server, &authority, &good).await, "{problem}");
    }
    fs::remove_file(volume.path("..data")).unwrap();
    let line = wait_for(&server, NOT_RENEWED, bad.len() + 1).await;
    assert!(
        line["problem"].as_str().unwrap().contains("can't be read"),
        "{line}"
    );
    let better = authority.issue_for("localhost");
    volume.put(&better, &authority);
    server.process.stderr.message(RENEWED).await;
    assert!(shows(&server, &authority, &better).await);
    // No line for what was reported already, but two where both files were gone.
    let lines = json_lines(&server.end().await.stderr);
    let reported = lines.iter().filter(|line| line["message"] == NOT_RENEWED);
    assert_eq!(reported.count(), bad.len() + 2);
}

/// The clock of who makes certificates may be ahead of ours.
#[tokio::test]
async fn what_is_not_valid_yet_is_used_when_it_is() {
    let sandbox = sandbox().await;
    let authority = Authority::new();
    let volume = Volume::new();
    volume.put(&authority.issue_for("localhost"), &authority);
    let server = volume.server(&sandbox, &[]).await;
    let mut early = CertificateParams::new(["localhost".to_owned()]).unwrap();
    early.not_before = (SystemTime::now() + Duration::from_secs(5)).into();
    let early = authority.issue(&early);
    volume.put(&early, &authority);
    wait_for(&server, NOT_RENEWED, 1).await;
    wait_for(&server, RENEWED, 1).await;
    assert!(shows(&server, &authority, &early).await);
    let log = server.end().await.stderr;
    assert_eq!(log.matches(NOT_RENEWED).count(), 1, "{log}");
}

#[tokio::test]
async fn a_hangup_has_the_files_read_now() {
    let sandbox = sandbox().await;
    let authority = Authority::new();
    let volume = Volume::new();
    let pair = authority.issue_for("localhost");
    volume.put(&pair, &authority);
    let server = volume.server(&sandbox, &[]).await;
    // Even what is there already, so that whoever asks hears that it is good.
    for count in 1..=2 {
        server.process.signal(Signal::HUP);
        wait_for(&server, RENEWED, count).await;
    }
    assert_eq!(server.end().await.status, Some(0));

    let server = Server::before(&sandbox, &[]).await;
    server.process.signal(Signal::HUP);
    server
        .process
        .stderr
        .message("there is no certificate to reload")
        .await;
    assert_eq!(server.end().await.status, Some(0));
}

#[tokio::test]
async fn who_vouches_for_clients_is_renewed_too() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let (authority, old, new) = (Authority::new(), Authority::new(), Authority::new());
    let volume = Volume::new();
    let pair = authority.issue_for("localhost");
    volume.put(&pair, &old);
    let clients = volume.path("clients.pem");
    let server = volume
        .server(&sandbox, &["--tls-client-ca", &clients])
        .await;
    let call = async |channel| {
        let mut caller = VideoConferenceServiceClient::new(channel);
        caller.get_info(as_user(any_age("x"))).await
    };
    let channel = |of: &Authority| {
        let identity = of.issue_for("client");
        tls::channel(server.address, client(&authority, Some(&identity)))
    };
    let open = channel(&old);
    call(open.clone()).await.expect("an answer");
    call(channel(&new)).await.expect_err("not yet");
    volume.put(&pair, &new);
    server.process.stderr.message(RENEWED).await;
    call(channel(&new)).await.expect("an answer");
    call(channel(&old)).await.expect_err("no more");
    call(open)
        .await
        .expect("an answer on a connection that there was");
}
