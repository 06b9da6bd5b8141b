//! A reader that catches up with a large stream.

use std::io;
use std::net::SocketAddr;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Settings, setup};
use crate::http::{Connection, request};
use crate::load::{Meter, Sample};
use crate::target::Running;

/// The size of one append.
const MESSAGE_BYTES: usize = 1 << 20;

/// How much is read at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// One reader follows `Stream-Next-Offset` to the tail, and begins again. An operation is one page.
pub(super) async fn run(server: &Running, settings: &Settings) -> io::Result<Sample> {
    let mut writer = setup::one_stream(server.address(), setup::BYTES).await?;
    let append = setup::append(0, setup::BYTES, &vec![b'x'; MESSAGE_BYTES]);
    let messages = settings.replay_bytes.div_ceil(MESSAGE_BYTES as u64);
    for _ in 0..messages {
        writer.exchange(&append).await?;
    }
    let meter = Meter::start(settings.window)?;
    let mut workers = JoinSet::new();
    let total = messages * MESSAGE_BYTES as u64;
    workers.spawn(follow(server.address(), total, meter.clone()));
    meter.measure(server.pid(), workers).await
}

async fn follow(address: SocketAddr, total: u64, meter: Meter) -> io::Result<()> {
    let mut reader = Connection::with_buffer(address, BUFFER_BYTES).await?;
    let mut begun = Instant::now();
    while !meter.is_over(begun) {
        let mut offset = "-1".to_owned();
        let mut received = 0;
        while received < total && !meter.is_over(begun) {
            let path = format!("{}?offset={offset}", setup::path(0));
            reader.send(&request("GET", &path, &[], b"")).await?;
            let (head, next) = reader.head_and("stream-next-offset").await?;
            offset = next.ok_or_else(|| io::Error::other("no Stream-Next-Offset"))?;
            let before = received;
            let count = |piece: &[u8]| {
                meter.count_bytes(piece.len());
                received += piece.len() as u64;
            };
            reader.body(head.framing, count).await?;
            if received == before {
                return Err(io::Error::other(format!("only {received} of {total} bytes")));
            }
            begun = meter.count(begun);
        }
    }
    Ok(())
}
