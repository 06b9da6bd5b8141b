//! From an append to the reader that waits for it.

use std::io;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{Settings, setup};
use crate::http::{Connection, request};
use crate::load::{Meter, Sample};
use crate::target::Running;

/// How long before the append the reader asks, so that it surely waits.
const HEAD_START: Duration = Duration::from_millis(2);

/// One writer and one reader, in turns. A nearly idle server: its latency includes waking up.
pub(super) async fn run(server: &Running, settings: &Settings) -> io::Result<Sample> {
    let mut writer = setup::one_stream(server.address(), 0, &[setup::TEXT]).await?;
    let append = setup::append(0, setup::TEXT, &setup::MESSAGE);
    let offset = setup::next_offset(&mut writer, &append).await?;
    let reader = Connection::open(server.address()).await?;
    let meter = Meter::start(settings.window)?;
    let mut workers = JoinSet::new();
    workers.spawn(take_turns(writer, reader, append, offset, meter.clone()));
    meter.measure(server.pid(), workers).await
}

async fn take_turns(
    mut writer: Connection,
    mut reader: Connection,
    append: Vec<u8>,
    mut offset: Option<String>,
    meter: Meter,
) -> io::Result<()> {
    let mut now = Instant::now();
    while !meter.is_over(now) {
        let at = offset.as_deref().ok_or_else(setup::no_offset)?;
        let path = format!("{}?live=long-poll&offset={at}", setup::path(0));
        reader.send(&request("GET", &path, &[], b"")).await?;
        sleep(HEAD_START).await;
        let begun = Instant::now();
        writer.send(&append).await?;
        let (head, next) = reader.head_and("stream-next-offset").await?;
        if head.status != 200 {
            return Err(io::Error::other("the long-poll brought nothing"));
        }
        reader.body(head.framing, |_| {}).await?;
        now = meter.count(begun);
        let head = writer.head().await?;
        writer.body(head.framing, |_| {}).await?;
        offset = next;
    }
    Ok(())
}
