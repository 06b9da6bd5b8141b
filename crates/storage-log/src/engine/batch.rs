//! A batch of commits: each is validated against what is durable and what the batch has before it.

use std::collections::HashMap;
use std::sync::Arc;

use hashbrown::HashTable;
use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::{Record, StreamId, StreamState};
use streamkeeper_storage::{Completer, Entry, StorageError};

use super::Engine;
use super::index::hash;
use super::stream::Stream;
use crate::frame::RecordFrame;
use crate::journal::Frames;

/// A commit that was accepted, and who is to be told its outcome.
pub(crate) struct Submission {
    pub(crate) entry: Entry,
    pub(crate) completer: Completer,
}

/// A commit that is valid after those before it in its batch.
pub(super) struct Staged {
    pub(super) frame: RecordFrame,
    /// Which of the batch's streams it is of.
    pub(super) stream: usize,
}

/// What a batch has made of a stream so far.
pub(super) struct Pending {
    id: StreamId,
    /// `None` until its creation is applied, if the batch creates it.
    pub(super) stream: Option<Arc<Stream>>,
    version: u64,
    tail: u64,
    /// Folded along only where it takes the whole state to see whether the stream ends.
    state: Option<StreamState>,
    ended: bool,
}

/// Commits that are written together. It is used again and again, so that a commit allocates little.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) staged: Vec<Staged>,
    /// What they are written as.
    pub(super) frames: Frames,
    /// Whom to tell of them.
    pub(super) completers: Vec<Completer>,
    /// Commits that are not valid.
    pub(super) refused: Vec<(Completer, StorageError)>,
    pub(super) streams: Vec<Pending>,
    /// Where in `streams` each is.
    by_id: HashTable<usize>,
    /// Names that the batch takes or frees.
    names: HashMap<StreamName, Option<StreamId>>,
}

impl Batch {
    pub(super) fn clear(&mut self) {
        self.staged.clear();
        self.frames.clear();
        self.completers.clear();
        self.refused.clear();
        self.streams.clear();
        self.by_id.clear();
        self.names.clear();
    }

    fn find(&self, id: StreamId) -> Option<usize> {
        self.by_id.find(hash(id), |at| self.streams[*at].id == id).copied()
    }

    /// Adds a stream that the batch does not have, or an earlier life of which has ended in it.
    fn add(&mut self, pending: Pending) -> usize {
        let (streams, hash_of) = (&self.streams, hash(pending.id));
        let at = streams.len();
        match self.by_id.find_mut(hash_of, |at| streams[*at].id == pending.id) {
            Some(known) => *known = at,
            None => drop(self.by_id.insert_unique(hash_of, at, |at| hash(streams[*at].id))),
        }
        self.streams.push(pending);
        at
    }
}

impl Engine {
    /// Adds a commit to a batch if it is valid there; else it is to be refused.
    pub(super) fn stage(&self, batch: &mut Batch, Submission { entry, completer }: Submission) {
        match self.accept(batch, entry) {
            Ok(staged) => {
                batch.frames.push(&staged.frame);
                batch.staged.push(staged);
                batch.completers.push(completer);
            }
            Err(error) => batch.refused.push((completer, error)),
        }
    }

    fn accept(&self, batch: &mut Batch, entry: Entry) -> Result<Staged, StorageError> {
        let Entry { name, id, follows, record } = entry;
        let (stream, created) = match &record {
            Record::Created { origin, .. } => {
                let begin = origin.as_ref().map_or(0, |origin| origin.point());
                (self.stage_creation(batch, &name, id, follows, begin)?, true)
            }
            _ => (self.find_pending(batch, id, follows)?, false),
        };
        let pending = &mut batch.streams[stream];
        let position = pending.tail;
        pending.version = follows + 1;
        pending.tail += record.batch().map_or(0, |batch| batch.size());
        stage_end(batch, stream, &name, &record)?;
        let name = created.then_some(name);
        Ok(Staged { frame: RecordFrame { id, follows, position, name, record }, stream })
    }

    fn stage_creation(
        &self,
        batch: &mut Batch,
        name: &StreamName,
        id: StreamId,
        follows: u64,
        begin: u64,
    ) -> Result<usize, StorageError> {
        let taken = match batch.names.get(name) {
            Some(by) => by.is_some(),
            None => self.index.find(name).is_some(),
        };
        let lives = batch.find(id).is_some_and(|at| !batch.streams[at].ended);
        if taken || follows != 0 || lives || self.index.get(id).is_some() {
            return Err(StorageError::Conflict);
        }
        batch.names.insert(name.clone(), Some(id));
        let (stream, state) = (None, None);
        Ok(batch.add(Pending { id, stream, version: 0, tail: begin, state, ended: false }))
    }

    /// The stream that a commit is of, if it is as the commit takes it to be.
    fn find_pending(
        &self,
        batch: &mut Batch,
        id: StreamId,
        follows: u64,
    ) -> Result<usize, StorageError> {
        let at = match batch.find(id) {
            Some(at) => at,
            None => {
                let stream = self.index.get(id).ok_or(StorageError::NotFound)?;
                let known = |state: &mut StreamState| (state.version, state.tail);
                let (version, tail) = self.index.wake(&stream, |slot| slot.state().map(known))?;
                let stream = Some(stream);
                batch.add(Pending { id, stream, version, tail, state: None, ended: false })
            }
        };
        let pending = &batch.streams[at];
        if pending.ended {
            return Err(StorageError::NotFound);
        }
        if pending.version != follows {
            return Err(StorageError::Conflict);
        }
        Ok(at)
    }
}

/// Sees whether a record ends its stream, so that its name is free for the rest of the batch.
fn stage_end(
    batch: &mut Batch,
    stream: usize,
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
    if !may_end && batch.streams[stream].state.is_none() {
        return Ok(());
    }
    let mut state = match batch.streams[stream].state.take() {
        Some(state) => Some(state),
        None => state_so_far(batch, stream)?,
    };
    StreamState::fold(&mut state, record);
    let pending = &mut batch.streams[stream];
    pending.ended = state.is_none();
    pending.state = state;
    if pending.ended {
        batch.names.insert(name.clone(), None);
    }
    Ok(())
}

/// The durable state of a stream with what the batch has for it folded in.
fn state_so_far(batch: &Batch, stream: usize) -> Result<Option<StreamState>, StorageError> {
    let mut state = match &batch.streams[stream].stream {
        Some(known) => Some(known.look(|slot| slot.state().cloned())?),
        None => None,
    };
    for staged in batch.staged.iter().filter(|staged| staged.stream == stream) {
        StreamState::fold(&mut state, &staged.frame.record);
    }
    Ok(state)
}
