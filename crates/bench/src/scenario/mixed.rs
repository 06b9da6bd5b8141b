//! Writers that keep a rate, without and then with readers that replay.

use std::io;

use tokio::runtime::Builder;
use tokio::task::{JoinSet, spawn_blocking};

use super::{Settings, replay, setup, writers};
use crate::load::{Figure, Meter, Sample};
use crate::target::Running;

const READERS: usize = 4;

/// The large stream, behind those of the writers.
const LARGE: usize = writers::WRITERS;

/// The figure is the writers' p99 with readers. The readers have a thread of their own, so that
/// writers do not wait for them within the load generator.
pub(super) async fn run(server: &Running, settings: &Settings) -> io::Result<Sample> {
    let address = server.address();
    setup::streams(address, writers::WRITERS, setup::TEXT).await?;
    setup::one_stream(address, LARGE, &[setup::BYTES]).await?;
    let made = setup::fill(address, LARGE, setup::BYTES, settings.replay_bytes).await?;

    let mut workers = JoinSet::new();
    let meter = Meter::start(settings.window)?;
    writers::spawn(server, settings, &meter, &mut workers).await?;
    let without = meter.measure(server.pid(), workers).await?;

    let mut workers = JoinSet::new();
    let meter = Meter::start(settings.window)?;
    let read = Meter::start(settings.window)?;
    let readers = spawn_blocking({
        let read = read.clone();
        move || {
            Builder::new_current_thread().enable_all().build()?.block_on(async {
                let mut workers = JoinSet::new();
                for _ in 0..READERS {
                    workers.spawn(replay::follow(address, LARGE, made.clone(), read.clone()));
                }
                workers.join_all().await.into_iter().collect::<io::Result<()>>()
            })
        }
    });
    writers::spawn(server, settings, &meter, &mut workers).await?;
    let mut with = meter.measure(server.pid(), workers).await?;
    readers.await.map_err(io::Error::other)??;
    let megabytes = read.bytes() as f64 / 1e6 / settings.window.measured.as_secs_f64();
    with.figures = vec![
        Figure::new("p99 without readers, µs", without.p99_us),
        Figure::new("p99 with over without", with.p99_us / without.p99_us),
        Figure::new("p50 without readers, µs", without.p50_us),
        Figure::new("readers, MB/s", megabytes),
    ];
    Ok(with)
}
