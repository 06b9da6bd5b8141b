//! What a stream costs in memory: live, dormant; and a subscriber that waits.

use std::io;

use tokio::time::sleep;

use super::{Settings, setup};
use crate::load::{Figure, Sample};
use crate::process::{open_files, resident_mib};
use crate::target::Running;

/// Streams that are used before anything is measured, so that what the first use costs does not count.
const FIRST: usize = 64;

/// How many SSE subscribers wait.
const SUBSCRIBERS: usize = 1000;

/// The figure is what a stream costs after it was created and appended to once.
///
/// Allocators do not give everything back, so what remains of dormant streams is an upper bound.
pub(super) async fn run(server: &Running, settings: &Settings) -> io::Result<Sample> {
    let (address, pid) = (server.address(), server.pid());
    let streams = settings.memory_streams;
    let append = |stream| setup::append(stream, setup::TEXT, &setup::MESSAGE);
    setup::streams(address, FIRST, setup::TEXT).await?;
    setup::each_stream(address, FIRST, append).await?;

    let (before, files_before) = (resident_mib(pid), open_files(pid));
    let each = |mib: f64, count: usize| (mib - before) * f64::from(1 << 20) / count as f64;
    setup::each_stream(address, streams, move |s| setup::create(FIRST + s, &[setup::TEXT])).await?;
    let created = each(resident_mib(pid), streams);
    setup::each_stream(address, streams, move |s| append(FIRST + s)).await?;
    let live = each(resident_mib(pid), streams);
    let files = open_files(pid).saturating_sub(files_before);
    let mut figures = vec![
        Figure::new("created, bytes a stream", created),
        Figure::new("files opened", files as f64),
    ];
    if !settings.dormant_wait.is_zero() {
        sleep(settings.dormant_wait).await;
        figures.push(Figure::new("dormant, bytes a stream", each(resident_mib(pid), streams)));
    }

    let waiting_before = resident_mib(pid);
    let mut readers = Vec::with_capacity(SUBSCRIBERS);
    for _ in 0..SUBSCRIBERS {
        readers.push(setup::subscribe(address, 0).await?);
    }
    let waiting = (resident_mib(pid) - waiting_before) * f64::from(1 << 20) / SUBSCRIBERS as f64;
    figures.push(Figure::new("SSE reader that waits, bytes", waiting));
    Ok(Sample {
        value: live,
        server_rss_mib: resident_mib(pid),
        server_peak_mib: crate::process::peak_mib(pid),
        figures,
        ..Sample::default()
    })
}
