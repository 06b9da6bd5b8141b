//! The engine: everything but threads. Each step is a plain function, so that a simulation can run
//! them in any order, with a power loss between any two calls to the disk.

mod batch;
mod commit;
mod file;
mod footers;
mod index;
mod merge;
mod open;
mod pace;
mod read;
mod slot;
mod stream;

pub use self::open::OpenReport;
pub(crate) use self::open::{FORMAT, LOCK, check_format};

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::{StreamId, StreamState};
use streamkeeper_storage::StorageError;

use self::batch::Batch;
pub(crate) use self::batch::Submission;
use self::index::Index;
pub(crate) use self::pace::Pace;
use self::stream::Stream;
use crate::env::{Env, LockGuard};
use crate::filed::{BlockCache, Cover, FiledReader, Run};
use crate::journal::{Ahead, Journal, Segment};

/// What can be configured of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    /// The size at which a journal segment is sealed and filed, in bytes. Default: 64 MiB.
    pub segment_bytes: u64,
    /// How many filed segments of a like size are merged into one. Default: 4.
    pub merge_width: usize,
    /// Filed segments beyond this size are not merged any more, in bytes. Default: 1.25 GiB.
    pub max_filed_bytes: u64,
    /// How many streams are kept ready for their next commit; the others are asleep, in little memory.
    /// Default: 65,536.
    pub max_awake_streams: usize,
    /// How fast filing may write, in bytes a second. Default: 256 MiB.
    pub filing_bytes_per_second: u64,
    /// How fast merging may write while nothing waits to be filed, in bytes a second. Default: 64 MiB.
    pub merging_bytes_per_second: u64,
    /// How far ahead of its end the journal is prepared with zeros, so that syncing a small batch writes
    /// nothing but the batch; in bytes, 0: not at all. Default: 256 KiB.
    pub prepared_bytes: u64,
    /// How many bytes of filed messages that were read lately are kept at hand, checked, for those who
    /// read the same; 0: none. Default: 32 MiB.
    pub cache_bytes: u64,
}

impl LogOptions {
    fn ahead(&self) -> Ahead {
        Ahead { step: self.prepared_bytes, limit: self.segment_bytes }
    }
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            merge_width: 4,
            max_filed_bytes: 1280 << 20,
            max_awake_streams: 1 << 16,
            filing_bytes_per_second: 256 << 20,
            merging_bytes_per_second: 64 << 20,
            prepared_bytes: 256 << 10,
            cache_bytes: 32 << 20,
        }
    }
}

/// The log of one directory.
pub(crate) struct Engine {
    env: Arc<dyn Env>,
    options: LogOptions,
    journal_dir: PathBuf,
    filed_dir: PathBuf,
    index: Index,
    /// Journal segments that are not filed yet, the one that is written included.
    segments: RwLock<BTreeMap<u64, Segment>>,
    /// A segment whose header is damaged. It must stay, so nothing that comes after it is filed.
    damaged: Option<u64>,
    filed: RwLock<BTreeMap<Cover, Filed>>,
    cache: BlockCache,
    /// Only the thread that commits takes it for long.
    journal: Mutex<Writing>,
    /// An empty one, for the next commits.
    batch: Mutex<Batch>,
    poisoned: RwLock<Option<String>>,
    pace: Pace,
    /// A merged segment may be there or not: see `merge_is_adrift`.
    merging_is_over: AtomicBool,
    _lock: Box<dyn LockGuard>,
}

/// The segment of the journal that is written.
enum Writing {
    To(Journal),
    /// There was no space to begin the segment of this number; those before it are sealed.
    Nothing(u64),
}

impl Writing {
    /// Segments before this one are sealed.
    fn number(&self) -> u64 {
        match self {
            Self::To(journal) => journal.segment.number,
            Self::Nothing(number) => *number,
        }
    }
}

/// A filed segment, and how much of it nobody needs any more.
struct Filed {
    reader: FiledReader,
    /// The size of the file.
    size: u64,
    runs: Runs,
    /// How many of their bytes belong to streams that have ended, or were dropped by retention.
    dead: AtomicU64,
    /// Something of it was found unreadable: it stays as it is, for a repair.
    rotten: AtomicBool,
}

impl Filed {
    fn new(reader: FiledReader, size: u64, runs: Runs) -> Self {
        let (dead, rotten) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { reader, size, runs, dead, rotten }
    }
}

/// How many runs a filed segment has, and of how many bytes: messages, with their framing.
#[derive(Default)]
struct Runs {
    count: u64,
    bytes: u64,
}

impl Runs {
    fn add(&mut self, runs: &[Run]) {
        self.count += runs.len() as u64;
        self.bytes += runs.iter().map(|run| u64::from(run.size)).sum::<u64>();
    }

    fn of(installed: &[(StreamId, Vec<Run>)]) -> Self {
        let mut all = Self::default();
        installed.iter().for_each(|(_, runs)| all.add(runs));
        all
    }
}

/// A segment that was filed, and what it holds of each stream that lives.
type Installed = (FiledReader, Vec<(StreamId, Vec<Run>)>);

impl Engine {
    /// The state of a stream, `None` if there is none of that name.
    pub(crate) fn load(&self, name: &StreamName) -> Result<Option<StreamState>, StorageError> {
        let Some(stream) = self.index.find(name) else { return Ok(None) };
        stream.look(|slot| slot.state().map(|state| Some(state.clone())))
    }

    /// The names that begin with `prefix` and come after `after`, sorted.
    pub(crate) fn list(
        &self,
        prefix: &str,
        after: Option<&StreamName>,
        limit: usize,
    ) -> Vec<StreamName> {
        self.index.list(prefix, after, limit)
    }

    /// The names, after `after`, of the streams that time alone can change; sorted.
    pub(crate) fn scheduled(&self, after: Option<&StreamName>, limit: usize) -> Vec<StreamName> {
        self.index.select("", after, limit, |stream| stream.look(|slot| slot.is_scheduled()))
    }

    /// Fails once a write or a sync has failed: what is on disk is not known any more, and a second
    /// sync that succeeds proves nothing.
    pub(crate) fn health(&self) -> Result<(), StorageError> {
        match &*self.poisoned.read() {
            None => Ok(()),
            Some(reason) => Err(StorageError::Unavailable(reason.clone())),
        }
    }

    /// Lets filing and merging fail from now on, so that nobody waits for them.
    pub(crate) fn close(&self) {
        self.pace.stop();
    }

    /// Whether [`close`](Self::close) was called.
    pub(crate) fn is_closing(&self) -> bool {
        self.pace.is_stopped()
    }

    fn poison(&self, what: &str, error: &io::Error) -> StorageError {
        let reason =
            format!("{what} failed, and nothing is written until the log is opened anew: {error}");
        tracing::error!(%error, what, "log poisoned");
        self.poisoned.write().get_or_insert(reason.clone());
        StorageError::Unavailable(reason)
    }

    /// Forgets a stream that has ended; its space in filed segments is garbage now.
    fn forget(&self, stream: &Arc<Stream>, filed: &[(Cover, Run)]) {
        self.index.remove(stream);
        self.count_dead(filed);
    }

    fn count_dead(&self, runs: &[(Cover, Run)]) {
        let filed = self.filed.read();
        for (cover, run) in runs {
            if let Some(filed) = filed.get(cover) {
                filed.dead.fetch_add(u64::from(run.size), Ordering::Relaxed);
            }
        }
    }
}
