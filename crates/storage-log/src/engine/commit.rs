//! Commits: a batch of them is validated in order, written at once, and then folded in.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::{Record, StreamId, StreamState};
use streamkeeper_storage::{Completer, StorageError};

use super::slot::{JournalRef, Slot};
use super::stream::Stream;
use super::{Engine, Writing};
use crate::filed::{Cover, Run};
use crate::frame::{self, RecordFrame};
use crate::journal::{Journal, WriteError};

/// A commit that was accepted, and who is to be told its outcome.
pub(crate) struct Submission {
    pub(crate) entry: streamkeeper_storage::Entry,
    pub(crate) completer: Completer,
}

/// A commit that is valid after those before it in its batch.
struct Staged {
    frame: RecordFrame,
    name: StreamName,
    encoded: Vec<u8>,
    completer: Completer,
}

/// What a batch has made of a stream so far.
struct Pending {
    version: u64,
    tail: u64,
    /// Folded along only where it takes the whole state to see whether the stream ends.
    state: Option<StreamState>,
    ended: bool,
}

/// What a batch has made of everything so far.
#[derive(Default)]
struct Batch {
    staged: Vec<Staged>,
    streams: HashMap<StreamId, Pending>,
    /// Names that the batch takes or frees.
    names: HashMap<StreamName, Option<StreamId>>,
}

impl Engine {
    /// Writes a batch of commits durably, folds them in, and tells their outcomes.
    ///
    /// Returns the number of a journal segment that this has sealed, to be filed.
    pub(crate) fn commit(&self, submissions: Vec<Submission>) -> Option<u64> {
        let mut batch = Batch::default();
        let mut refused = Vec::new();
        for Submission { entry, completer } in submissions {
            match self.health().and_then(|()| self.stage(&mut batch, entry)) {
                Ok((frame, name)) => {
                    let encoded = frame::encode_record(&frame);
                    batch.staged.push(Staged { frame, name, encoded, completer });
                }
                Err(error) => refused.push((completer, error)),
            }
        }
        let sealed = self.write(batch.staged);
        // Told last, because what they were refused for had to become durable first.
        for (completer, error) in refused {
            completer.complete(Err(error));
        }
        sealed
    }

    fn write(&self, staged: Vec<Staged>) -> Option<u64> {
        if staged.is_empty() {
            return None;
        }
        let mut writing = self.journal.lock();
        let (segment, written) = match self.writing_to(&mut writing) {
            Ok(journal) => {
                let frames = staged.iter().map(|staged| &*staged.encoded);
                (journal.segment.number, journal.write(frames))
            }
            Err(error) => (0, Err(error)),
        };
        match written {
            Ok(offsets) => {
                for (staged, offset) in staged.into_iter().zip(offsets) {
                    self.apply(&staged, segment, offset);
                    staged.completer.complete(Ok(()));
                }
                self.seal_if_full(&mut writing)
            }
            Err(error) => {
                let error = match error {
                    WriteError::Full => StorageError::Full,
                    WriteError::Poisoned(error) => self.poison("writing the journal", &error),
                };
                for staged in staged {
                    staged.completer.complete(Err(error.clone()));
                }
                None
            }
        }
    }

