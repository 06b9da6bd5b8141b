//! The log of a subscription: a stream of its events under a reserved name.
//!
//! So subscriptions are as durable as streams, on every backend, and nothing about storage is new: the
//! events of one decision are one record, which is written whole or not at all.

use streamkeeper_protocol::stream::{Config, Expiry, Record, Retention, StreamId};
use streamkeeper_protocol::subscription::{
    Event, SubscriptionId, SubscriptionState, decode_events, encode_events,
};
use streamkeeper_protocol::{ContentType, StreamName, Timestamp};
use streamkeeper_storage::{Entry, Range, Storage, StorageError};

/// How much is read at once.
const PAGE_BYTES: u64 = 1 << 20;

/// A log shorter than this is not compacted, in bytes.
const COMPACT_BYTES: u64 = 64 << 10;

/// How many times as long as its last snapshot a log becomes before it is compacted.
const COMPACT_FACTOR: u64 = 4;

/// Where the log stands.
#[derive(Debug)]
pub(crate) struct EventLog {
    name: StreamName,
    life: StreamId,
    /// How many records were accepted.
    version: u64,
    earliest: u64,
    tail: u64,
    /// How many events were written.
    messages: u64,
    /// The size of the snapshot that the log begins with, in bytes.
    snapshot: u64,
}

impl EventLog {
    /// A log that begins with its first record.
    pub(crate) fn new(id: &SubscriptionId, life: StreamId) -> Self {
        let name = id.stream_name();
        Self { name, life, version: 0, earliest: 0, tail: 0, messages: 0, snapshot: 0 }
    }

    /// Folds what storage holds of a subscription; `None` if there is none.
    pub(crate) async fn load(
        storage: &dyn Storage,
        id: &SubscriptionId,
    ) -> Result<Option<(Self, SubscriptionState)>, StorageError> {
        let name = id.stream_name();
        let Some(stored) = storage.load(&name).await? else { return Ok(None) };
        let mut log = Self {
            name,
            life: stored.id,
            version: stored.version,
            earliest: stored.earliest,
            tail: stored.tail,
            messages: stored.messages,
            snapshot: 0,
        };
        let mut state = None;
        let mut from = log.earliest;
        while from < log.tail {
            let range = Range { id: log.life, from, until: log.tail, max_bytes: PAGE_BYTES };
            let page = storage.read(range).await?;
            let Some(end) = page.last().map(|chunk| chunk.end()) else {
                return Err(corrupt(id, &format!("no events at position {from}")));
            };
            if from == log.earliest {
                let first = page.first().and_then(|chunk| chunk.messages().next());
                log.snapshot = first.map_or(0, |(begin, end)| end - begin);
            }
            let payloads: Vec<_> = page.iter().map(|c| c.batch.payload().clone()).collect();
            let events = decode_events(&payloads).map_err(|error| corrupt(id, &error))?;
            events.iter().for_each(|event| SubscriptionState::fold(&mut state, event));
            from = end;
        }
        let state = state.ok_or_else(|| corrupt(id, &"there is no beginning"))?;
        Ok(Some((log, state)))
    }

    pub(crate) fn life(&self) -> StreamId {
        self.life
    }

    /// The record of a decision; counts as written.
    pub(crate) fn append(&mut self, events: &[Event], at: Timestamp) -> Entry {
        let batch = encode_events(events);
        self.tail += batch.as_ref().map_or(0, |batch| batch.size());
        self.messages += batch.as_ref().map_or(0, |batch| batch.count());
        let record = match self.version {
            0 => Record::Created {
                id: self.life,
                config: Config {
                    content_type: json(),
                    expiry: Expiry::Never,
                    retention: Retention::default(),
                },
                origin: None,
                batch,
                closed: false,
                at,
            },
            _ => Record::Appended { batch, producer: None, seq: None, closes: false, at },
        };
        self.entry(record)
    }

    /// The record that ends the log.
    pub(crate) fn delete(&mut self) -> Entry {
        self.entry(Record::Deleted)
    }

    /// Whether it is time for a snapshot.
    pub(crate) fn is_long(&self) -> bool {
        self.tail - self.earliest > COMPACT_BYTES.max(COMPACT_FACTOR * self.snapshot)
    }

    /// The position at which the next event will begin.
    pub(crate) fn tail(&self) -> u64 {
        self.tail
    }

    /// The record that drops all before a snapshot at this position, the last event of the log.
    pub(crate) fn truncate(&mut self, snapshot: u64) -> Entry {
        (self.earliest, self.snapshot) = (snapshot, self.tail - snapshot);
        self.entry(Record::Truncated { before: snapshot, messages: self.messages - 1 })
    }

    fn entry(&mut self, record: Record) -> Entry {
        let follows = self.version;
        self.version += 1;
        Entry { name: self.name.clone(), id: self.life, follows, record }
    }
}

fn json() -> ContentType {
    ContentType::parse("application/json").unwrap_or_default()
}

fn corrupt(id: &SubscriptionId, why: &dyn std::fmt::Display) -> StorageError {
    StorageError::Corrupt(format!("subscription {id}: {why}"))
}
