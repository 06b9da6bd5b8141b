//! What servers are measured at: kinds of load.

mod append;
mod fan_out;
mod get;
mod replay;
mod round_trip;
mod setup;

use std::fmt;
use std::io;

use serde::Serialize;

use crate::load::{Sample, Window};
use crate::target::Running;

/// What is the same for all scenarios of a run.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Settings {
    /// When to measure.
    pub(crate) window: Window,
    /// The size of the stream that is replayed.
    pub(crate) replay_bytes: u64,
}

/// A kind of load with its numbers.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// What happens.
    pub(crate) about: &'static str,
    /// What its figure counts.
    pub(crate) unit: Unit,
    kind: Kind,
}

/// What a scenario's figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Answers in a second.
    Requests,
    /// Messages that reached a subscriber, in a second.
    Deliveries,
    /// 10^6 bytes in a second.
    Megabytes,
    /// The median latency: less is better.
    Latency,
}

#[derive(Debug)]
enum Kind {
    Append { connections: usize, streams: usize },
    Get { connections: usize },
    RoundTrip,
    FanOut { subscribers: usize },
    Replay,
}

/// All scenarios. A new one is a file here, a kind, and a line in this list.
pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "append-64x64",
        about: "64 connections over 64 streams, 100-byte appends",
        unit: Unit::Requests,
        kind: Kind::Append { connections: 64, streams: 64 },
    },
    Scenario {
        name: "append-64x1",
        about: "64 connections over 1 stream, 100-byte appends",
        unit: Unit::Requests,
        kind: Kind::Append { connections: 64, streams: 1 },
    },
    Scenario {
        name: "append-512x10k",
        about: "512 connections over 10,000 streams, 100-byte appends",
        unit: Unit::Requests,
        kind: Kind::Append { connections: 512, streams: 10_000 },
    },
    Scenario {
        name: "get-64",
        about: "64 connections that read the last KiB of their stream",
        unit: Unit::Requests,
        kind: Kind::Get { connections: 64 },
    },
    Scenario {
        name: "rtt",
        about: "from sending an append to having it by a waiting long-poll, 1 stream",
        unit: Unit::Latency,
        kind: Kind::RoundTrip,
    },
    Scenario {
        name: "sse-fanout-1000",
        about: "1 stream, 1,000 SSE subscribers, the next append when all have the last",
        unit: Unit::Deliveries,
        kind: Kind::FanOut { subscribers: 1000 },
    },
    Scenario {
        name: "replay-1g",
        about: "1 reader that catches up with a large stream of bytes, again and again",
        unit: Unit::Megabytes,
        kind: Kind::Replay,
    },
];

/// The names of all scenarios.
pub(crate) fn names() -> Vec<&'static str> {
    ALL.iter().map(|scenario| scenario.name).collect()
}

impl Scenario {
    /// Whether a server that gives everybody the same answer is of no use here.
    pub(crate) fn needs_the_protocol(&self) -> bool {
        !matches!(self.kind, Kind::Append { .. } | Kind::Get { .. })
    }

    /// Prepares a server, puts it under load, and measures.
    pub(crate) async fn run(&self, server: &Running, settings: &Settings) -> io::Result<Sample> {
        let sample = match self.kind {
            Kind::Append { connections, streams } => {
                append::run(server, settings, connections, streams).await
            }
            Kind::Get { connections } => get::run(server, settings, connections).await,
            Kind::RoundTrip => round_trip::run(server, settings).await,
            Kind::FanOut { subscribers } => fan_out::run(server, settings, subscribers).await,
            Kind::Replay => replay::run(server, settings).await,
        }?;
        Ok(Sample { value: self.unit.figure(&sample), ..sample })
    }
}

impl Unit {
    fn figure(self, sample: &Sample) -> f64 {
        match self {
            Self::Requests | Self::Deliveries => sample.rate(),
            Self::Megabytes => sample.bytes as f64 / 1e6 / sample.seconds,
            Self::Latency => sample.p50_us,
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requests => "req/s",
            Self::Deliveries => "deliveries/s",
            Self::Megabytes => "MB/s",
            Self::Latency => "µs (less is better)",
        })
    }
}
