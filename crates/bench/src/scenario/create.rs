//! Creating streams, as fast as it is answered.

use std::io;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Settings, setup};
use crate::load::{Meter, Sample};
use crate::target::Running;

/// Every connection creates streams that nobody else does.
pub(super) async fn run(
    server: &Running,
    settings: &Settings,
    connections: usize,
) -> io::Result<Sample> {
    let opened = setup::connections(server.address(), connections).await?;
    let meter = Meter::start(settings.window)?;
    let mut workers = JoinSet::new();
    for (first, mut connection) in opened.into_iter().enumerate() {
        let meter = meter.clone();
        workers.spawn(async move {
            let mut begun = Instant::now();
            for stream in (first..).step_by(connections) {
                connection.exchange(&setup::create(stream, &[setup::TEXT])).await?;
                begun = meter.count(begun);
                if meter.is_over(begun) {
                    break;
                }
            }
            Ok(())
        });
    }
    meter.measure(server.pid(), workers).await
}
