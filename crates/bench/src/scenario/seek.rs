//! Reading from somewhere in a long stream.

use std::io;
use std::net::SocketAddr;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Settings, setup};
use crate::http::{Connection, Framing};
use crate::load::{Meter, Sample};
use crate::target::Running;

/// How much is read of each answer.
const BEGINNING: usize = 1024;

/// One reader asks for offsets all over the stream. Some servers answer with all that follows, so it
/// hangs up after the first KiB; the next connection is opened before its time counts.
pub(super) async fn run(server: &Running, settings: &Settings) -> io::Result<Sample> {
    let address = server.address();
    setup::one_stream(address, 0, &[setup::BYTES]).await?;
    let made = setup::fill(address, 0, setup::BYTES, settings.history_bytes).await?;
    let meter = Meter::start(settings.window)?;
    let mut workers = JoinSet::new();
    workers.spawn(seek(address, made.offsets, meter.clone()));
    meter.measure(server.pid(), workers).await
}

async fn seek(address: SocketAddr, offsets: Vec<String>, meter: Meter) -> io::Result<()> {
    // There is something to read after each but the last.
    let reads: Vec<_> =
        offsets[..offsets.len() - 1].iter().map(|offset| setup::read(0, offset)).collect();
    // Any step of about 0.618 of the length visits places far from each other.
    let step = (reads.len() * 618 / 1000).max(1);
    let (mut at, mut now) = (0, Instant::now());
    while !meter.is_over(now) {
        let mut reader = Connection::open(address).await?;
        let begun = Instant::now();
        reader.send(&reads[at]).await?;
        let head = reader.head().await?;
        match head.framing {
            Framing::Length(length) if length < BEGINNING as u64 => {
                return Err(io::Error::other(format!("only {length} bytes")));
            }
            // The few bytes of a chunk's size do not matter.
            _ => reader.beginning(BEGINNING).await?,
        }
        now = meter.count(begun);
        reader.abort()?;
        at = (at + step) % reads.len();
    }
    Ok(())
}
