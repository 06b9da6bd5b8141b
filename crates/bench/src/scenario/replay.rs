//! Readers that catch up with a large stream.

use std::io;
use std::net::SocketAddr;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Settings;
use super::setup::{self, Large};
use crate::http::Connection;
use crate::load::{Meter, Sample};
use crate::target::Running;

/// How much is read at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// Each reader follows `Stream-Next-Offset` to the tail, and begins again. An operation is one page.
pub(super) async fn run(
    server: &Running,
    settings: &Settings,
    json: bool,
    readers: usize,
) -> io::Result<Sample> {
    let address = server.address();
    let content_type = if json { setup::JSON } else { setup::BYTES };
    setup::one_stream(address, 0, &[content_type]).await?;
    let made = setup::fill(address, 0, content_type, settings.replay_bytes).await?;
    let meter = Meter::start(settings.window)?;
    let mut workers = JoinSet::new();
    for _ in 0..readers {
        workers.spawn(follow(address, 0, made.clone(), meter.clone()));
    }
    meter.measure(server.pid(), workers).await
}

/// Replays a stream again and again until the window is over.
pub(super) async fn follow(
    address: SocketAddr,
    stream: usize,
    made: Large,
    meter: Meter,
) -> io::Result<()> {
    let mut reader = Connection::with_buffer(address, BUFFER_BYTES).await?;
    let tail = made.offsets.last().ok_or_else(setup::no_offset)?;
    let mut begun = Instant::now();
    while !meter.is_over(begun) {
        let mut offset = "-1".to_owned();
        let mut received = 0;
        while offset != *tail && !meter.is_over(begun) {
            reader.send(&setup::read(stream, &offset)).await?;
            let (head, next) = reader.head_and("stream-next-offset").await?;
            let before = received;
            let count = |piece: &[u8]| {
                meter.count_bytes(piece.len());
                received += piece.len() as u64;
            };
            reader.body(head.framing, count).await?;
            if received == before {
                return Err(io::Error::other(format!(
                    "nothing at {offset}, before the tail {tail}"
                )));
            }
            offset = next.ok_or_else(setup::no_offset)?;
            begun = meter.count(begun);
        }
        if offset == *tail && received < made.bytes {
            return Err(io::Error::other(format!("only {received} of {} bytes", made.bytes)));
        }
    }
    Ok(())
}
