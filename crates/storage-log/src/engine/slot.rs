//! What is known of one stream: its state, and where its messages are.

use streamkeeper_protocol::stream::{StreamId, StreamState};
use streamkeeper_storage::StorageError;

use crate::codec::{self, Malformed, Reader, Writer};
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

/// What is known of one stream, while it is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    state: State,
    /// Where its filed messages are, in order.
    pub(crate) filed: Vec<(Cover, Run)>,
    /// Where its latest messages are, in order.
    pub(crate) journal: Vec<JournalRef>,
    /// Why the stream is not served: something of it was durable and is unreadable.
    pub(crate) corrupt: Option<String>,
    /// The stream has ended while somebody was busy with it.
    pub(crate) ended: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Encoded, as it is filed.
    Cold(Box<[u8]>),
    Hot(Box<StreamState>),
}

impl Slot {
    pub(crate) fn new(state: StreamState) -> Self {
        Self::with(State::Hot(Box::new(state)))
    }

    pub(crate) fn cold(state: &[u8]) -> Self {
        Self::with(State::Cold(state.into()))
    }

    fn with(state: State) -> Self {
        Self { state, filed: Vec::new(), journal: Vec::new(), corrupt: None, ended: false }
    }

    /// Takes what a later segment tells: the state, and more runs. Returns the runs that the state says
    /// are dropped.
    pub(crate) fn learn(&mut self, newer: Self) -> Vec<(Cover, Run)> {
        self.state = newer.state;
        self.filed.extend(newer.filed);
        // Nearly all have lost nothing, which is cheap to tell.
        let earliest = match &self.state {
            State::Cold(state) => codec::earliest(state).unwrap_or(0),
            State::Hot(state) => state.earliest,
        };
        let kept = if earliest > 0 { self.kept() } else { 0 };
        self.truncate_before(kept)
    }

    /// The durable state.
    pub(crate) fn state(&mut self) -> Result<&mut StreamState, StorageError> {
        if let Some(reason) = &self.corrupt {
            return Err(StorageError::Corrupt(reason.clone()));
        }
        if let State::Cold(bytes) = &self.state {
            let state = codec::decode_state(bytes);
            let state = state.map_err(|error| StorageError::Corrupt(format!("state: {error}")))?;
            self.state = State::Hot(Box::new(state));
        }
        match &mut self.state {
            State::Hot(state) => Ok(state),
            State::Cold(_) => Err(StorageError::Corrupt("unreadable state".into())),
        }
    }

    /// The position before which nobody needs the messages.
    pub(crate) fn kept(&mut self) -> u64 {
        self.state().map_or(0, |state| state.kept())
    }

    /// The durable state as it is filed: encoded, and marked if something of the stream is lost.
    pub(crate) fn filed_state(&self) -> Vec<u8> {
        let bytes = match &self.state {
            State::Hot(state) => codec::encode_state(state),
            State::Cold(bytes) => bytes.to_vec(),
        };
        match &self.corrupt {
            Some(reason) => codec::mark_corrupt(reason, &bytes).into_vec(),
            None => bytes,
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

    /// All of it in few bytes, for a stream that nobody uses. Not stored anywhere.
    pub(crate) fn encode(&self, id: StreamId, buffer: &mut Vec<u8>) {
        let mut w = Writer(buffer);
        w.bool(self.ended);
        w.option(self.corrupt.as_ref(), |w, reason| w.bytes(reason.as_bytes()));
        w.varint(self.filed.len() as u64);
        for (cover, run) in &self.filed {
            w.varint(cover.first);
            w.varint(cover.last - cover.first);
            w.varint(cover.generation);
            w.varint(run.first);
            w.varint(run.end - run.first);
            w.varint(run.offset);
            w.varint(u64::from(run.size));
            w.varint(run.index);
        }
        w.varint(self.journal.len() as u64);
        for record in &self.journal {
            w.varint(record.segment);
            w.varint(record.first);
            w.varint(record.end - record.first);
            w.varint(record.offset);
            w.varint(u64::from(record.length));
        }
        let encoded;
        let state = match &self.state {
            State::Cold(bytes) => bytes,
            State::Hot(state) => {
                encoded = codec::encode_state(state);
                &encoded[..]
            }
        };
        // The id is known to whoever holds these bytes.
        match codec::without_id(state, id) {
            Some((begin, rest)) => {
                w.bool(true);
                buffer.extend_from_slice(&begin);
                buffer.extend_from_slice(rest);
            }
            None => {
                w.bool(false);
                buffer.extend_from_slice(state);
            }
        }
    }

    /// What [`encode`](Self::encode) wrote.
    pub(crate) fn decode(id: StreamId, bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader(bytes);
        let ended = r.bool()?;
        let corrupt = r.option(|r| r.text().map(str::to_owned))?;
        let filed = {
            let count = r.count()?;
            (0..count).map(|_| filed_run(&mut r)).collect::<Result<_, _>>()?
        };
        let journal = {
            let count = r.count()?;
            (0..count).map(|_| journal_ref(&mut r)).collect::<Result<_, _>>()?
        };
        let state = match r.bool()? {
            true => codec::with_id(r.0, id).ok_or(Malformed("no state"))?.into(),
            false => r.0.into(),
        };
        Ok(Self { state: State::Cold(state), filed, journal, corrupt, ended })
    }
}

fn filed_run(r: &mut Reader<'_>) -> Result<(Cover, Run), Malformed> {
    let first = r.varint()?;
    let cover = Cover { first, last: first + r.varint()?, generation: r.varint()? };
    let first = r.varint()?;
    let (end, offset) = (first + r.varint()?, r.varint()?);
    Ok((cover, Run { first, end, offset, size: r.varint()? as u32, index: r.varint()? }))
}

fn journal_ref(r: &mut Reader<'_>) -> Result<JournalRef, Malformed> {
    let (segment, first) = (r.varint()?, r.varint()?);
    let (end, offset) = (first + r.varint()?, r.varint()?);
    Ok(JournalRef { first, end, segment, offset, length: r.varint()? as u32 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn what_is_known_of_a_stream_survives_its_sleep() {
        let id = StreamId::new(Uuid::from_u128(7));
        let cover = Cover { first: 3, last: 9, generation: 2 };
        let run = Run { first: 5, end: 1 << 40, offset: 32, size: u32::MAX, index: 1 << 33 };
        let record = JournalRef { first: 9, end: 10, segment: 4, offset: 1 << 35, length: 77 };
        let record = JournalRef { end: u64::MAX, ..record };
        for state in [&b"\x01\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x07rest"[..], b"", b"\xdaabc"] {
            let mut slot = Slot::cold(state);
            slot.filed = vec![(cover, run), (cover, run)];
            slot.journal = vec![record];
            for corrupt in [None, Some("bit rot".to_owned())] {
                slot.corrupt = corrupt;
                slot.ended = !slot.ended;
                let mut bytes = Vec::new();
                slot.encode(id, &mut bytes);
                assert_eq!(Slot::decode(id, &bytes), Ok(slot.clone()));
            }
        }
    }
}
