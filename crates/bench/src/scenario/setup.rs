//! Streams for scenarios to work on.

use std::io;
use std::net::SocketAddr;

use crate::http::{Connection, request};

/// Text, which every server sends as it came.
pub(super) const TEXT: (&str, &str) = ("content-type", "text/plain");

/// Bytes, for large streams.
pub(super) const BYTES: (&str, &str) = ("content-type", "application/octet-stream");

/// How many connections create streams.
const CREATORS: usize = 16;

/// The path of a stream.
pub(super) fn path(stream: usize) -> String {
    format!("/v1/stream/bench-{stream}")
}

/// A request that appends.
pub(super) fn append(stream: usize, content_type: (&str, &str), body: &[u8]) -> Vec<u8> {
    request("POST", &path(stream), &[content_type], body)
}

/// A request that creates.
fn create(stream: usize, content_type: (&str, &str)) -> Vec<u8> {
    request("PUT", &path(stream), &[content_type], b"")
}

/// Creates the stream 0.
pub(super) async fn one_stream(
    address: SocketAddr,
    content_type: (&str, &str),
) -> io::Result<Connection> {
    let mut connection = Connection::open(address).await?;
    connection.exchange(&create(0, content_type)).await?;
    Ok(connection)
}

/// Creates the text streams from 0 on.
pub(super) async fn streams(address: SocketAddr, count: usize) -> io::Result<()> {
    let mut creators = tokio::task::JoinSet::new();
    for first in 0..CREATORS.min(count) {
        creators.spawn(async move {
            let mut connection = Connection::open(address).await?;
            for stream in (first..count).step_by(CREATORS) {
                connection.exchange(&create(stream, TEXT)).await?;
            }
            io::Result::Ok(())
        });
    }
    while let Some(created) = creators.join_next().await {
        created.map_err(io::Error::other)??;
    }
    Ok(())
}

/// Appends, and tells the stream's next offset. A server that does not tell has none.
pub(super) async fn next_offset(
    connection: &mut Connection,
    append: &[u8],
) -> io::Result<Option<String>> {
    connection.send(append).await?;
    let (head, offset) = connection.head_and("stream-next-offset").await?;
    connection.body(head.framing, |_| {}).await?;
    Ok(offset)
}
