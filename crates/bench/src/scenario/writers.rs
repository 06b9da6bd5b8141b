//! Writers that keep a rate, whatever the server does.

use std::io;

use tokio::task::JoinSet;

use super::{Settings, setup};
use crate::load::{Meter, pace};
use crate::target::Running;

/// How many writers there are, each with its own stream and connection.
pub(super) const WRITERS: usize = 64;

/// Spawns the writers of the streams from 0 on. Latencies count from when an append was due.
pub(super) async fn spawn(
    server: &Running,
    settings: &Settings,
    meter: &Meter,
    workers: &mut JoinSet<io::Result<()>>,
) -> io::Result<()> {
    let opened = setup::connections(server.address(), WRITERS).await?;
    let turns = pace::start(settings.rate, WRITERS, meter.until())?;
    for (stream, (mut connection, mut due)) in opened.into_iter().zip(turns).enumerate() {
        let (append, meter) = (setup::append(stream, setup::TEXT, &setup::MESSAGE), meter.clone());
        workers.spawn(async move {
            while let Some(due) = due.recv().await {
                connection.exchange(&append).await?;
                meter.count_due(due);
            }
            Ok(())
        });
    }
    Ok(())
}
