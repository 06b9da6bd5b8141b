//! A reader as real clients are: it goes on from the last offset whatever happens to a connection.

use std::time::Duration;

use tokio::time::sleep;

use crate::{Connection, EventReader, Stream, within};

/// How a reader follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One long-poll after the other.
    LongPoll,
    /// Server-sent events.
    Sse,
}

/// What a reader has got by the end.
#[derive(Debug, Default)]
pub struct Got {
    /// The messages, by lines: tests that use this append whole lines.
    pub lines: Vec<String>,
    /// How many answers were not what a reader of a healthy stream gets.
    pub errors: usize,
}

/// Follows a stream of lines from its beginning until it is closed.
///
/// # Panics
///
/// It does not end within the deadline of the harness, several times over.
pub async fn follow(stream: Stream, mode: Mode) -> Got {
    let mut got = Got::default();
    let mut at = "-1".to_owned();
    let mut ended = false;
    while !ended {
        ended = match mode {
            Mode::LongPoll => long_poll(&stream, &mut at, &mut got).await,
            Mode::Sse => sse(&stream, &mut at, &mut got).await,
        };
    }
    got
}

async fn long_poll(stream: &Stream, at: &mut String, got: &mut Got) -> bool {
    let mut connection = Connection::open(stream.address).await;
    loop {
        let query = format!("offset={at}&live=long-poll");
        connection.write(&stream.get(&query).encode()).await;
        let Some(response) = connection.try_response("GET").await else { return false };
        if response.status != 200 && response.status != 204 {
            got.error().await;
            return false;
        }
        *at = response.next_offset();
        got.lines.extend(response.text().lines().map(str::to_owned));
        if response.closed() {
            return true;
        }
    }
}

async fn sse(stream: &Stream, at: &mut String, got: &mut Got) -> bool {
    let mut connection = Connection::open(stream.address).await;
    connection.write(&stream.get(&format!("offset={at}&live=sse")).encode()).await;
    let mut events = EventReader::begin(connection).await;
    if events.head.status != 200 {
        got.error().await;
        return false;
    }
    while let Some((data, control)) = within("an event", events.step()).await {
        *at = control.next_offset;
        got.lines.extend(data.iter().flat_map(|data| data.lines()).map(str::to_owned));
        if control.closed {
            return true;
        }
    }
    false
}

impl Got {
    async fn error(&mut self) {
        self.errors += 1;
        sleep(Duration::from_millis(20)).await;
    }
}
