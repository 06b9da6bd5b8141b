//! Opening: filed segments tell of the past, the journal of what came since.
//!
//! Opening changes only what a crash has left half done, and may itself be cut short at any point. The
//! steps are listed in the crate's documentation.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::{Mutex, RwLock};
use streamkeeper_protocol::stream::{Record, StreamId, StreamState};
use streamkeeper_storage::StorageError;

use super::commit::reference;
use super::footers::{self, Told};
use super::index::Index;
use super::pace::Pace;
use super::slot::{JournalRef, Slot};
use super::stream::Stream;
use super::{Engine, Filed, LogOptions, Runs, Writing};
use crate::OpenError;
use crate::env::Env;
use crate::filed::{BlockCache, Cover, FiledReader, Run};
use crate::frame::RecordFrame;
use crate::journal::{self, Journal, Opened, Scan};

/// The file whose lock says that the directory is in use.
pub(crate) const LOCK: &str = "LOCK";
/// The file that says which format the directory has.
pub(crate) const FORMAT: &str = "FORMAT";
const FORMAT_TEXT: &[u8] = b"streamkeeper-log 1\n";

/// What opening found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// How many streams there are.
    pub streams: usize,
    /// How many records of the journal were replayed.
    pub replayed: usize,
    /// How many bytes of a torn batch were cut off.
    pub torn_bytes: u64,
    /// What was durable and is unreadable, in words.
    pub damage: Vec<String>,
}

impl Engine {
    /// Opens the log in a directory, which is created if need be.
    pub(crate) fn open(
        env: Arc<dyn Env>,
        dir: &Path,
        options: LogOptions,
    ) -> Result<(Self, OpenReport), OpenError> {
        let (journal_dir, filed_dir) = (dir.join("journal"), dir.join("filed"));
        env.create_dir_all(&journal_dir)?;
        env.create_dir_all(&filed_dir)?;
        let lock = env.lock(&dir.join(LOCK)).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => OpenError::InUse,
            _ => OpenError::Io(error),
        })?;
        check_format(&*env, dir)?;
        let mut recovery = Recovery::default();
        // What is there may be there only in memory, if a process was killed; removals build on it.
        env.sync_dir(&filed_dir)?;
        env.sync_dir(&journal_dir)?;
        let mut filed = open_filed(&*env, &filed_dir)?;
        let index = Index::new(options.max_awake_streams);
        footers::read(&mut filed, |told| recovery.footer(&index, told))?;
        let filed_to = filed.keys().map(|cover| cover.last).max();
        let mut numbers = journal::list(&*env, &journal_dir)?;
        let last_number = numbers.last().copied().max(filed_to);
        let superfluous = numbers.iter().filter(|number| Some(**number) <= filed_to);
        let removed = superfluous.clone().count();
        for number in superfluous {
            env.remove(&journal::path(&journal_dir, *number))?;
        }
        numbers.drain(..removed);
        let mut segments = BTreeMap::new();
        let mut damaged = None;
        for (at, number) in numbers.iter().enumerate() {
            let sealed = at + 1 < numbers.len();
            let segment = match journal::open(&*env, &journal_dir, *number)? {
                Opened::Segment(segment) => segment,
                Opened::Unfinished if !sealed => {
                    env.remove(&journal::path(&journal_dir, *number))?;
                    env.sync_dir(&journal_dir)?;
                    continue;
                }
                Opened::Unfinished | Opened::Damaged => {
                    recovery.damage(format!("journal segment {number:x}: its header is damaged"));
                    damaged.get_or_insert(*number);
                    continue;
                }
            };
            let scan = journal::scan(&segment, sealed)?;
            if !sealed {
                cut(&segment, &scan)?;
                make_durable(&segment, &scan)?;
            }
            recovery.torn_bytes += scan.torn;
            recovery.replay(&index, *number, scan);
            segments.insert(*number, segment);
        }
        recovery.finish(&index);
        let number = last_number.map_or(0, |last| last + 1);
        let writing = match Journal::begin(&*env, &journal_dir, number, options.ahead())? {
            Some(journal) => {
                segments.insert(number, journal.segment.clone());
                Writing::To(journal)
            }
            None => {
                tracing::warn!("there is no space to write; reads are served");
                Writing::Nothing(number)
            }
        };
        let report = OpenReport {
            streams: index.len(),
            replayed: recovery.replayed,
            torn_bytes: recovery.torn_bytes,
            damage: recovery.report,
        };
        let engine = Self {
            env,
            options,
            journal_dir,
            filed_dir,
            index,
            segments: RwLock::new(segments),
            damaged,
            filed: RwLock::new(filed),
            cache: BlockCache::new(options.cache_bytes),
            journal: Mutex::new(writing),
            batch: Mutex::default(),
            poisoned: RwLock::new(None),
            pace: Pace::default(),
            merging_is_over: AtomicBool::new(false),
            _lock: lock,
        };
        engine.count_dead(&recovery.dead);
        Ok((engine, report))
    }

    /// The sealed journal segments, which wait to be filed, oldest first.
    pub(crate) fn sealed(&self) -> Vec<u64> {
        let written = self.journal.lock().number();
        self.segments.read().keys().copied().filter(|number| *number < written).collect()
    }
}

