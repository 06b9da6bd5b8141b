//! Small reads at the tail, as fast as they are answered.

use std::io;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Settings, setup};
use crate::http::Connection;
use crate::load::{Meter, Sample};
use crate::target::Running;

/// One message, and what a read returns.
const BODY: [u8; 1024] = [b'x'; 1024];

/// How many messages lie before the one that is read.
const BEFORE: usize = 15;

/// Every connection reads the last message of its own stream.
pub(super) async fn run(
    server: &Running,
    settings: &Settings,
    connections: usize,
) -> io::Result<Sample> {
    setup::streams(server.address(), connections, setup::TEXT).await?;
    let mut ready = Vec::with_capacity(connections);
    for stream in 0..connections {
        let mut connection = Connection::open(server.address()).await?;
        let append = setup::append(stream, setup::TEXT, &BODY);
        let mut offset = None;
        for _ in 0..BEFORE {
            offset = setup::next_offset(&mut connection, &append).await?;
        }
        connection.exchange(&append).await?;
        let read = setup::read(stream, offset.as_deref().unwrap_or("-1"));
        ready.push((connection, read, offset.is_some()));
    }
    let meter = Meter::start(settings.window)?;
    let mut workers = JoinSet::new();
    for (connection, request, has_data) in ready {
        let expected = if has_data { BODY.len() } else { 0 };
        workers.spawn(worker(connection, request, expected, meter.clone()));
    }
    meter.measure(server.pid(), workers).await
}

async fn worker(
    mut connection: Connection,
    request: Vec<u8>,
    expected: usize,
    meter: Meter,
) -> io::Result<()> {
    let mut begun = Instant::now();
    while !meter.is_over(begun) {
        connection.send(&request).await?;
        let head = connection.head().await?;
        let mut received = 0;
        connection.body(head.framing, |piece| received += piece.len()).await?;
        if received != expected {
            return Err(io::Error::other(format!("read {received} bytes, not {expected}")));
        }
        begun = meter.count(begun);
    }
    Ok(())
}
