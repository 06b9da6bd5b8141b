//! One connection of a client that writes what it likes and reads what comes.

use std::net::SocketAddr;

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{Request, Response, within};

/// A connection to a server. What is written is not checked.
#[derive(Debug)]
pub struct Connection {
    socket: TcpStream,
    received: Vec<u8>,
    ended: bool,
}

impl Connection {
    /// Connects.
    ///
    /// # Panics
    ///
    /// The server does not accept.
    pub async fn open(address: SocketAddr) -> Self {
        let socket = within("connect", TcpStream::connect(address)).await;
        let socket = socket.expect("the server accepts connections");
        socket.set_nodelay(true).expect("a socket takes its options");
        Self { socket, received: Vec::new(), ended: false }
    }

    /// Writes bytes. That the server no longer listens is no error: it may have answered already.
    pub async fn write(&mut self, bytes: &[u8]) {
        let _ = within("write", self.socket.write_all(bytes)).await;
    }

    /// Ends the writing side.
    pub async fn half_close(&mut self) {
        let _ = self.socket.shutdown().await;
    }

    /// Writes a request and reads its response.
    pub async fn send(&mut self, request: &Request) -> Response {
        self.write(&request.encode()).await;
        self.response(request.method()).await
    }

    /// Reads one response to a request with this method; interim responses are skipped.
    ///
    /// # Panics
    ///
    /// The connection ends before, or is silent.
    pub async fn response(&mut self, method: &str) -> Response {
        match self.try_response(method).await {
            Some(response) => response,
            None => panic!("no response to {method}: the connection has ended"),
        }
    }

    /// Reads one response; `None` if the connection ends before it is whole.
    pub async fn try_response(&mut self, method: &str) -> Option<Response> {
        let mut head = self.head().await?;
        while head.status < 200 {
            head = self.head().await?;
        }
        let bodiless = method == "HEAD" || head.status == 204 || head.status == 304;
        let length = head.header("content-length").map(|length| length.parse().unwrap());
        head.body = match length {
            _ if bodiless => Vec::new(),
            _ if head.header("transfer-encoding") == Some("chunked") => {
                let mut body = Vec::new();
                while let Some(chunk) = self.chunk().await? {
                    body.extend_from_slice(&chunk);
                }
                body
            }
            Some(length) => self.take(length).await?,
            None => {
                while self.fill().await {}
                std::mem::take(&mut self.received)
            }
        };
        Some(head)
    }

    /// Reads the head of a response, an interim one too; `None` if the connection ends before.
    pub async fn head(&mut self) -> Option<Response> {
        let end = loop {
            if let Some(end) = memmem::find(&self.received, b"\r\n\r\n") {
                break end;
            }
            if !self.fill().await {
                return None;
            }
        };
        let head = self.take(end + 4).await?;
        let head = String::from_utf8(head).expect("our own headers are text");
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').expect("a header has a colon");
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        Some(Response {
            status: status.expect("a response has a status"),
            headers: headers.collect(),
            body: Vec::new(),
        })
    }

    /// Reads one chunk of a chunked body: `None` if the connection ends, `Some(None)` at the end of
    /// the body.
    pub async fn chunk(&mut self) -> Option<Option<Vec<u8>>> {
        let end = loop {
            if let Some(end) = memmem::find(&self.received, b"\r\n") {
                break end;
            }
            if !self.fill().await {
                return None;
            }
        };
        let line = self.take(end + 2).await?;
        let length = std::str::from_utf8(&line[..end]).expect("a chunk has a length");
        let length = usize::from_str_radix(length, 16).expect("a chunk's length is a number");
        let mut chunk = self.take(length + 2).await?;
        chunk.truncate(length);
        Some((length > 0).then_some(chunk))
    }

    /// Waits until the server ends the connection, and returns what it still sent.
    pub async fn until_end(&mut self) -> Vec<u8> {
        while self.fill().await {}
        std::mem::take(&mut self.received)
    }

    /// Whether the server has sent anything, or ended the connection, without waiting for it.
    pub fn is_silent(&mut self) -> bool {
        let mut buffer = [0; 4096];
        match self.socket.try_read(&mut buffer) {
            Ok(0) => self.ended = true,
            Ok(length) => self.received.extend_from_slice(&buffer[..length]),
            Err(_) => {}
        }
        self.received.is_empty() && !self.ended
    }

    async fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.received.len() < length {
            if !self.fill().await {
                return None;
            }
        }
        let rest = self.received.split_off(length);
        Some(std::mem::replace(&mut self.received, rest))
    }

    /// Reads more; `false` at the end.
    async fn fill(&mut self) -> bool {
        if self.ended {
            return false;
        }
        self.received.reserve(16 * 1024);
        let read = within("read", self.socket.read_buf(&mut self.received)).await;
        self.ended = !matches!(read, Ok(length) if length > 0);
        !self.ended
    }
}
