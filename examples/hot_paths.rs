//! The paths of a call that matter, one of them, a number of times: for counting instructions, which
//! `bench/instructions` does. `hot_paths PATH COUNT`.

use std::{
    env,
    error::Error,
    future::pending,
    hint::black_box,
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use bytes::{BufMut, Bytes, BytesMut};
use clap::Parser;
use h2::client::SendRequest;
use http::{HeaderMap, Request};
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime,
};
use videoconf_facade::{
    app::{self, Telemetry},
    config::{Config, Flags, Problems},
    error::{self, Unavailable, status::to_status},
    proto::{Conference, v1::GetInfoRequest},
    rocketchat::video_conference,
    telemetry::{
        Instruments,
        logs::{self, Logs},
        metrics, otlp,
    },
};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rocket.Chat's documented answer.
const ANSWER: &[u8] = include_bytes!("../tests/it/bodies/documented-example.json");

#[derive(Parser)]
struct Serve {
    #[command(flatten)]
    flags: Flags,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().collect();
    let [_, path, count] = &arguments[..] else {
        return Err(
            "usage: hot_paths memory|shared|measured|read|refusal|translation|status COUNT".into(),
        );
    };
    let count = count.parse()?;
    match &**path {
        // The latter with a store that replicas share, which the environment names.
        "memory" | "shared" => calls(&Instruments::off(), "x", None, count),
        "measured" => {
            let (metrics, _prometheus) = metrics::start(None, otlp::resource())?;
            let instruments = Instruments {
                metrics,
                ..Instruments::off()
            };
            calls(&instruments, "x", None, count)
        }
        // These two with their access lines.
        "read" => {
            let own_read = Some(prost_types::Duration::default());
            calls(&Instruments::off(), "x", own_read, count)
        }
        "refusal" => calls(&Instruments::off(), "", None, count),
        "translation" => {
            for _ in 0..count {
                let conference = video_conference(black_box(ANSWER)).map_err(|it| it.problem)?;
                black_box(Conference::encode(&conference));
            }
            Ok(())
        }
        "status" => {
            let error = error::Error::UpstreamUnavailable {
                cause: Unavailable::ConnectionRefused,
                retry_after: Duration::from_secs(1),
            };
            for _ in 0..count {
                black_box(to_status(black_box(&error)));
            }
            Ok(())
        }
        _ => Err("no such path".into()),
    }
}

/// Asks a facade in this thread, one call after the other on one connection.
fn calls(
    instruments: &Instruments,
    call_id: &str,
    max_age: Option<prost_types::Duration>,
    count: usize,
) -> Result<(), Box<dyn Error>> {
    let _logs = Logs::start(logs::Options {
        format: logs::Format::Json,
        filter: "info".parse()?,
    });
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let upstream = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let config = config(upstream.local_addr()?)?;
        tokio::spawn(answer(upstream));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let socket = TcpStream::connect(listener.local_addr()?).await?;
        let source = app::facade(&config, instruments)?;
        let telemetry = Telemetry {
            instruments: instruments.clone(),
            admin: None,
        };
        tokio::spawn(async move {
            app::serve(listener, source, &config, telemetry, pending()).await;
        });
        let (requests, connection) = h2::client::handshake(socket).await?;
        tokio::spawn(connection);
        let request = frame(&GetInfoRequest {
            call_id: call_id.to_owned(),
            max_age,
        });
        for _ in 0..count {
            ask(requests.clone(), request.clone()).await?;
        }
        Ok(())
    })
}

/// Answers whatever comes on one connection, as cheaply as can be.
async fn answer(upstream: TcpListener) -> io::Result<()> {
    let (mut socket, _) = upstream.accept().await?;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        ANSWER.len()
    );
    let answer = [head.as_bytes(), ANSWER].concat();
    let mut request = vec![0; 4096];
    // Small as they are, requests come whole.
    while socket.read(&mut request).await? > 0 {
        socket.write_all(&answer).await?;
    }
    Ok(())
}

fn config(upstream: SocketAddr) -> Result<Config, Box<dyn Error>> {
    let upstream = format!("http://{upstream}");
    let flags = [
        "serve",
        "--upstream-url",
        &upstream,
        "--upstream-limit",
        "none",
        "--fresh-for",
        "1h",
        "--stale-for",
        "1h",
    ];
    let serve = Serve::try_parse_from(flags)?;
    let problems = |problems: Vec<_>| format!("{problems:?}");
    Ok(serve.flags.check(Problems::default()).map_err(problems)?)
}

async fn ask(requests: SendRequest<Bytes>, body: Bytes) -> Result<HeaderMap, h2::Error> {
    let request =
        Request::post("http://facade/rocketchat.videoconference.v1.VideoConferenceService/GetInfo")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("x-user-id", "CkCPNctrgCDfmWLqC")
            .header(
                "x-auth-token",
                "1Dd4iN_ClKn5jl-xPC36snQ4s9Zd5GZnXCQuCNSKcVE",
            )
            .body(())
            .expect("a request");
    let (answer, mut stream) = requests.ready().await?.send_request(request, false)?;
    stream.send_data(body, true)?;
    let (head, mut body) = answer.await?.into_parts();
    while let Some(data) = body.data().await {
        body.flow_control().release_capacity(data?.len())?;
    }
    Ok(body.trailers().await?.unwrap_or(head.headers))
}

/// `message` as gRPC frames it.
fn frame(message: &impl Message) -> Bytes {
    let encoded = message.encode_to_vec();
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(encoded.len()).expect("a small message"));
    frame.extend_from_slice(&encoded);
    frame.freeze()
}
