//! All scenarios. A new one is a file beside this one, a kind, and a line here.

use super::{Body, Kind, Scenario, Unit};

/// All scenarios, in the order in which they run.
pub(crate) const ALL: &[Scenario] = &[
    append("append-64x64", "64 connections over 64 streams, 100-byte appends", 64, 64, Body::Text),
    append("append-64x1", "64 connections over 1 stream, 100-byte appends", 64, 1, Body::Text),
    append(
        "append-512x10k",
        "512 connections over 10,000 streams, 100-byte appends",
        512,
        10_000,
        Body::Text,
    ),
    append("append-1x1", "1 connection, 1 stream, 100-byte appends", 1, 1, Body::Text),
    append(
        "json-16x16",
        "16 connections over 16 streams, 100 JSON messages each",
        16,
        16,
        Body::Json,
    ),
    append(
        "producers-64x64",
        "64 idempotent producers over 64 streams, 100-byte appends",
        64,
        64,
        Body::Producer,
    ),
    Scenario {
        name: "get-64",
        about: "64 connections that read the last KiB of their stream",
        unit: Unit::Requests,
        kind: Kind::Get { connections: 64 },
    },
    Scenario {
        name: "seek",
        about: "from asking for a random offset of a long stream to its first KiB, 1 reader",
        unit: Unit::Median,
        kind: Kind::Seek,
    },
    replay("replay-bytes-1", "1 reader catches up with a large stream of bytes", false, 1),
    replay("replay-bytes-4", "4 readers catch up with a large stream of bytes", false, 4),
    replay("replay-json-1", "1 reader catches up with a large stream of JSON", true, 1),
    replay("replay-json-4", "4 readers catch up with a large stream of JSON", true, 4),
    Scenario {
        name: "rtt-long-poll",
        about: "from sending an append to having it by a waiting long-poll, 1 stream",
        unit: Unit::Median,
        kind: Kind::RoundTrip,
    },
    fan_out(
        "rtt-sse",
        "from sending an append to having it by SSE, 1 stream",
        Unit::Median,
        1,
        1,
        None,
    ),
    fan_out(
        "sse-1000",
        "1 stream, 1,000 SSE subscribers, the next append when all have the last",
        Unit::Deliveries,
        1,
        1000,
        None,
    ),
    fan_out(
        "sse-1000-paced",
        "1 stream, 1,000 SSE subscribers, 50 appends a second",
        Unit::P99,
        1,
        1000,
        Some(50),
    ),
    fan_out(
        "sse-10k",
        "1 stream, 10,000 SSE subscribers, the next append when all have the last",
        Unit::Deliveries,
        1,
        10_000,
        None,
    ),
    fan_out(
        "sse-10k-paced",
        "1 stream, 10,000 SSE subscribers, 5 appends a second",
        Unit::P99,
        1,
        10_000,
        Some(5),
    ),
    fan_out(
        "sse-1000x10",
        "1,000 streams, 10 SSE subscribers each, 16 writers",
        Unit::Deliveries,
        1000,
        10,
        None,
    ),
    Scenario {
        name: "create-64",
        about: "64 connections that create streams",
        unit: Unit::Requests,
        kind: Kind::Create { connections: 64 },
    },
    Scenario {
        name: "memory",
        about: "resident memory of a live stream",
        unit: Unit::Bytes,
        kind: Kind::Memory,
    },
    Scenario {
        name: "history",
        about: "p50 of an append to a stream with a long history, beside one to a stream with 1 KiB",
        unit: Unit::Factor,
        kind: Kind::History,
    },
    Scenario {
        name: "mixed",
        about: "64 writers that keep a rate while 4 readers replay a large stream",
        unit: Unit::P99,
        kind: Kind::Mixed,
    },
    Scenario {
        name: "subscriptions",
        about: "what an append costs if 1 of many subscriptions matches, beside none",
        unit: Unit::Factor,
        kind: Kind::Subscriptions,
    },
    Scenario {
        name: "retention",
        about: "p99 of 64 writers while a large stream falls to retention, beside without",
        unit: Unit::Factor,
        kind: Kind::Retention,
    },
];

const fn append(
    name: &'static str,
    about: &'static str,
    connections: usize,
    streams: usize,
    body: Body,
) -> Scenario {
    Scenario {
        name,
        about,
        unit: Unit::Requests,
        kind: Kind::Append { connections, streams, body },
    }
}

const fn replay(name: &'static str, about: &'static str, json: bool, readers: usize) -> Scenario {
    Scenario { name, about, unit: Unit::Megabytes, kind: Kind::Replay { json, readers } }
}

const fn fan_out(
    name: &'static str,
    about: &'static str,
    unit: Unit,
    streams: usize,
    subscribers: usize,
    rate: Option<u32>,
) -> Scenario {
    Scenario { name, about, unit, kind: Kind::FanOut { streams, subscribers, rate } }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_tell_scenarios_apart() {
        let names: HashSet<_> = ALL.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
