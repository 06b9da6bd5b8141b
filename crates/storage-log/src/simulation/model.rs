//! What the log must hold: the fold of the records that were acknowledged, and their bytes.

use std::collections::BTreeMap;

use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::{Record, StreamId, StreamState};
use streamkeeper_storage::{Chunk, Entry, Range, StorageError};

/// The states of all streams.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct States {
    pub(super) live: BTreeMap<StreamName, StreamState>,
}

impl States {
    /// Folds a commit in, or tells why it is refused.
    pub(super) fn apply(&mut self, entry: &Entry) -> Result<(), StorageError> {
        if let Record::Created { id, .. } = &entry.record {
            let taken = self.live.contains_key(&entry.name) || self.with_id(*id).is_some();
            if taken || entry.follows != 0 {
                return Err(StorageError::Conflict);
            }
            let mut state = None;
            StreamState::fold(&mut state, &entry.record);
            self.live.extend(state.map(|state| (entry.name.clone(), state)));
            return Ok(());
        }
        let name = self.with_id(entry.id).cloned().ok_or(StorageError::NotFound)?;
        let mut state = self.live.remove(&name);
        let follows = state.as_ref().map_or(0, |state| state.version);
        if follows == entry.follows {
            StreamState::fold(&mut state, &entry.record);
        }
        self.live.extend(state.map(|state| (name, state)));
        if follows == entry.follows { Ok(()) } else { Err(StorageError::Conflict) }
    }

    pub(super) fn with_id(&self, id: StreamId) -> Option<&StreamName> {
        self.live.iter().find(|(_, state)| state.id == id).map(|(name, _)| name)
    }
}

/// The messages of one life, dropped ones included.
#[derive(Debug, Default)]
pub(super) struct Tape {
    /// The position of the first message.
    pub(super) first: u64,
    bytes: Vec<u8>,
    /// The position after each message.
    ends: Vec<u64>,
}

impl Tape {
    pub(super) fn end(&self) -> u64 {
        self.first + self.bytes.len() as u64
    }

    fn begin(&self, message: usize) -> u64 {
        message.checked_sub(1).map_or(self.first, |before| self.ends[before])
    }

    /// The first message that ends behind a position.
    fn message_at(&self, position: u64) -> usize {
        self.ends.partition_point(|end| *end <= position)
    }

    fn is_nothing_from(&self, message: usize, until: u64) -> bool {
        message == self.ends.len() || self.begin(message) >= until
    }

    /// Checks a page: right bytes, whole messages, no gap, not too much; how far it got.
    pub(super) fn check_page(
        &self,
        oldest: u64,
        range: Range,
        chunks: &[Chunk],
    ) -> Result<Option<u64>, String> {
        let asked = self.message_at(range.from);
        let kept = self.message_at(range.from.max(oldest));
        let Some(first) = chunks.first() else {
            // What lies before the oldest message may be gone.
            return match range.until <= oldest || self.is_nothing_from(kept, range.until) {
                true => Ok(None),
                false => Err(format!("nothing is read, but {} is there", self.begin(kept))),
            };
        };
        let begin = (asked..=kept).find(|message| self.begin(*message) == first.position);
        let Some(mut message) = begin else {
            return Err(format!("the page begins at {}, where it must not", first.position));
        };
        let (mut size, mut count) = (0, 0);
        for chunk in chunks {
            for (begin, end) in chunk.messages() {
                if self.is_nothing_from(message, range.until) {
                    return Err(format!("message {begin}..{end} does not belong there"));
                }
                let expected = (self.begin(message), self.ends[message].min(range.until));
                if (begin, end) != expected {
                    return Err(format!("message {begin}..{end} instead of {expected:?}"));
                }
                let at = |position: u64, from: u64| (position - from) as usize;
                let read = at(begin, chunk.position)..at(end, chunk.position);
                let wrote = at(begin, self.first)..at(end, self.first);
                if chunk.batch.payload()[read] != self.bytes[wrote] {
                    return Err(format!("message {begin}..{end} has wrong bytes"));
                }
                message += 1;
                count += 1;
                size += end - begin;
            }
        }
        match size <= range.max_bytes || count == 1 {
            true => Ok(chunks.last().map(Chunk::end)),
            false => Err(format!("{size} bytes in a page of {}", range.max_bytes)),
        }
    }
}

/// All that was acknowledged.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) states: States,
    pub(super) tapes: BTreeMap<StreamId, Tape>,
    /// Lives that are over.
    pub(super) ended: Vec<StreamId>,
    /// The names of all lives.
    pub(super) names: BTreeMap<StreamId, StreamName>,
}

impl Model {
    /// Takes in a record that was acknowledged, or was found after a crash.
    pub(super) fn adopt(&mut self, entry: &Entry) {
        let valid = self.states.apply(entry);
        assert_eq!(valid, Ok(()), "the model follows its own records");
        if let Record::Created { origin, .. } = &entry.record {
            let first = origin.as_ref().map_or(0, |origin| origin.point());
            self.tapes.insert(entry.id, Tape { first, ..Tape::default() });
            self.names.insert(entry.id, entry.name.clone());
        }
        if let (Some(batch), Some(tape)) = (entry.record.batch(), self.tapes.get_mut(&entry.id)) {
            let before = tape.end();
            tape.ends.extend(batch.ends().map(|end| before + end));
            tape.bytes.extend_from_slice(batch.payload());
        }
        if self.states.with_id(entry.id).is_none() {
            self.tapes.remove(&entry.id);
            self.ended.push(entry.id);
        }
    }
}