    /// The segment to write to, which is begun if there was no space for it before.
    fn writing_to<'a>(&self, writing: &'a mut Writing) -> Result<&'a mut Journal, WriteError> {
        if let Writing::Nothing(number) = *writing {
            let ahead = self.options.ahead();
            let begun = Journal::begin(&*self.env, &self.journal_dir, number, ahead);
            let Some(next) = begun.map_err(WriteError::Poisoned)? else {
                return Err(WriteError::Full);
            };
            self.segments.write().insert(number, next.segment.clone());
            *writing = Writing::To(next);
        }
        match writing {
            Writing::To(journal) => Ok(journal),
            Writing::Nothing(_) => Err(WriteError::Full),
        }
    }

    /// Seals the segment that is written, however small it is; returns its number.
    #[cfg(test)]
    pub(crate) fn seal(&self) -> Option<u64> {
        let mut writing = self.journal.lock();
        self.writing_to(&mut writing).ok()?;
        self.begin_segment(&mut writing)
    }

    /// Gives the space back that is prepared for commits. There should be none any more.
    pub(crate) fn trim(&self) {
        let mut writing = self.journal.lock();
        if let (Writing::To(journal), Ok(())) = (&mut *writing, self.health())
            && let Err(error) = journal.trim()
        {
            self.poison("trimming the journal", &error);
        }
    }

    fn seal_if_full(&self, writing: &mut Writing) -> Option<u64> {
        match writing {
            Writing::To(journal) if journal.end() >= self.options.segment_bytes => {
                self.begin_segment(writing)
            }
            _ => None,
        }
    }

    fn begin_segment(&self, writing: &mut Writing) -> Option<u64> {
        let Writing::To(journal) = writing else { return None };
        let sealed = journal.segment.number;
        // First, because once there is a next one all of this one counts.
        if let Err(error) = journal.trim() {
            self.poison("sealing a segment", &error);
            return None;
        }
        let ahead = self.options.ahead();
        match Journal::begin(&*self.env, &self.journal_dir, sealed + 1, ahead) {
            Ok(Some(next)) => {
                self.segments.write().insert(sealed + 1, next.segment.clone());
                *journal = next;
                Some(sealed)
            }
            // The old segment takes more until there is space.
            Ok(None) => None,
            Err(error) => {
                self.poison("beginning a segment", &error);
                None
            }
        }
    }

    /// Validates a commit against what is durable and what its batch has before it.
    fn stage(
        &self,
        batch: &mut Batch,
        entry: streamkeeper_storage::Entry,
    ) -> Result<(RecordFrame, StreamName), StorageError> {
        let streamkeeper_storage::Entry { name, id, follows, record } = entry;
        let position = match &record {
            Record::Created { origin, .. } => {
                self.stage_creation(batch, &name, id, follows)?;
                origin.as_ref().map_or(0, |origin| origin.point())
            }
            _ => self.pending(batch, id, follows)?.tail,
        };
        if let Some(pending) = batch.streams.get_mut(&id) {
            pending.version = follows + 1;
            pending.tail = position + record.batch().map_or(0, |batch| batch.size());
        }
        self.stage_end(batch, id, &name, &record)?;
        let created = matches!(record, Record::Created { .. });
        let named = created.then(|| name.clone());
        Ok((RecordFrame { id, follows, position, name: named, record }, name))
    }

    fn stage_creation(
        &self,
        batch: &mut Batch,
        name: &StreamName,
        id: StreamId,
        follows: u64,
    ) -> Result<(), StorageError> {
        let taken = match batch.names.get(name) {
            Some(by) => by.is_some(),
            None => self.index.find(name).is_some(),
        };
        if taken || follows != 0 || self.index.get(id).is_some() {
            return Err(StorageError::Conflict);
        }
        batch.names.insert(name.clone(), Some(id));
        batch.streams.insert(id, Pending { version: 0, tail: 0, state: None, ended: false });
        Ok(())
    }

    fn pending<'a>(
        &self,
        batch: &'a mut Batch,
        id: StreamId,
        follows: u64,
    ) -> Result<&'a mut Pending, StorageError> {
        let pending = match batch.streams.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(vacant) => {
                let stream = self.index.get(id).ok_or(StorageError::NotFound)?;
                let known = |state: &mut StreamState| (state.version, state.tail);
                let (version, tail) = self.index.wake(&stream, |slot| slot.state().map(known))?;
                vacant.insert(Pending { version, tail, state: None, ended: false })
            }
        };
        if pending.ended {
            return Err(StorageError::NotFound);
        }
        if pending.version != follows {
            return Err(StorageError::Conflict);
        }
        Ok(pending)
    }

    /// Sees whether a record ends its stream, so that its name is free for the rest of the batch.
    fn stage_end(
        &self,
        batch: &mut Batch,
        id: StreamId,
        name: &StreamName,
        record: &Record,
    ) -> Result<(), StorageError> {
        let may_end = matches!(
            record,
            Record::Deleted
                | Record::SoftDeleted
                | Record::ForkAdded { .. }
                | Record::ForkReleased { .. }
        );
        let known = batch.streams.get(&id).is_some_and(|pending| pending.state.is_some());
        if !may_end && !known {
            return Ok(());
        }
        let mut state = match batch.streams.get_mut(&id).and_then(|pending| pending.state.take()) {
            Some(state) => Some(state),
            None => self.state_so_far(batch, id)?,
        };
        StreamState::fold(&mut state, record);
        if let Some(pending) = batch.streams.get_mut(&id) {
            pending.ended = state.is_none();
            pending.state = state;
            if pending.ended {
                batch.names.insert(name.clone(), None);
            }
        }
        Ok(())
    }

    /// The durable state of a stream with what the batch has for it folded in.
    fn state_so_far(
        &self,
        batch: &Batch,
        id: StreamId,
    ) -> Result<Option<StreamState>, StorageError> {
        let mut state = match self.index.get(id) {
            Some(stream) => Some(stream.look(|slot| slot.state().cloned())?),
            None => None,
        };
        for staged in batch.staged.iter().filter(|staged| staged.frame.id == id) {
            StreamState::fold(&mut state, &staged.frame.record);
        }
        Ok(state)
    }

    /// Folds a durable record in.
    fn apply(&self, staged: &Staged, segment: u64, offset: u64) {
        let length = staged.encoded.len() as u32;
        self.fold(&staged.frame, &staged.name, segment, offset, length);
    }

    /// Folds a durable record in, which is at a place in the journal.
    pub(super) fn fold(
        &self,
        frame: &RecordFrame,
        name: &StreamName,
        segment: u64,
        offset: u64,
        length: u32,
    ) {
        let reference = reference(frame, segment, offset, length);
        if matches!(frame.record, Record::Created { .. }) {
            let mut state = None;
            StreamState::fold(&mut state, &frame.record);
            let Some(state) = state else { return };
            let mut slot = Slot::new(state);
            slot.journal.extend(reference);
            self.index.insert(Stream::new(frame.id, name.clone(), &slot));
            return;
        }
        let Some(stream) = self.index.get(frame.id) else { return };
        // The tables are never locked under a stream's lock.
        let (ended, dead) = self.index.wake(&stream, |slot| {
            if !slot.fold(&frame.record) {
                slot.ended = true;
                return (true, std::mem::take(&mut slot.filed));
            }
            slot.journal.extend(reference);
            (false, slot.drop_unkept(&frame.record))
        });
        match ended {
            true => self.forget(&stream, &dead),
            false => self.count_dead(&dead),
        }
    }
}

impl Slot {
    /// Drops what nobody needs any more after a record; returns the runs.
    pub(super) fn drop_unkept(&mut self, record: &Record) -> Vec<(Cover, Run)> {
        match record {
            Record::Truncated { .. } | Record::ForkReleased { .. } => {
                let kept = self.kept();
                self.truncate_before(kept)
            }
            _ => Vec::new(),
        }
    }
}

/// Where the messages of a record are, if it has any.
pub(super) fn reference(
    frame: &RecordFrame,
    segment: u64,
    offset: u64,
    length: u32,
) -> Option<JournalRef> {
    let size = frame.record.batch()?.size();
    let (first, end) = (frame.position, frame.position + size);
    Some(JournalRef { first, end, segment, offset, length })
}

impl Slot {
    /// Folds a record in; `false` if the stream has ended.
    fn fold(&mut self, record: &Record) -> bool {
        let Ok(state) = self.state() else { return true };
        if state.ends_with(record) {
            return false;
        }
        state.apply(record);
        true
    }
}
