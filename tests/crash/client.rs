//! A small HTTP client: one connection, one request at a time, nothing but what the test needs.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take. A busy machine does not come near it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A request about a stream.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Request {
    /// A request about the stream `target`, which may end in a query.
    pub(crate) fn new(method: &'static str, target: &str) -> Self {
        let path = format!("/v1/stream/{target}");
        Self { method, path, headers: Vec::new(), body: Vec::new() }
    }

    /// A GET of a path that is no stream.
    pub(crate) fn at(path: &str) -> Self {
        Self { path: path.to_owned(), ..Self::get("") }
    }

    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Display) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// A body of the type that JSON streams, or others, have in this test.
    pub(crate) fn body(mut self, json: bool, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("Content-Type", content_type(json))
    }

    pub(crate) fn producer(self, id: impl Display, epoch: u64, seq: u64) -> Self {
        self.header("Producer-Id", id).header("Producer-Epoch", epoch).header("Producer-Seq", seq)
    }

    pub(crate) fn closing(self) -> Self {
        self.header("Stream-Closed", true)
    }

    fn encode(&self, host: SocketAddr) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {host}\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("Content-Length: {}\r\n\r\n", self.body.len());
        [head.as_bytes(), &self.body].concat()
    }
}

pub(crate) fn content_type(json: bool) -> &'static str {
    if json { "application/json" } else { "application/octet-stream" }
}

/// The token of a position.
pub(crate) fn offset(position: u64) -> String {
    format!("{:016}_{position:016}", 0)
}

/// What the server said.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.header(name)?.parse().ok()
    }

    /// `Stream-Next-Offset` as a position.
    pub(crate) fn next_offset(&self) -> Option<u64> {
        position(self.header("Stream-Next-Offset")?)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.header("Stream-Closed") == Some("true")
    }

    pub(crate) fn is_up_to_date(&self) -> bool {
        self.header("Stream-Up-To-Date") == Some("true")
    }

    /// For a message: the status, and the beginning of what an error says.
    pub(crate) fn summary(&self) -> String {
        let body = String::from_utf8_lossy(&self.body);
        format!("{} {}", self.status, body.chars().take(300).collect::<String>())
    }
}

/// The position that an offset token names.
pub(crate) fn position(token: &str) -> Option<u64> {
    token.split_once('_')?.1.parse().ok()
}

/// A connection that is opened when it is needed. After an error it is gone, and the outcome of the
/// request unknown.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, connection: None }
    }

    /// Sends a request and waits for the whole answer.
    pub(crate) async fn send(&mut self, request: &Request) -> io::Result<Answer> {
        let answer = timeout(ANSWER_TIMEOUT, self.exchange(request)).await;
        let answer = answer.unwrap_or_else(|_| Err(io::Error::other("no answer in time")));
        if answer.is_err() {
            self.connection = None;
        }
        answer
    }

    /// Sends a request whose answer is an endless one, and waits for its head.
    pub(crate) async fn begin(&mut self, request: &Request) -> io::Result<Answer> {
        self.write(request).await?;
        self.head().await
    }

    /// The next piece of an endless answer; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let connection = self.connection.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let size = line(connection).await?;
        let size = usize::from_str_radix(&size, 16).map_err(io::Error::other)?;
        let mut chunk = vec![0; size + 2];
        connection.read_exact(&mut chunk).await?;
        chunk.truncate(size);
        Ok((size > 0).then_some(chunk))
    }

    async fn exchange(&mut self, request: &Request) -> io::Result<Answer> {
        self.write(request).await?;
        let mut answer = self.head().await?;
        if request.method == "HEAD" || matches!(answer.status, 204 | 304) {
            return Ok(answer);
        }
        match answer.number("Content-Length") {
            Some(length) => {
                let connection = self.connection.as_mut().ok_or(io::ErrorKind::NotConnected)?;
                answer.body = vec![0; usize::try_from(length).map_err(io::Error::other)?];
                connection.read_exact(&mut answer.body).await?;
            }
            // An error in the place of an endless answer is of known length; the rest is chunked.
            None => {
                while let Some(chunk) = self.chunk().await? {
                    answer.body.extend(chunk);
                }
            }
        }
        if answer.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            self.connection = None;
        }
        Ok(answer)
    }

    async fn write(&mut self, request: &Request) -> io::Result<()> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            slot => {
                let stream = TcpStream::connect(self.address).await?;
                stream.set_nodelay(true)?;
                slot.insert(BufReader::new(stream))
            }
        };
        connection.write_all(&request.encode(self.address)).await
    }

    async fn head(&mut self) -> io::Result<Answer> {
        let connection = self.connection.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let status = line(connection).await?;
        let status = status.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("not an HTTP answer"))?;
        let mut headers = Vec::new();
        loop {
            let line = line(connection).await?;
            match line.split_once(':') {
                Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
                None => return Ok(Answer { status, headers, body: Vec::new() }),
            }
        }
    }
}

async fn line(connection: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    connection.read_line(&mut line).await?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
