//! Small appends, as fast as they are answered.

use std::io;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Settings, setup};
use crate::http::Connection;
use crate::load::{Meter, Sample};
use crate::target::Running;

/// The message.
const BODY: [u8; 100] = [b'x'; 100];

/// Every connection appends to its own share of the streams, one after the other; if there are fewer
/// streams than connections, several share one.
pub(super) async fn run(
    server: &Running,
    settings: &Settings,
    connections: usize,
    streams: usize,
) -> io::Result<Sample> {
    setup::streams(server.address(), streams).await?;
    let mut opened = Vec::with_capacity(connections);
    for _ in 0..connections {
        opened.push(Connection::open(server.address()).await?);
    }
    let meter = Meter::start(settings.window)?;
    let mut workers = JoinSet::new();
    for (index, connection) in opened.into_iter().enumerate() {
        let own = (index..streams.max(connections)).step_by(connections);
        let requests = own.map(|i| setup::append(i % streams, setup::TEXT, &BODY)).collect();
        workers.spawn(worker(connection, requests, meter.clone()));
    }
    meter.measure(server.pid(), workers).await
}

async fn worker(
    mut connection: Connection,
    requests: Vec<Vec<u8>>,
    meter: Meter,
) -> io::Result<()> {
    let mut begun = Instant::now();
    for request in requests.iter().cycle() {
        connection.exchange(request).await?;
        begun = meter.count(begun);
        if meter.is_over(begun) {
            break;
        }
    }
    Ok(())
}