pub(crate) fn check_format(env: &dyn Env, dir: &Path) -> Result<(), OpenError> {
    let path = dir.join(FORMAT);
    if !env.list(dir)?.iter().any(|name| name == FORMAT) {
        let temporary = dir.join("FORMAT.tmp");
        if env.list(dir)?.iter().any(|name| name == "FORMAT.tmp") {
            env.remove(&temporary)?;
        }
        let file = env.create(&temporary)?;
        journal::write_all(&*file, FORMAT_TEXT, 0)?;
        file.sync()?;
        env.rename(&temporary, &path)?;
        env.sync_dir(dir)?;
        return Ok(());
    }
    let file = env.open(&path)?;
    let mut text = vec![0; 64];
    let length = journal::read_full(&*file, &mut text, 0)?;
    text.truncate(length);
    match text == FORMAT_TEXT {
        true => Ok(()),
        false => Err(OpenError::Format(String::from_utf8_lossy(&text).trim().to_owned())),
    }
}

fn open_filed(env: &dyn Env, dir: &Path) -> Result<BTreeMap<Cover, Filed>, OpenError> {
    let names = env.list(dir)?;
    for unfinished in names.iter().filter(|name| name.ends_with(".tmp")) {
        env.remove(&dir.join(unfinished))?;
    }
    let covers: Vec<Cover> = names.iter().filter_map(|name| Cover::parse(name)).collect();
    let mut filed = BTreeMap::new();
    for cover in &covers {
        if covers.iter().any(|other| other.supersedes(cover)) {
            env.remove(&cover.path(dir))?;
            continue;
        }
        let file = env.open(&cover.path(dir))?;
        let size = file.len()?;
        let reader = FiledReader { cover: *cover, file };
        // Its runs are counted when its footer is read.
        filed.insert(*cover, Filed::new(reader, size, Runs::default()));
    }
    Ok(filed)
}

/// Cuts off a torn batch, and the zeros that were written ahead. Durable with [`make_durable`].
fn cut(segment: &journal::Segment, scan: &Scan) -> io::Result<()> {
    if scan.torn > 0 {
        let (number, kept, cut) = (segment.number, scan.end, scan.torn);
        tracing::warn!(segment = number, kept, cut, "cut a torn batch off the journal");
    }
    if scan.end < scan.length { segment.file.set_len(scan.end) } else { Ok(()) }
}

/// Makes what is about to be replayed durable: a process that was killed may have left its last batch in
/// memory only. It is written anew, because after a sync that failed another one proves nothing.
fn make_durable(segment: &journal::Segment, scan: &Scan) -> io::Result<()> {
    let length = usize::try_from(scan.end - scan.unproven).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    let read = journal::read_full(&*segment.file, &mut bytes, scan.unproven)?;
    journal::write_all(&*segment.file, &bytes[..read], scan.unproven)?;
    segment.file.sync()
}

/// What recovery has learnt so far.
#[derive(Default)]
struct Recovery {
    /// Streams that are known to have ended, of whom earlier records may still tell.
    ended: HashSet<StreamId>,
    /// Streams in the order in which they took their names.
    named: Vec<Arc<Stream>>,
    /// Runs of filed segments that nobody needs.
    dead: Vec<(Cover, Run)>,
    /// Records of streams that nothing else tells of, and whether they may have ended with them.
    orphans: HashMap<StreamId, (String, bool)>,
    replayed: usize,
    torn_bytes: u64,
    report: Vec<String>,
}

impl Recovery {
    fn footer(&mut self, index: &Index, told: Vec<Told>) {
        for told in told {
            let stream = match told {
                Told::Ended(id) => {
                    self.end(index, id);
                    continue;
                }
                Told::Lives(stream) => stream,
            };
            // A segment that was merged later may know of an end that a newer one does not.
            if self.ended.contains(&stream.id) {
                stream.look(|slot| self.dead.append(&mut slot.filed));
                continue;
            }
            match index.get(stream.id) {
                Some(known) => {
                    let newer = stream.look(|slot| slot.clone());
                    self.dead.extend(known.edit(|slot| slot.learn(newer)));
                }
                None => self.begin(index, stream),
            }
        }
    }

