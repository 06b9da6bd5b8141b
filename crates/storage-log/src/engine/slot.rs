//! What is known of one stream in memory: its state, and where its messages are.

use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::StreamState;
use streamkeeper_storage::StorageError;

use crate::codec;
use crate::filed::{Cover, Run};

/// A record with messages that is in the journal and not filed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JournalRef {
    pub(crate) first: u64,
    pub(crate) end: u64,
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) length: u32,
}

/// One stream. Takes little memory while nobody uses it, however long it is.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) name: StreamName,
    state: State,
    /// Where its filed messages are, in order.
    pub(crate) filed: Vec<(Cover, Run)>,
    /// Where its latest messages are, in order.
    pub(crate) journal: Vec<JournalRef>,
    /// Why the stream is not served: something of it was durable and is unreadable.
    pub(crate) corrupt: Option<String>,
}

#[derive(Debug)]
enum State {
    /// Encoded, as it is most of the time.
    Cold(Box<[u8]>),
    /// In use.
    Hot(Box<StreamState>),
}

impl Slot {
    pub(crate) fn new(name: StreamName, state: StreamState) -> Self {
        Self::with(name, State::Hot(Box::new(state)))
    }

    pub(crate) fn cold(name: StreamName, state: Box<[u8]>) -> Self {
        Self::with(name, State::Cold(state))
    }

    fn with(name: StreamName, state: State) -> Self {
        Self { name, state, filed: Vec::new(), journal: Vec::new(), corrupt: None }
    }

    /// The durable state.
    pub(crate) fn state(&mut self) -> Result<&mut StreamState, StorageError> {
        if let Some(reason) = &self.corrupt {
            return Err(StorageError::Corrupt(reason.clone()));
        }
        if let State::Cold(bytes) = &self.state {
            let state = codec::decode_state(bytes).map_err(|error| {
                StorageError::Corrupt(format!("state of `{}`: {error}", self.name))
            })?;
            self.state = State::Hot(Box::new(state));
        }
        match &mut self.state {
            State::Hot(state) => Ok(state),
            State::Cold(_) => Err(StorageError::Corrupt("unreadable state".into())),
        }
    }

    /// The durable state, encoded; keeps it so, until the stream is used again.
    pub(crate) fn freeze(&mut self) -> &[u8] {
        if let State::Hot(state) = &self.state {
            self.state = State::Cold(codec::encode_state(state).into_boxed_slice());
        }
        if let (Some(reason), State::Cold(bytes)) = (&self.corrupt, &self.state) {
            self.state = State::Cold(codec::mark_corrupt(reason, bytes));
        }
        match &self.state {
            State::Cold(bytes) => bytes,
            State::Hot(_) => &[],
        }
    }

    /// Whether time alone can change the stream.
    pub(crate) fn is_scheduled(&self) -> bool {
        match &self.state {
            State::Cold(bytes) => codec::is_scheduled(bytes),
            State::Hot(state) => state.is_scheduled(),
        }
    }

    /// Drops what lies wholly before a position; returns the runs that are dropped.
    pub(crate) fn truncate_before(&mut self, position: u64) -> Vec<(Cover, Run)> {
        let kept = self.journal.partition_point(|record| record.end <= position);
        self.journal.drain(..kept);
        let kept = self.filed.partition_point(|(_, run)| run.end <= position);
        self.filed.drain(..kept).collect()
    }
}
