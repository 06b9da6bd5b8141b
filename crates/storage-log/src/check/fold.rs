//! The streams of a log, folded from footers and journal records as opening does it, but with an eye
//! for what is missing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::{Record, StreamId, StreamState};

use super::mark;
use super::report::Finding;
use crate::filed::{Cover, FooterEntry, Run};
use crate::frame::RecordFrame;
use crate::journal::Scan;

/// Where consecutive messages of a stream are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// In a filed segment.
    Filed(Cover, Run),
    /// In a frame of a journal segment.
    Journal { number: u64, offset: u64, length: u32, first: u64, end: u64, count: u64 },
}

impl Place {
    /// The positions of the first message and after the last.
    pub(crate) fn span(&self) -> (u64, u64) {
        match self {
            Self::Filed(_, run) => (run.first, run.end),
            Self::Journal { first, end, .. } => (*first, *end),
        }
    }

    /// How many bytes of filed segments it takes.
    pub(crate) fn filed_bytes(&self) -> u64 {
        match self {
            Self::Filed(_, run) => u64::from(run.size),
            Self::Journal { .. } => 0,
        }
    }

    /// How many messages of the journal it has.
    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Filed(..) => 0,
            Self::Journal { count, .. } => *count,
        }
    }
}

/// What is known of a stream that lives.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    pub(crate) name: Option<StreamName>,
    /// The state, up to the first record that is missing; `None` if it is unreadable.
    pub(crate) state: Option<StreamState>,
    pub(crate) places: Vec<Place>,
    /// Why an earlier repair has marked it.
    pub(crate) marked: Option<String>,
    /// What it has lost.
    pub(crate) lost: Option<String>,
    /// A damaged frame that names it, as long as no later record shows that nothing is missing.
    suspect: Option<String>,
}

impl Stream {
    /// Its name, or else its id.
    pub(crate) fn label(&self, id: StreamId) -> String {
        self.name.as_ref().map_or_else(|| id.to_string(), |name| name.to_string())
    }

    pub(crate) fn lose(&mut self, what: String) {
        self.lost.get_or_insert(what);
    }
}

/// All streams, as far as they are known.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    pub(crate) streams: BTreeMap<StreamId, Stream>,
    names: HashMap<StreamName, StreamId>,
    /// Where the first record of a stream is that nothing else tells of, and whether the last of them
    /// may have ended it.
    orphans: BTreeMap<StreamId, ((PathBuf, u64, u64), bool)>,
    /// Streams of whom the last is known.
    pub(crate) ended: BTreeSet<StreamId>,
    /// Streams that the journal tells of.
    pub(crate) journaled: BTreeSet<StreamId>,
    /// Journal segments with records that could not be folded in.
    pub(crate) unfolded: BTreeSet<u64>,
    pub(crate) findings: Vec<Finding>,
}

impl Fold {
    /// Folds in what a filed segment tells. The oldest segment comes first.
    pub(crate) fn footer(&mut self, cover: Cover, file: &Path, entries: Vec<FooterEntry>) {
        for entry in entries.iter().filter(|entry| entry.live.is_none()) {
            self.end(entry.id);
        }
        for FooterEntry { id, live } in entries {
            let Some((name, bytes, runs)) = live else { continue };
            // A segment that was merged later may know of an end that a newer one does not.
            if self.ended.contains(&id) {
                continue;
            }
            self.take_name(&name, id);
            let stream = self.streams.entry(id).or_default();
            (stream.state, stream.marked) = match mark::decode(&bytes) {
                Ok(stored) => (Some(stored.state), stored.marked),
                Err(error) => {
                    let what = format!("its state is unreadable: {error}");
                    stream.lose(what.clone());
                    let finding = Finding { file: Some(file.to_path_buf()), ..Finding::default() };
                    self.findings
                        .push(Finding { what, ..finding.with_stream(Some(name.to_string())) });
                    (None, None)
                }
            };
            stream.name = Some(name);
            stream.places.extend(runs.into_iter().map(|run| Place::Filed(cover, run)));
        }
    }

    /// Folds in a journal segment. The oldest segment comes first.
    pub(crate) fn journal(&mut self, number: u64, file: &Path, scan: Scan) {
        let mut damaged = scan.corrupt.into_iter().peekable();
        for (offset, length, frame) in scan.records {
            while let Some(frame) = damaged.next_if(|frame| frame.offset < offset) {
                self.damaged(file, frame.offset, frame.id);
            }
            self.journaled.insert(frame.id);
            self.record(file, (number, offset, length), &frame);
        }
        for frame in damaged {
            self.damaged(file, frame.offset, frame.id);
        }
    }

