//! Commits: a batch of them is validated in order, written at once, and then folded in.

use std::sync::Arc;

use streamkeeper_protocol::stream::Record;
use streamkeeper_storage::StorageError;

use super::batch::{Batch, Submission};
use super::slot::{JournalRef, Slot};
use super::stream::Stream;
use super::{Engine, Writing};
use crate::filed::{Cover, Run};
use crate::frame::RecordFrame;
use crate::journal::{Journal, WriteError};

impl Engine {
    /// Writes a batch of commits durably, folds them in, and tells their outcomes.
    ///
    /// Returns the number of a journal segment that this has sealed, to be filed.
    pub(crate) fn commit(&self, submissions: &mut Vec<Submission>) -> Option<u64> {
        // Taken away, so that a panic drops the completers, and with that fails the commits.
        let mut batch = std::mem::take(&mut *self.batch.lock());
        match self.health() {
            Ok(()) => submissions.drain(..).for_each(|commit| self.stage(&mut batch, commit)),
            Err(error) => {
                let refuse = |commit: Submission| (commit.completer, error.clone());
                batch.refused.extend(submissions.drain(..).map(refuse));
            }
        }
        let sealed = if batch.staged.is_empty() { None } else { self.write(&mut batch) };
        // Told last, because what they were refused for had to become durable first.
        for (completer, error) in batch.refused.drain(..) {
            completer.complete(Err(error));
        }
        batch.clear();
        *self.batch.lock() = batch;
        sealed
    }

    fn write(&self, batch: &mut Batch) -> Option<u64> {
        let mut writing = self.journal.lock();
        let written = self.writing_to(&mut writing).and_then(|journal| {
            let offset = journal.write(&mut batch.frames)?;
            Ok((journal.segment.number, offset))
        });
        let outcome = match written {
            Ok((segment, offset)) => {
                self.apply_all(batch, segment, offset);
                Ok(())
            }
            Err(WriteError::Full) => Err(StorageError::Full),
            Err(WriteError::Poisoned(error)) => Err(self.poison("writing the journal", &error)),
        };
        for completer in batch.completers.drain(..) {
            completer.complete(outcome.clone());
        }
        outcome.ok().and_then(|()| self.seal_if_full(&mut writing))
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

    /// Folds in the records of a batch, which are durable at an offset of a segment.
    fn apply_all(&self, batch: &mut Batch, segment: u64, offset: u64) {
        for (index, staged) in batch.staged.iter().enumerate() {
            let (offset, length) = batch.frames.place(index, offset);
            let reference = reference(&staged.frame, segment, offset, length);
            self.apply(&staged.frame, reference, &mut batch.streams[staged.stream].stream);
        }
    }

    /// Folds in a record of a stream, which is none before its creation.
    fn apply(
        &self,
        frame: &RecordFrame,
        reference: Option<JournalRef>,
        stream: &mut Option<Arc<Stream>>,
    ) {
        if let (Record::Created { .. }, Some(name)) = (&frame.record, &frame.name) {
            let Some(mut slot) = Slot::created(&frame.record) else { return };
            slot.journal.extend(reference);
            let created = Stream::new(frame.id, name.clone(), &slot);
            self.index.insert(created.clone());
            *stream = Some(created);
            return;
        }
        let Some(stream) = stream else { return };
        // The tables are never locked under a stream's lock.
        let (ended, dead) = self.index.wake(stream, |slot| {
            if !slot.fold(&frame.record) {
                slot.ended = true;
                return (true, std::mem::take(&mut slot.filed));
            }
            slot.journal.extend(reference);
            (false, slot.drop_unkept(&frame.record))
        });
        if ended {
            self.forget(stream, &dead);
        } else if !dead.is_empty() {
            self.count_dead(&dead);
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
