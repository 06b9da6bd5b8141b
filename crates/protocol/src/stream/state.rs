//! All that a stream knows, and how a record changes it.

use std::collections::{BTreeMap, HashMap};

use super::{Config, Marks, Origin, Record, StreamId};
use crate::stream::Expiry;
use crate::{Batch, Offset, Producer, ProducerId, StreamSeq, Timestamp};

/// What is known of one idempotent producer (section 5.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerState {
    /// The epoch in force.
    pub epoch: u64,
    /// The highest sequence number that was accepted in that epoch.
    pub last_seq: u64,
}

/// All that a stream knows but its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamState {
    /// This life of the stream.
    pub id: StreamId,
    /// How many records were folded; what a commit is conditional on.
    pub version: u64,
    /// What it was created with.
    pub config: Config,
    /// What it was forked from.
    pub origin: Option<Origin>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last read or written, as far as records tell.
    pub touched_at: Timestamp,
    /// The position of the earliest message that is kept.
    pub earliest: u64,
    /// The position after the last message.
    pub tail: u64,
    /// How many messages were appended in this life, dropped ones included.
    pub messages: u64,
    /// How many of them retention has dropped.
    pub dropped: u64,
    /// When messages were last appended.
    pub appended_at: Timestamp,
    /// How old the messages are, roughly; empty unless the stream has a retention policy.
    pub marks: Marks,
    /// Whether no more may be appended.
    pub closed: bool,
    /// The idempotent producers that wrote to it.
    pub producers: HashMap<ProducerId, ProducerState>,
    /// The last `Stream-Seq`.
    pub last_seq: Option<StreamSeq>,
    /// The forks that hold a reference on it, each with the position from which on it may read.
    pub forks: BTreeMap<StreamId, u64>,
    /// Deleted, but kept for its forks.
    pub soft_deleted: bool,
}

impl StreamState {
    /// Folds one record into a state; `None` is a stream that does not exist.
    ///
    /// A record that cannot follow (one of a stream that does not exist, a second creation) changes
    /// nothing: `decide_*` never writes it.
    pub fn fold(state: &mut Option<Self>, record: &Record) {
        match (state.as_mut(), record) {
            (None, Record::Created { .. }) => *state = Self::created(record),
            (Some(live), record) if live.ends_with(record) => *state = None,
            (Some(live), record) => live.apply(record),
            (None, _) => {}
        }
    }

    /// Whether the stream is no more once the record is folded in.
    pub fn ends_with(&self, record: &Record) -> bool {
        match record {
            Record::Deleted => true,
            Record::SoftDeleted => self.forks.is_empty(),
            Record::ForkReleased { fork } => {
                self.soft_deleted && self.forks.keys().all(|held| held == fork)
            }
            _ => false,
        }
    }

    /// The offset after the last message.
    pub fn next_offset(&self) -> Offset {
        Offset::new(self.tail)
    }

    /// The position before which nobody needs the messages any more: neither the stream's readers nor
    /// its forks'. Storage may drop what lies before it.
    pub fn kept(&self) -> u64 {
        self.forks.values().copied().fold(self.earliest, u64::min)
    }

    /// Whether time alone can change the stream: it expires, or has a retention policy.
    pub fn is_scheduled(&self) -> bool {
        let Config { expiry, retention, .. } = &self.config;
        !self.soft_deleted && (*expiry != Expiry::Never || !retention.is_unlimited())
    }

    /// Whether the stream has ended by itself.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.config.expiry.deadline(self.touched_at).is_some_and(|deadline| deadline <= now)
    }

    /// Notes a use that no record tells yet, so that expiry is exact between records.
    pub fn touch(&mut self, at: Timestamp) {
        self.touched_at = self.touched_at.max(at);
    }

    fn created(record: &Record) -> Option<Self> {
        let Record::Created { id, config, origin, batch, closed, at } = record else {
            return None;
        };
        let start = origin.as_ref().map_or(0, |origin| origin.point());
        let mut state = Self {
            id: *id,
            version: 1,
            config: config.clone(),
            origin: origin.as_deref().cloned(),
            created_at: *at,
            touched_at: *at,
            earliest: origin.as_ref().map_or(0, |origin| origin.earliest),
            tail: start,
            messages: 0,
            dropped: 0,
            appended_at: *at,
            marks: Marks::default(),
            closed: *closed,
            producers: HashMap::new(),
            last_seq: None,
            forks: BTreeMap::new(),
            soft_deleted: false,
        };
        state.add(batch.as_ref(), *at);
        Some(state)
    }

    /// Folds in a record that does not end the stream (see [`ends_with`](Self::ends_with)).
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Appended { batch, producer, seq, closes, at } => {
                self.add(batch.as_ref(), *at);
                if let Some(producer) = producer {
                    self.apply_producer(producer);
                }
                if seq.is_some() {
                    self.last_seq.clone_from(seq);
                }
                self.closed |= closes;
                self.touch(*at);
            }
            Record::Touched { at } => self.touch(*at),
            Record::Truncated { before, messages } => {
                self.earliest = self.earliest.max(*before).min(self.tail);
                self.dropped = self.dropped.max(*messages).min(self.messages);
                self.marks.truncate_before(self.earliest);
            }
            Record::ForkAdded { fork, keeps } => {
                self.forks.insert(*fork, *keeps);
            }
            Record::ForkReleased { fork } => {
                self.forks.remove(fork);
            }
            Record::SoftDeleted => self.soft_deleted = true,
            Record::Created { .. } | Record::Deleted => return,
        }
        self.version += 1;
    }

    fn add(&mut self, batch: Option<&Batch>, at: Timestamp) {
        let Some(batch) = batch else { return };
        if !self.config.retention.is_unlimited() {
            let (earliest, tail) = (self.earliest_mark(), self.tail_mark());
            self.marks.note(&self.config.retention, earliest, tail, at);
        }
        self.tail += batch.size();
        self.messages += batch.count();
        self.appended_at = at;
    }

    fn apply_producer(&mut self, producer: &Producer) {
        let accepted = ProducerState { epoch: producer.epoch, last_seq: producer.seq };
        match self.producers.get_mut(&producer.id) {
            Some(known) => *known = accepted,
            None => {
                self.producers.insert(producer.id.clone(), accepted);
            }
        }
    }
}
