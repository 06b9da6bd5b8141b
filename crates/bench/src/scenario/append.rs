//! Appends, as fast as they are answered.

use std::io::{self, Write};

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Settings, setup};
use crate::http::{Connection, request};
use crate::load::{Meter, Sample};
use crate::target::Running;

/// The messages of a JSON batch.
const JSON_MESSAGES: usize = 100;

/// What an append carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// 100 bytes of text.
    Text,
    /// An array of 100 JSON messages of 100 bytes.
    Json,
    /// 100 bytes of text from an idempotent producer, one for each stream.
    Producer,
}

/// Every connection appends to its own share of the streams, one after the other; if there are fewer
/// streams than connections, several share one.
pub(super) async fn run(
    server: &Running,
    settings: &Settings,
    connections: usize,
    streams: usize,
    body: Body,
) -> io::Result<Sample> {
    setup::streams(server.address(), streams, body.content_type()).await?;
    measure(server, settings, connections, streams, body).await
}

/// The same with streams that are there.
pub(super) async fn measure(
    server: &Running,
    settings: &Settings,
    connections: usize,
    streams: usize,
    body: Body,
) -> io::Result<Sample> {
    let opened = setup::connections(server.address(), connections).await?;
    let meter = Meter::start(settings.window)?;
    let mut workers = JoinSet::new();
    for (index, connection) in opened.into_iter().enumerate() {
        let own = (index..streams.max(connections)).step_by(connections);
        let appends = own.map(|i| Append::new(i % streams, body)).collect();
        workers.spawn(worker(connection, appends, meter.clone()));
    }
    meter.measure(server.pid(), workers).await
}

async fn worker(
    mut connection: Connection,
    mut appends: Vec<Append>,
    meter: Meter,
) -> io::Result<()> {
    let mut begun = Instant::now();
    while !meter.is_over(begun) {
        for append in &mut appends {
            connection.exchange(append.next()).await?;
            begun = meter.count(begun);
            if meter.is_over(begun) {
                break;
            }
        }
    }
    Ok(())
}

/// The requests to one stream: always the same bytes, but for a producer's sequence number.
struct Append {
    request: Vec<u8>,
    /// Where the sequence number is written, and what comes behind it.
    sequence: Option<Sequence>,
}

struct Sequence {
    next: u64,
    at: usize,
    rest: Vec<u8>,
}

impl Append {
    fn new(stream: usize, body: Body) -> Self {
        let whole = match body {
            Body::Text | Body::Json => {
                let request = setup::append(stream, body.content_type(), &body.bytes());
                return Self { request, sequence: None };
            }
            Body::Producer => {
                let id = format!("bench-{stream}");
                let headers = [
                    setup::TEXT,
                    ("producer-id", &id),
                    ("producer-epoch", "0"),
                    ("producer-seq", MARK),
                ];
                request("POST", &setup::path(stream), &headers, &body.bytes())
            }
        };
        let at = memchr::memmem::find(&whole, MARK.as_bytes()).unwrap_or(whole.len());
        let rest = whole[at + MARK.len()..].to_vec();
        Self { request: whole, sequence: Some(Sequence { next: 0, at, rest }) }
    }

    /// The next request.
    fn next(&mut self) -> &[u8] {
        if let Some(sequence) = &mut self.sequence {
            self.request.truncate(sequence.at);
            // Writing to a Vec cannot fail.
            let _ = write!(self.request, "{}", sequence.next);
            self.request.extend_from_slice(&sequence.rest);
            sequence.next += 1;
        }
        &self.request
    }
}

/// Where a sequence number goes.
const MARK: &str = "SEQUENCE";

impl Body {
    /// The type of the streams.
    pub(crate) fn content_type(self) -> (&'static str, &'static str) {
        match self {
            Self::Text | Self::Producer => setup::TEXT,
            Self::Json => setup::JSON,
        }
    }

    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Text | Self::Producer => setup::MESSAGE.to_vec(),
            Self::Json => setup::json_array(JSON_MESSAGES),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_producer_counts_its_requests() {
        let mut append = Append::new(7, Body::Producer);
        for sequence in 0..11 {
            let request = String::from_utf8(append.next().to_vec()).unwrap();
            assert!(request.contains(&format!("producer-seq: {sequence}\r\n")), "{request}");
            assert!(request.ends_with(&format!("\r\n\r\n{}", "x".repeat(100))), "{request}");
        }
    }

    #[test]
    fn others_repeat_theirs() {
        let mut append = Append::new(7, Body::Text);
        assert_eq!(append.next().to_vec(), append.next());
    }
}
