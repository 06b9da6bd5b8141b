//! One request to one receiver: connect to an address that was judged, send, read a bounded answer.
//!
//! It is made with hyper on a connection that we open ourselves. There is no client around it that could
//! resolve the name again, follow a redirect, use a proxy of the environment, or reuse a connection.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::guard::WebhookUrl;
use crate::tls::Tls;

/// The most bytes of a response's head.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// How many of a name's addresses are tried.
const MAX_ADDRESSES: u32 = 4;

/// What this client calls itself.
const AGENT: &str = concat!("streamkeeper/", env!("CARGO_PKG_VERSION"));

/// A request to a receiver.
pub(crate) struct Delivery<'a> {
    pub(crate) url: &'a WebhookUrl,
    /// Where to connect to, the best first.
    pub(crate) addresses: &'a [SocketAddr],
    pub(crate) signature: String,
    pub(crate) body: Bytes,
    pub(crate) connect_timeout: Duration,
    pub(crate) max_response_bytes: usize,
}

/// What a receiver answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The body; `None` if it is longer than what is read.
    pub(crate) body: Option<Vec<u8>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error("no TLS connection: {0}")]
    Tls(io::Error),
    #[error("the request cannot be made: {0}")]
    Request(#[from] http::Error),
    #[error("the connection failed: {0}")]
    Http(#[from] hyper::Error),
}

impl Delivery<'_> {
    /// Sends the request. Not bounded in time, but for the connecting.
    pub(crate) async fn send(self, tls: &Tls) -> Result<Answer, NoAnswer> {
        let stream = connect(self.addresses, self.connect_timeout).await;
        let stream = stream.map_err(NoAnswer::Connect)?;
        if !self.url.is_https() {
            return self.exchange(stream).await;
        }
        let host = self.url.host();
        let stream = in_time(self.connect_timeout, tls.connect(&host, stream)).await;
        let stream = stream.map_err(NoAnswer::Tls)?;
        self.exchange(stream).await
    }

    async fn exchange(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Answer, NoAnswer> {
        let limit = self.max_response_bytes;
        let mut http = http1::Builder::new();
        http.max_buf_size(MAX_HEAD_BYTES);
        let (mut sender, connection) = http.handshake(TokioIo::new(stream)).await?;
        let request = self.request()?;
        let mut exchange = pin!(async {
            let response = sender.send_request(request).await?;
            Ok(Answer { status: response.status(), body: collect(response, limit).await? })
        });
        // The connection works while it is waited for, and ends with this future.
        tokio::select! {
            biased;
            answer = &mut exchange => answer,
            _ = connection => exchange.await,
        }
    }

    fn request(self) -> Result<Request<Full<Bytes>>, http::Error> {
        Request::builder()
            .method(Method::POST)
            .uri(self.url.path_and_query())
            .header(HOST, self.url.authority())
            .header(USER_AGENT, AGENT)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json")
            .header(CONTENT_LENGTH, self.body.len())
            .header(CONNECTION, "close")
            .header("webhook-signature", self.signature)
            .body(Full::new(self.body))
    }
}

/// Connects to the first address that answers; each has its share of the time.
async fn connect(addresses: &[SocketAddr], time: Duration) -> io::Result<TcpStream> {
    let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let share =
        time / u32::try_from(addresses.len()).unwrap_or(MAX_ADDRESSES).clamp(1, MAX_ADDRESSES);
    for address in addresses.iter().take(MAX_ADDRESSES as usize) {
        match in_time(share, TcpStream::connect(address)).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

async fn in_time<T>(time: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(time, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// The body; `None` if it is longer than `limit`.
async fn collect(
    mut response: Response<Incoming>,
    limit: usize,
) -> Result<Option<Vec<u8>>, hyper::Error> {
    let mut body = Vec::new();
    while let Some(frame) = response.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if body.len() + data.len() > limit {
            return Ok(None);
        }
        body.extend_from_slice(&data);
    }
    Ok(Some(body))
}

#[cfg(test)]
mod tests;
