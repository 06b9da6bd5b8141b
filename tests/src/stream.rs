//! One stream as a client knows it: by its URL.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::JoinHandle;

use crate::{Connection, EventReader, Request, Response, settle, within};

/// Where streams live, in the binary and in process.
pub const MOUNT: &str = "/v1/stream";

static NAMES: AtomicU64 = AtomicU64::new(0);

/// A name that no other test uses.
pub fn fresh_name() -> String {
    format!("test/{}", NAMES.fetch_add(1, Ordering::Relaxed))
}

/// The offset token of a position.
pub fn offset(position: usize) -> String {
    format!("{:016}_{position:016}", 0)
}

/// A stream on a server. Each request has a connection of its own.
#[derive(Debug, Clone)]
pub struct Stream {
    /// The server.
    pub address: SocketAddr,
    /// The path of the stream's URL.
    pub path: String,
    /// The type that appends are sent with.
    pub content_type: String,
}

impl Stream {
    /// The stream at a path, which may not exist.
    pub fn at(address: SocketAddr, path: impl Into<String>, content_type: &str) -> Self {
        Self { address, path: path.into(), content_type: content_type.into() }
    }

    /// A stream with a fresh name that does not exist yet.
    pub fn fresh(address: SocketAddr, content_type: &str) -> Self {
        Self::at(address, format!("{MOUNT}/{}", fresh_name()), content_type)
    }

    /// Creates a stream with a fresh name.
    pub async fn create(address: SocketAddr, content_type: &str) -> Self {
        let stream = Self::fresh(address, content_type);
        stream.send(&stream.put()).await.expect(201);
        stream
    }

    /// Sends a request on a connection of its own.
    pub async fn send(&self, request: &Request) -> Response {
        Connection::open(self.address).await.send(request).await
    }

    /// GET with a query, which may be empty.
    pub fn get(&self, query: &str) -> Request {
        let separator = if query.is_empty() { "" } else { "?" };
        Request::new("GET", format!("{}{separator}{query}", self.path))
    }

    /// PUT with the stream's content type.
    pub fn put(&self) -> Request {
        Request::new("PUT", &self.path).header("Content-Type", &self.content_type)
    }

    /// POST with the stream's content type and a body.
    pub fn post(&self, body: impl Into<Vec<u8>>) -> Request {
        Request::new("POST", &self.path).header("Content-Type", &self.content_type).body(body)
    }

    /// POST that only closes.
    pub fn post_close(&self) -> Request {
        Request::new("POST", &self.path).header("Stream-Closed", "true")
    }

    /// PUT that forks another stream.
    pub fn put_fork(&self, source: &Self) -> Request {
        Request::new("PUT", &self.path).header("Stream-Forked-From", &source.path)
    }

    /// Appends; returns the next offset.
    pub async fn append(&self, body: impl Into<Vec<u8>>) -> String {
        self.send(&self.post(body)).await.expect(204).next_offset()
    }

    /// Appends and closes.
    pub async fn append_and_close(&self, body: impl Into<Vec<u8>>) -> Response {
        self.send(&self.post(body).header("Stream-Closed", "true")).await.expect(204)
    }

    /// Closes.
    pub async fn close(&self) -> Response {
        self.send(&self.post_close()).await.expect(204)
    }

    /// Deletes.
    pub async fn delete(&self) -> Response {
        self.send(&Request::new("DELETE", &self.path)).await
    }

    /// HEAD.
    pub async fn head(&self) -> Response {
        self.send(&Request::new("HEAD", &self.path)).await
    }

    /// The tail offset.
    pub async fn tail(&self) -> String {
        self.head().await.expect(200).next_offset()
    }

    /// GET with a query.
    pub async fn read(&self, query: &str) -> Response {
        self.send(&self.get(query)).await
    }

    /// Walks the stream page by page from an offset to the tail; returns the pages.
    pub async fn walk(&self, from: &str) -> Vec<Response> {
        let (mut pages, mut at) = (Vec::new(), from.to_owned());
        loop {
            let page = self.read(&format!("offset={at}")).await.expect(200);
            let (next, done) = (page.next_offset(), page.up_to_date());
            assert!(done || (next > at && !page.closed()), "a page leads on: {page:?}");
            pages.push(page);
            if done {
                return pages;
            }
            at = next;
        }
    }

    /// All bytes of a stream that is not JSON.
    pub async fn bytes(&self) -> Vec<u8> {
        self.walk("-1").await.into_iter().flat_map(|page| page.body).collect()
    }

    /// All of the stream as text.
    pub async fn text(&self) -> String {
        String::from_utf8(self.bytes().await).expect("the stream holds text")
    }

    /// Begins a long-poll from an offset.
    pub async fn long_poll(&self, offset: &str) -> JoinHandle<Response> {
        let mut connection = Connection::open(self.address).await;
        connection.write(&self.get(&format!("offset={offset}&live=long-poll")).encode()).await;
        let waiting = tokio::spawn(async move { connection.response("GET").await });
        settle().await;
        waiting
    }

    /// Begins to follow the stream by server-sent events.
    pub async fn sse(&self, offset: &str) -> EventReader {
        let mut connection = Connection::open(self.address).await;
        connection.write(&self.get(&format!("offset={offset}&live=sse")).encode()).await;
        let reader = EventReader::begin(connection).await;
        assert_eq!(reader.head.status, 200, "{:?}", reader.head);
        reader
    }
}

/// The answer of a request that runs in a task.
pub async fn answer(waiting: JoinHandle<Response>) -> Response {
    within("the answer", waiting).await.expect("the request did not panic")
}

/// Sends a request in a task, and gives it time to reach the server.
pub async fn in_background(address: SocketAddr, request: Request) -> JoinHandle<Response> {
    let mut connection = Connection::open(address).await;
    connection.write(&request.encode()).await;
    let waiting = tokio::spawn(async move { connection.response(request.method()).await });
    settle().await;
    waiting
}