    fn begin(&mut self, index: &Index, stream: Arc<Stream>) {
        self.named.push(stream.clone());
        index.insert_unnamed(stream);
    }

    fn end(&mut self, index: &Index, id: StreamId) {
        self.ended.insert(id);
        if let Some(stream) = index.get(id) {
            index.remove(&stream);
            stream.look(|slot| self.dead.append(&mut slot.filed));
        }
    }

    fn replay(&mut self, index: &Index, number: u64, scan: Scan) {
        for (offset, length, frame) in scan.records {
            self.record(index, number, offset, length, &frame);
            self.replayed += 1;
        }
        for frame in scan.corrupt {
            let place = format!("journal segment {number:x}, byte {}", frame.offset);
            self.damage(format!("{place}: a record that was durable is unreadable"));
            if let Some(stream) = frame.id.and_then(|id| index.get(id)) {
                stream.edit(|slot| {
                    slot.corrupt.get_or_insert(format!("{place} is damaged"));
                });
            }
        }
    }

    /// Reports the records of streams whose creation is unreadable. Streams that have ended leave such
    /// too: when nothing older tells of them any more.
    fn finish(&mut self, index: &Index) {
        let orphans = std::mem::take(&mut self.orphans);
        for (id, (place, _)) in orphans.into_iter().filter(|(_, (_, ended))| !ended) {
            self.damage(format!("{place}: a record of stream {id} whose creation is unreadable"));
        }
        index.sleep();
        index.name_all(std::mem::take(&mut self.named));
    }

    fn record(
        &mut self,
        index: &Index,
        number: u64,
        offset: u64,
        length: u32,
        frame: &RecordFrame,
    ) {
        if self.ended.contains(&frame.id) {
            return;
        }
        let reference = reference(frame, number, offset, length);
        let Some(stream) = index.get(frame.id) else {
            match (&frame.record, &frame.name) {
                (Record::Created { .. }, Some(name)) => {
                    let Some(mut slot) = Slot::created(&frame.record) else { return };
                    slot.journal.extend(reference);
                    self.begin(index, Stream::new(frame.id, name.clone(), &slot));
                }
                (record, _) => {
                    let place = format!("journal segment {number:x}, byte {offset}");
                    let may_end = matches!(
                        record,
                        Record::Deleted | Record::SoftDeleted | Record::ForkReleased { .. }
                    );
                    self.orphans.entry(frame.id).or_insert((place, may_end)).1 = may_end;
                }
            }
            return;
        };
        // A life ends with its deletion, whatever became of it before.
        let deleted = matches!(frame.record, Record::Deleted);
        match deleted {
            true => self.end(index, frame.id),
            false => match index.wake(&stream, |slot| slot.replay(frame, reference)) {
                Replayed::Done(dead) => self.dead.extend(dead),
                Replayed::Ended => self.end(index, frame.id),
                Replayed::Gap(reason) => {
                    self.damage(format!("stream `{}`: {reason}", stream.name));
                }
            },
        }
    }

    fn damage(&mut self, what: String) {
        tracing::error!(what, "damage found in the log");
        self.report.push(what);
    }
}

/// What came of a record that was replayed.
enum Replayed {
    /// With the runs that it has dropped.
    Done(Vec<(Cover, Run)>),
    Ended,
    /// Records before it are missing.
    Gap(String),
}

impl Slot {
    pub(super) fn created(record: &Record) -> Option<Self> {
        let mut state = None;
        StreamState::fold(&mut state, record);
        Some(Self::new(state?))
    }

    fn replay(&mut self, frame: &RecordFrame, reference: Option<JournalRef>) -> Replayed {
        let Ok(state) = self.state() else { return Replayed::Done(Vec::new()) };
        // A filed state may know of the record already.
        if state.version > frame.follows {
            let known = self.filed.last().is_some_and(|(_, run)| run.end > frame.position);
            if !known {
                self.journal.extend(reference);
            }
            return Replayed::Done(Vec::new());
        }
        if state.version < frame.follows {
            let reason = format!("records {} to {} are missing", state.version, frame.follows - 1);
            self.corrupt = Some(reason.clone());
            return Replayed::Gap(reason);
        }
        if state.ends_with(&frame.record) {
            return Replayed::Ended;
        }
        state.apply(&frame.record);
        self.journal.extend(reference);
        Replayed::Done(self.drop_unkept(&frame.record))
    }
}

impl From<StorageError> for OpenError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}
