//! A client over HTTP, in the simulated network.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HeaderMap;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use turmoil::net::TcpStream;

use super::server::PORT;

/// How long a client waits for an answer before it gives the connection up.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// A client with at most one connection.
pub(super) struct Client {
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    pub(super) body: String,
}

impl Client {
    pub(super) fn new() -> Self {
        Self { connection: None }
    }

    /// Sends a request; `None` if no answer has come.
    pub(super) async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, String)],
        body: &str,
    ) -> Option<Answer> {
        let mut request = Request::builder().method(method).uri(format!("/v1/stream/{path}"));
        request = request.header("host", "server");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).expect("a request");
        let answer = timeout(PATIENCE, self.exchange(request)).await.ok().flatten();
        if answer.is_none() {
            self.connection = None;
        }
        answer
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Option<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) if !connection.is_closed() => connection,
            _ => connect().await?,
        };
        connection.ready().await.ok()?;
        let response = connection.send_request(request).await.ok()?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        self.connection = Some(connection);
        let body = String::from_utf8(body.to_vec()).expect("everything here is text");
        Some(Answer { status: parts.status, headers: parts.headers, body })
    }
}

async fn connect() -> Option<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(("server", PORT)).await.ok()?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
    // It ends with the connection.
    tokio::spawn(connection);
    Some(sender)
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The position that `Stream-Next-Offset` tells.
    pub(super) fn position(&self) -> Option<u64> {
        self.header("stream-next-offset")?.rsplit('_').next()?.parse().ok()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.header("stream-closed") == Some("true")
    }

    pub(super) fn is_up_to_date(&self) -> bool {
        self.header("stream-up-to-date") == Some("true")
    }

    /// The machine code of a problem.
    pub(super) fn code(&self) -> &str {
        let code = self.body.split_once("\"code\":\"").and_then(|(_, rest)| rest.split_once('"'));
        code.map_or("", |(code, _)| code)
    }

    /// All of it that must be the same in the same storm, in one line.
    pub(super) fn line(&self) -> String {
        let next = self.header("stream-next-offset").unwrap_or("-");
        let cursor = self.header("stream-cursor").unwrap_or("-");
        let etag = self.header("etag").unwrap_or("-");
        let closed = self.is_closed();
        format!("{} {next} {cursor} {etag} {closed} {}", self.status.as_u16(), self.body)
    }
}
