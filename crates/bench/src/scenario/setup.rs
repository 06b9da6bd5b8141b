//! Streams, requests and connections for scenarios to work with.

use std::io;
use std::net::SocketAddr;

use tokio::task::JoinSet;

use crate::http::{Connection, Framing, request};

/// A header: its name and its value.
pub(crate) type Header = (&'static str, &'static str);

/// Text, which every server sends as it came.
pub(crate) const TEXT: Header = ("content-type", "text/plain");

/// Bytes, for large streams.
pub(crate) const BYTES: Header = ("content-type", "application/octet-stream");

/// JSON, of which servers must know where a message ends.
pub(crate) const JSON: Header = ("content-type", "application/json");

/// A small message.
pub(crate) const MESSAGE: [u8; 100] = [b'x'; 100];

/// The size of one append where a large stream is made.
const LARGE_BYTES: usize = 1 << 20;

/// How many connections prepare streams.
const SENDERS: usize = 64;

/// Room for what a subscriber is sent.
const SUBSCRIBER_BYTES: usize = 2048;

/// The path of a stream.
pub(crate) fn path(stream: usize) -> String {
    format!("/v1/stream/bench-{stream}")
}

/// A request that appends.
pub(crate) fn append(stream: usize, content_type: Header, body: &[u8]) -> Vec<u8> {
    request("POST", &path(stream), &[content_type], body)
}

/// A request that creates.
pub(crate) fn create(stream: usize, headers: &[(&str, &str)]) -> Vec<u8> {
    request("PUT", &path(stream), headers, b"")
}

/// A request that reads from an offset on.
pub(crate) fn read(stream: usize, offset: &str) -> Vec<u8> {
    request("GET", &format!("{}?offset={offset}", path(stream)), &[], b"")
}

/// An array of JSON messages of 100 bytes each.
pub(crate) fn json_array(messages: usize) -> Vec<u8> {
    let text = "x".repeat(MESSAGE.len() - r#"{"id":123456,"text":""}"#.len());
    let message = |index| format!(r#"{{"id":{},"text":"{text}"}}"#, 100_000 + index % 900_000);
    let joined = (0..messages).map(message).collect::<Vec<_>>().join(",");
    format!("[{joined}]").into_bytes()
}

/// Connections, to work at the same time.
pub(crate) async fn connections(address: SocketAddr, count: usize) -> io::Result<Vec<Connection>> {
    let mut opened = Vec::with_capacity(count);
    for _ in 0..count {
        opened.push(Connection::open(address).await?);
    }
    Ok(opened)
}

/// Creates one stream, and gives the connection that did it.
pub(crate) async fn one_stream(
    address: SocketAddr,
    stream: usize,
    headers: &[(&str, &str)],
) -> io::Result<Connection> {
    let mut connection = Connection::open(address).await?;
    connection.exchange(&create(stream, headers)).await?;
    Ok(connection)
}

/// Creates the streams from 0 on.
pub(crate) async fn streams(
    address: SocketAddr,
    count: usize,
    content_type: Header,
) -> io::Result<()> {
    each_stream(address, count, move |stream| create(stream, &[content_type])).await
}

/// Sends one request for each of the streams from 0 on, a few at a time.
pub(crate) async fn each_stream(
    address: SocketAddr,
    count: usize,
    request: impl Fn(usize) -> Vec<u8> + Copy + Send + 'static,
) -> io::Result<()> {
    let mut senders = JoinSet::new();
    for first in 0..SENDERS.min(count) {
        senders.spawn(async move {
            let mut connection = Connection::open(address).await?;
            for stream in (first..count).step_by(SENDERS) {
                connection.exchange(&request(stream)).await?;
            }
            io::Result::Ok(())
        });
    }
    while let Some(sent) = senders.join_next().await {
        sent.map_err(io::Error::other)??;
    }
    Ok(())
}

/// A large stream that was made.
#[derive(Debug, Clone)]
pub(crate) struct Large {
    /// The bytes of its messages; what a server sends between JSON messages is not counted.
    pub(crate) bytes: u64,
    /// Its offsets after each append, the last one at its tail.
    pub(crate) offsets: Vec<String>,
}

/// Fills a stream that is there with at least so many bytes.
pub(crate) async fn fill(
    address: SocketAddr,
    stream: usize,
    content_type: Header,
    bytes: u64,
) -> io::Result<Large> {
    let mut connection = Connection::open(address).await?;
    let body = match content_type == JSON {
        true => json_array(LARGE_BYTES / (MESSAGE.len() + 1)),
        false => vec![b'x'; LARGE_BYTES],
    };
    // Between messages of JSON servers may send what they like.
    let counted = body.iter().filter(|byte| !b"[],".contains(byte)).count() as u64;
    let append = append(stream, content_type, &body);
    let mut made = Large { bytes: 0, offsets: Vec::new() };
    while made.bytes < bytes {
        made.offsets.push(next_offset(&mut connection, &append).await?.ok_or_else(no_offset)?);
        made.bytes += counted;
    }
    Ok(made)
}

/// Appends, and tells the stream's next offset. A server that does not tell has none.
pub(crate) async fn next_offset(
    connection: &mut Connection,
    append: &[u8],
) -> io::Result<Option<String>> {
    connection.send(append).await?;
    let (head, offset) = connection.head_and("stream-next-offset").await?;
    connection.body(head.framing, |_| {}).await?;
    Ok(offset)
}

/// Subscribes to a stream by SSE. The answer's head comes when the subscription stands.
pub(crate) async fn subscribe(
    address: SocketAddr,
    stream: usize,
) -> io::Result<(Connection, Framing)> {
    let path = format!("{}?offset=now&live=sse", path(stream));
    let mut reader = Connection::with_buffer(address, SUBSCRIBER_BYTES).await?;
    reader.send(&request("GET", &path, &[("accept", "text/event-stream")], b"")).await?;
    let head = reader.head().await?;
    Ok((reader, head.framing))
}

/// What a server of the protocol does not do.
pub(crate) fn no_offset() -> io::Error {
    io::Error::other("no Stream-Next-Offset")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_messages_are_json_of_their_size() {
        let array = json_array(3);
        let messages: Vec<serde_json::Value> = serde_json::from_slice(&array).unwrap();
        assert_eq!(messages.len(), 3);
        assert_eq!(array.len(), 3 * (MESSAGE.len() + 1) + 1);
    }
}
