//! What retention of a large stream does to those who append elsewhere.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Settings, setup, writers};
use crate::http::{Connection, request};
use crate::load::{Figure, Meter, Sample, Window};
use crate::target::Running;

/// The header that asks for it, and its value in seconds.
const MAX_AGE: (&str, &str) = ("stream-retention-max-age", "5");
const MAX_AGE_SECONDS: Duration = Duration::from_secs(5);

/// How much later than that the stream must have lost its history. The server's check must come more
/// often: see the README on `--server-arg`.
const CHECK: Duration = Duration::from_secs(3);

/// The large streams, behind those of the writers: one that is kept, one that is not.
const KEPT: usize = writers::WRITERS;
const FALLING: usize = writers::WRITERS + 1;

/// Writers keep a rate, first beside a large stream that stays, then while one becomes too old. The
/// figure is the ratio of their p99.
pub(super) async fn run(server: &Running, settings: &Settings) -> io::Result<Sample> {
    let address = server.address();
    see_that_it_is_known(address).await?;
    setup::streams(address, writers::WRITERS, setup::TEXT).await?;
    setup::one_stream(address, KEPT, &[setup::BYTES]).await?;
    setup::fill(address, KEPT, setup::BYTES, settings.replay_bytes).await?;
    let mut workers = JoinSet::new();
    let meter = Meter::start(settings.window)?;
    writers::spawn(server, settings, &meter, &mut workers).await?;
    let without = meter.measure(server.pid(), workers).await?;

    let begun = Instant::now();
    setup::one_stream(address, FALLING, &[setup::BYTES, MAX_AGE]).await?;
    setup::fill(address, FALLING, setup::BYTES, settings.replay_bytes).await?;
    // Everything becomes too old within this window: the last message as long after now as the first
    // was before it.
    let measured = MAX_AGE_SECONDS + begun.elapsed() + CHECK;
    let meter = Meter::start(Window { measured, ..settings.window })?;
    let mut workers = JoinSet::new();
    writers::spawn(server, settings, &meter, &mut workers).await?;
    let mut with = meter.measure(server.pid(), workers).await?;
    see_that_it_fell(address).await?;
    with.value = with.p99_us / without.p99_us;
    with.figures = vec![
        Figure::new("p99 without, µs", without.p99_us),
        Figure::new("greatest with, µs", with.max_us),
        Figure::new("greatest without, µs", without.max_us),
    ];
    Ok(with)
}

/// A server that knows retention tells of it on HEAD.
async fn see_that_it_is_known(address: SocketAddr) -> io::Result<()> {
    let mut connection = Connection::open(address).await?;
    let stream = FALLING + 1;
    let (status, _) = connection.ask(&setup::create(stream, &[setup::BYTES, MAX_AGE])).await?;
    let known = match status {
        200 | 201 => {
            connection.send(&request("HEAD", &setup::path(stream), &[], b"")).await?;
            connection.head_and(MAX_AGE.0).await?.1.is_some()
        }
        _ => false,
    };
    match known {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::Unsupported, "no retention by age")),
    }
}

async fn see_that_it_fell(address: SocketAddr) -> io::Result<()> {
    let read = setup::read(FALLING, "0000000000000000_0000000000000000");
    match Connection::open(address).await?.ask(&read).await?.0 {
        410 => Ok(()),
        status => Err(io::Error::other(format!(
            "retention did not come within the window (a read of the beginning: {status}); let the \
             server check more often"
        ))),
    }
}
