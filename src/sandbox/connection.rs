//! One connection: its requests one after another, each answered as the script or the rules say.

use std::future;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::Method;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::inbox::{Inbox, Incoming};
use super::reply::{Ending, Reply};
use super::state::State;
use super::wire;

/// What becomes of the connection after a request.
enum Next {
    Answer,
    CloseOnRequest,
    Close,
    /// The client left first.
    Abandoned,
}

/// Serves `socket` until one side has had enough.
pub(super) async fn serve(mut socket: TcpStream, peer: IpAddr, state: Arc<State>) {
    // Only a matter of speed, so not worth failing for.
    let _ = socket.set_nodelay(true);
    let (reader, mut writer) = socket.split();
    let mut inbox = Inbox::new(reader);
    let mut next = Next::Answer;
    loop {
        let (request, reusable) = match inbox.next().await {
            Incoming::Request { request, reusable } => (request, reusable),
            Incoming::Refused(answer) => {
                if writer.write_all(answer).await.is_ok() && writer.shutdown().await.is_ok() {
                    inbox.drain().await;
                }
                return;
            }
            Incoming::Closed => return,
        };
        if matches!(next, Next::CloseOnRequest) {
            state.note_request(request);
            return;
        }
        let reply = state.reply_to(&request, peer);
        let head_only = request.method == Method::HEAD;
        next = tokio::select! {
            // An answer that needs no waiting gets out even if the client has already gone.
            biased;
            next = send(&mut writer, &reply, head_only, reusable) => next,
            () = inbox.closed() => Next::Abandoned,
        };
        match next {
            Next::Answer | Next::CloseOnRequest => {}
            Next::Close => return,
            Next::Abandoned => return state.note_dropped(),
        }
    }
}

async fn send(
    writer: &mut (impl AsyncWrite + Unpin),
    reply: &Reply,
    head_only: bool,
    reusable: bool,
) -> Next {
    if !reply.delay.is_zero() {
        sleep(reply.delay).await;
    }
    let reusable = reusable && !reply.says_close();
    let form = || wire::Form {
        date: SystemTime::now(),
        head_only,
        last: !reusable,
    };
    let written = match reply.ending {
        Ending::Hang => future::pending().await,
        Ending::Close => return Next::Close,
        Ending::Raw => writer.write_all(&reply.body).await,
        _ if reply.pause.is_zero() => {
            writer
                .write_all(&wire::encode(reply, &form()).concat())
                .await
        }
        _ => write_in_pieces(writer, &wire::encode(reply, &form()), reply.pause).await,
    };
    if written.is_err() {
        return Next::Abandoned;
    }
    match reply.ending {
        Ending::HangAfter(_) => future::pending().await,
        Ending::Complete if reusable => Next::Answer,
        Ending::CloseOnNextRequest if reusable => Next::CloseOnRequest,
        _ => Next::Close,
    }
}

async fn write_in_pieces(
    writer: &mut (impl AsyncWrite + Unpin),
    pieces: &[Vec<u8>],
    pause: Duration,
) -> io::Result<()> {
    let mut pieces = pieces.iter().filter(|piece| !piece.is_empty());
    if let Some(head) = pieces.next() {
        writer.write_all(head).await?;
    }
    for piece in pieces {
        sleep(pause).await;
        writer.write_all(piece).await?;
    }
    Ok(())
}
