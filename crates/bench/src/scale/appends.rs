//! Appends to streams that are drawn from all.

use std::io;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::http::Connection;
use crate::load::{Meter, Sample, Window};
use crate::scenario::setup;
use crate::target::Running;

const CONNECTIONS: usize = 64;

/// Each connection appends 100 bytes to one stream after another, of those from 0 on.
pub(super) async fn run(server: &Running, window: Window, streams: usize) -> io::Result<Sample> {
    let opened = setup::connections(server.address(), CONNECTIONS).await?;
    let meter = Meter::start(window)?;
    let mut workers = JoinSet::new();
    for (number, connection) in opened.into_iter().enumerate() {
        workers.spawn(worker(connection, Draw(number as u64), streams, meter.clone()));
    }
    meter.measure(server.pid(), workers).await
}

async fn worker(
    mut connection: Connection,
    mut draw: Draw,
    streams: usize,
    meter: Meter,
) -> io::Result<()> {
    let mut begun = Instant::now();
    while !meter.is_over(begun) {
        let append = setup::append(draw.below(streams), setup::TEXT, &setup::MESSAGE);
        connection.exchange(&append).await?;
        begun = meter.count(begun);
    }
    Ok(())
}

/// A source of chance (splitmix64), always the same for the same seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((u128::from(bits ^ (bits >> 31)) * bound as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_drawn_and_none_beyond() {
        let mut seen = [false; 7];
        let mut draw = Draw(1);
        for _ in 0..1000 {
            seen[draw.below(seen.len())] = true;
        }
        assert_eq!(seen, [true; 7]);
    }
}
