//! Two threads of the log in one: while it files or merges, at some call to the disk, commits come and
//! reads go. So the order is the seed's, and not the scheduler's.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use streamkeeper_storage::{Chunk, Range, StorageError};

use crate::engine::{Engine, Submission};
use crate::env::{Env, File, LockGuard, SimEnv};

/// What is to happen meanwhile, and what came of it.
#[derive(Default)]
pub(super) struct Meanwhile {
    work: Mutex<Option<Work>>,
    read: Mutex<Vec<Read>>,
    /// How many of the next reads are found in memory.
    pub(super) cached: Mutex<u64>,
}

/// A read and its outcome.
pub(super) type Read = (Range, Result<Vec<Chunk>, StorageError>);

/// Reads, and then commits.
pub(super) struct Work {
    pub(super) engine: Arc<Engine>,
    /// At which call from now.
    pub(super) at: u64,
    pub(super) ranges: Vec<Range>,
    pub(super) submissions: Vec<Submission>,
}

impl Meanwhile {
    pub(super) fn plan(&self, work: Work) {
        *self.work.lock() = Some(work);
    }

    /// What was read; `None` if it did not come to that.
    pub(super) fn finish(&self) -> Option<Vec<Read>> {
        let undone = self.work.lock().take().is_some();
        let read = std::mem::take(&mut *self.read.lock());
        (!undone).then_some(read)
    }

    fn tick(&self) {
        let mut planned = self.work.lock();
        if let Some(work) = planned.as_mut()
            && work.at > 0
        {
            work.at -= 1;
            return;
        }
        let Some(mut work) = planned.take() else { return };
        drop(planned);
        let read = |range| (range, work.engine.read(range));
        self.read.lock().extend(work.ranges.into_iter().map(read));
        work.engine.commit(&mut work.submissions);
    }
}

/// The disk, where something happens meanwhile.
pub(super) struct BusyEnv {
    pub(super) env: SimEnv,
    pub(super) meanwhile: Arc<Meanwhile>,
}

impl BusyEnv {
    fn wrap(&self, file: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(BusyFile { file, meanwhile: self.meanwhile.clone() })
    }
}

impl Env for BusyEnv {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.env.create_dir_all(path)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.meanwhile.tick();
        Ok(self.wrap(self.env.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(self.wrap(self.env.open(path)?))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.env.list(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.meanwhile.tick();
        self.env.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.meanwhile.tick();
        self.env.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let synced = self.env.sync_dir(path);
        self.meanwhile.tick();
        synced
    }

    fn draw(&self) -> u64 {
        self.env.draw()
    }

    fn pause(&self, duration: Duration) {
        self.env.pause(duration);
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        self.env.lock(path)
    }
}

struct BusyFile {
    file: Arc<dyn File>,
    meanwhile: Arc<Meanwhile>,
}

impl File for BusyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.meanwhile.tick();
        self.file.read_at(buffer, offset)
    }

    fn read_cached_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut cached = self.meanwhile.cached.lock();
        match cached.checked_sub(1) {
            None => Err(io::ErrorKind::WouldBlock.into()),
            Some(left) => {
                *cached = left;
                self.file.read_at(buffer, offset)
            }
        }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.meanwhile.tick();
        self.file.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}
