//! Whether a stream's history makes it slower.

use std::io;

use hdrhistogram::Histogram;
use tokio::time::Instant;

use super::{Settings, setup};
use crate::http::Connection;
use crate::load::{Figure, Sample, histogram};
use crate::process;
use crate::target::Running;

/// A stream and how long it lets wait.
struct Side {
    append: Vec<u8>,
    offset: String,
    stream: usize,
    appends: Histogram<u64>,
    reads: Histogram<u64>,
}

/// One connection appends to, and reads the tail of, a short and a long stream in turns, so that noise
/// meets both. The figure is the ratio of the median appends.
pub(super) async fn run(server: &Running, settings: &Settings) -> io::Result<Sample> {
    let address = server.address();
    let mut sides = Vec::new();
    for (stream, bytes) in [(0, 1024), (1, settings.history_bytes)] {
        setup::one_stream(address, stream, &[setup::BYTES]).await?;
        let offset = if bytes > 1024 {
            setup::fill(address, stream, setup::BYTES, bytes).await?.offsets.pop()
        } else {
            let append = setup::append(stream, setup::BYTES, &[b'x'; 1024]);
            setup::next_offset(&mut Connection::open(address).await?, &append).await?
        };
        sides.push(Side {
            append: setup::append(stream, setup::BYTES, &setup::MESSAGE),
            offset: offset.ok_or_else(setup::no_offset)?,
            stream,
            appends: histogram()?,
            reads: histogram()?,
        });
    }
    let mut connection = Connection::open(address).await?;
    let from = Instant::now() + settings.window.warm_up;
    let until = from + settings.window.measured;
    let begun = process::cpu_seconds(server.pid());
    while Instant::now() < until {
        let counts = Instant::now() >= from;
        for side in &mut sides {
            side.turn(&mut connection, counts).await?;
        }
    }
    let micros = |histogram: &Histogram<u64>| histogram.value_at_quantile(0.5) as f64 / 1000.0;
    let [short, long] = &sides[..] else { return Err(io::Error::other("two streams")) };
    Ok(Sample {
        value: micros(&long.appends) / micros(&short.appends),
        operations: long.appends.len(),
        seconds: settings.window.measured.as_secs_f64(),
        p50_us: micros(&long.appends),
        p99_us: long.appends.value_at_quantile(0.99) as f64 / 1000.0,
        max_us: long.appends.max() as f64 / 1000.0,
        server_cpu_seconds: process::cpu_seconds(server.pid()) - begun,
        server_rss_mib: process::resident_mib(server.pid()),
        server_peak_mib: process::peak_mib(server.pid()),
        figures: vec![
            Figure::new("append p50, short, µs", micros(&short.appends)),
            Figure::new("read at the tail p50, long, µs", micros(&long.reads)),
            Figure::new("read at the tail p50, short, µs", micros(&short.reads)),
            Figure::new("read, long over short", micros(&long.reads) / micros(&short.reads)),
            Figure::new("files open", process::open_files(server.pid()) as f64),
        ],
        ..Sample::default()
    })
}

impl Side {
    async fn turn(&mut self, connection: &mut Connection, counts: bool) -> io::Result<()> {
        let begun = Instant::now();
        let next = setup::next_offset(connection, &self.append).await?;
        let appended = Instant::now();
        connection.exchange(&setup::read(self.stream, &self.offset)).await?;
        if counts {
            self.appends.saturating_record((appended - begun).as_nanos() as u64);
            self.reads.saturating_record(appended.elapsed().as_nanos() as u64);
        }
        self.offset = next.ok_or_else(setup::no_offset)?;
        Ok(())
    }
}