    fn damaged(&mut self, file: &Path, offset: u64, id: Option<StreamId>) {
        let known = id.and_then(|id| self.streams.get_mut(&id).map(|stream| (id, stream)));
        let finding = Finding::of_file(file.to_path_buf(), offset, "");
        self.findings.push(match known {
            Some((id, stream)) => {
                let what = format!("{}, byte {offset}: a record is damaged", file.display());
                stream.suspect.get_or_insert(what);
                let label = stream.label(id);
                Finding { what: "a record is damaged".into(), ..finding.with_stream(Some(label)) }
            }
            None => {
                let what = "a frame is damaged; which streams had records in it is not known, \
                    unless more of them are missed below";
                Finding { what: what.into(), ..finding }
            }
        });
    }

    fn record(
        &mut self,
        file: &Path,
        (number, offset, length): (u64, u64, u32),
        frame: &RecordFrame,
    ) {
        let id = frame.id;
        if self.ended.contains(&id) {
            return;
        }
        if matches!(frame.record, Record::Deleted) {
            return self.end(id);
        }
        let place = frame.record.batch().map(|batch| {
            let (first, end) = (frame.position, frame.position + batch.size());
            Place::Journal { number, offset, length, first, end, count: batch.count() }
        });
        let Some(stream) = self.streams.get_mut(&id) else {
            return match (&frame.record, &frame.name) {
                (Record::Created { .. }, Some(name)) => {
                    self.take_name(name, id);
                    let mut state = None;
                    StreamState::fold(&mut state, &frame.record);
                    let places = place.into_iter().collect();
                    let name = Some(name.clone());
                    self.streams.insert(id, Stream { name, state, places, ..Stream::default() });
                }
                (record, _) => {
                    let place = (file.to_path_buf(), number, offset);
                    self.orphans.entry(id).or_insert((place, false)).1 = may_end(record);
                }
            };
        };
        let Some(state) = stream.state.as_mut().filter(|_| stream.lost.is_none()) else {
            self.unfolded.insert(number);
            return;
        };
        // A filed state may know of the record already.
        if state.version > frame.follows {
            let known = stream
                .places
                .iter()
                .any(|place| matches!(place, Place::Filed(_, run) if run.end > frame.position));
            stream.places.extend(place.filter(|_| !known));
            return;
        }
        if state.version < frame.follows {
            let what = format!("records {} to {} are missing", state.version, frame.follows - 1);
            stream.lose(what.clone());
            self.unfolded.insert(number);
            let finding = Finding::of_file(file.to_path_buf(), offset, what);
            self.findings.push(finding.with_stream(Some(stream.label(id))));
            return;
        }
        stream.suspect = None;
        if state.ends_with(&frame.record) {
            return self.end(id);
        }
        state.apply(&frame.record);
        stream.places.extend(place);
        if matches!(frame.record, Record::Truncated { .. } | Record::ForkReleased { .. }) {
            let kept = state.kept();
            stream.places.retain(|place| place.span().1 > kept);
        }
    }

    /// What nothing has cleared is lost. Records without a creation are damage, unless their stream
    /// has ended with them: then nothing older need tell of it any more.
    pub(crate) fn finish(&mut self) {
        for (id, ((file, number, offset), ended)) in std::mem::take(&mut self.orphans) {
            if ended || self.ended.contains(&id) {
                continue;
            }
            let what = "its creation is unreadable, so nothing of it can be kept";
            self.unfolded.insert(number);
            let finding = Finding::of_file(file, offset, what);
            self.findings.push(finding.with_stream(Some(id.to_string())));
        }
        for stream in self.streams.values_mut() {
            if let Some(suspect) = stream.suspect.take() {
                stream.lose(suspect);
            }
        }
    }

    fn end(&mut self, id: StreamId) {
        self.ended.insert(id);
        let stream = self.streams.remove(&id);
        if let Some(name) = stream.and_then(|stream| stream.name)
            && self.names.get(&name) == Some(&id)
        {
            self.names.remove(&name);
        }
    }

    /// Gives a name to a stream. Whoever had it must have ended, although that record is lost.
    fn take_name(&mut self, name: &StreamName, id: StreamId) {
        let before = self.names.insert(name.clone(), id).filter(|before| *before != id);
        if let Some(before) = before {
            let what = format!("its earlier life {before} has ended, but that record is lost");
            self.findings.push(Finding::of_stream(name.to_string(), what));
            self.end(before);
            self.names.insert(name.clone(), id);
        }
    }
}

fn may_end(record: &Record) -> bool {
    matches!(record, Record::Deleted | Record::SoftDeleted | Record::ForkReleased { .. })
}
