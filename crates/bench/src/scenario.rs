//! What servers are measured at: kinds of load.

mod append;
mod create;
mod fan_out;
mod get;
mod history;
mod list;
mod memory;
mod mixed;
mod replay;
mod retention;
mod round_trip;
mod seek;
pub(crate) mod setup;
mod subscriptions;
mod writers;

use std::fmt;
use std::io;
use std::time::Duration;

use serde::Serialize;

pub(crate) use self::append::Body;
pub(crate) use self::list::ALL;
use crate::load::{Sample, Window};
use crate::target::Running;

/// What is the same for all scenarios of a run.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Settings {
    /// When to measure.
    pub(crate) window: Window,
    /// The size of the stream that is replayed.
    pub(crate) replay_bytes: u64,
    /// The size of the stream with a long history.
    pub(crate) history_bytes: u64,
    /// How many streams `memory` makes.
    pub(crate) memory_streams: usize,
    /// How long `memory` waits for them to become dormant.
    pub(crate) dormant_wait: Duration,
    /// Appends a second of writers that keep a rate.
    pub(crate) rate: u32,
    /// How many subscriptions `subscriptions` makes.
    pub(crate) subscriptions: usize,
    /// How long one measurement may take with its preparation.
    pub(crate) patience: Duration,
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
    /// The median latency in microseconds: less is better.
    Median,
    /// The latency in microseconds that 99 % stay below: less is better.
    P99,
    /// Bytes, told by the scenario: less is better.
    Bytes,
    /// How much worse one case is than another, told by the scenario: less is better, 1 is best.
    Factor,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Append { connections: usize, streams: usize, body: Body },
    Create { connections: usize },
    Get { connections: usize },
    Seek,
    RoundTrip,
    FanOut { streams: usize, subscribers: usize, rate: Option<u32> },
    Replay { json: bool, readers: usize },
    Mixed,
    Memory,
    History,
    Subscriptions,
    Retention,
}

/// The names of all scenarios.
pub(crate) fn names() -> Vec<&'static str> {
    ALL.iter().map(|scenario| scenario.name).collect()
}

impl Scenario {
    /// Whether a server that gives everybody the same answer is of no use here.
    pub(crate) fn needs_the_protocol(&self) -> bool {
        !matches!(self.kind, Kind::Append { .. } | Kind::Get { .. } | Kind::Create { .. })
    }

    /// Prepares a server, puts it under load, and measures.
    ///
    /// Fails with [`io::ErrorKind::Unsupported`] if the server does not know what is measured.
    pub(crate) async fn run(&self, server: &Running, settings: &Settings) -> io::Result<Sample> {
        let sample = match self.kind {
            Kind::Append { connections, streams, body } => {
                append::run(server, settings, connections, streams, body).await
            }
            Kind::Create { connections } => create::run(server, settings, connections).await,
            Kind::Get { connections } => get::run(server, settings, connections).await,
            Kind::Seek => seek::run(server, settings).await,
            Kind::RoundTrip => round_trip::run(server, settings).await,
            Kind::FanOut { streams, subscribers, rate } => {
                fan_out::run(server, settings, streams, subscribers, rate).await
            }
            Kind::Replay { json, readers } => replay::run(server, settings, json, readers).await,
            Kind::Mixed => mixed::run(server, settings).await,
            Kind::Memory => memory::run(server, settings).await,
            Kind::History => history::run(server, settings).await,
            Kind::Subscriptions => subscriptions::run(server, settings).await,
            Kind::Retention => retention::run(server, settings).await,
        }?;
        Ok(Sample { value: self.unit.figure(&sample), ..sample })
    }
}

impl Unit {
    /// Whether less is better.
    pub(crate) fn less_is_better(self) -> bool {
        !matches!(self, Self::Requests | Self::Deliveries | Self::Megabytes)
    }

    fn figure(self, sample: &Sample) -> f64 {
        match self {
            Self::Requests | Self::Deliveries => sample.rate(),
            Self::Megabytes => sample.megabytes(),
            Self::Median => sample.p50_us,
            Self::P99 => sample.p99_us,
            Self::Bytes | Self::Factor => sample.value,
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requests => "req/s",
            Self::Deliveries => "deliveries/s",
            Self::Megabytes => "MB/s",
            Self::Median => "p50 µs",
            Self::P99 => "p99 µs",
            Self::Bytes => "bytes",
            Self::Factor => "times",
        })
    }
}
