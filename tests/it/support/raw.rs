//! A client that speaks HTTP/2 and no gRPC, so that it sees what the server really said.

use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, Method, Request};
use prost::Message;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use videoconf_facade::sandbox::USERS;

use super::{GET_INFO, request, soon};

/// A connection.
pub struct Connection {
    requests: SendRequest<Bytes>,
    /// The client's end.
    pub local: SocketAddr,
}

/// What the server said, without interpretation.
#[derive(Debug)]
pub struct Answer {
    pub http_status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// `None` for an answer of trailers only: then the status is in `headers`.
    pub trailers: Option<HeaderMap>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).await.expect("a connection");
        let local = socket.local_addr().expect("an address");
        Self::over(socket, local).await
    }

    /// The same over a connection that there is, from `local`.
    pub async fn over(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        local: SocketAddr,
    ) -> Self {
        let (requests, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
        tokio::spawn(connection);
        Self { requests, local }
    }

    /// Sends a whole request.
    pub async fn send(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> ResponseFuture {
        self.send_as(&Method::POST, path, headers, body).await
    }

    /// Sends a whole request with any HTTP method.
    pub async fn send_as(
        &mut self,
        method: &Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> ResponseFuture {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://facade{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send_request(request.body(()).expect("a request"), body)
            .await
    }

    /// Sends a whole request with this head and nothing added to it.
    pub async fn send_request(&mut self, request: Request<()>, body: Bytes) -> ResponseFuture {
        let mut requests = self.requests.clone().ready().await.expect("a stream");
        let (answer, mut stream) = requests.send_request(request, false).expect("a stream");
        stream.send_data(body, true).expect("data");
        answer
    }

    /// Asks for a conference as the sandbox's first user, with more headers.
    pub async fn get_info(&mut self, call_id: &str, headers: &[(&str, &str)]) -> Answer {
        let mut all = vec![("x-user-id", USERS[0].id), ("x-auth-token", USERS[0].token)];
        all.extend_from_slice(headers);
        let answer = self.send(GET_INFO, &all, frame(&request(call_id))).await;
        Answer::read(answer).await
    }
}

impl Answer {
    pub async fn read(answer: ResponseFuture) -> Self {
        let (head, mut stream) = answer.await.expect("an answer").into_parts();
        let mut body = BytesMut::new();
        while let Some(data) = stream.data().await {
            body.extend_from_slice(&data.expect("data"));
        }
        Self {
            http_status: head.status.as_u16(),
            headers: head.headers,
            body: body.freeze(),
            trailers: stream.trailers().await.expect("trailers or none"),
        }
    }

    /// `grpc-status`, wherever it is.
    pub fn grpc_status(&self) -> &str {
        let place = self.trailers.as_ref().unwrap_or(&self.headers);
        place["grpc-status"].to_str().expect("digits")
    }
}

/// `message` as gRPC frames it, uncompressed.
pub fn frame(message: &impl Message) -> Bytes {
    let encoded = message.encode_to_vec();
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(encoded.len()).expect("a small message"));
    frame.extend_from_slice(&encoded);
    frame.freeze()
}

/// What is said to `message`, until the server closes.
pub async fn said_to(address: SocketAddr, message: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(address).await.expect("a socket");
    socket.write_all(message).await.expect("a socket");
    let mut said = Vec::new();
    // A connection that is torn down says nothing either.
    let _ = soon(socket.read_to_end(&mut said)).await;
    said
}
