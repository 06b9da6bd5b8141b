//! The log as a [`Storage`]: the engine and its two threads.
//!
//! The commit thread takes all that is queued, writes it with one sync, and tells the outcomes; while
//! it syncs, the next batch gathers, so a lone commit waits for nothing and many share a sync. The
//! filing thread rewrites sealed journal segments by stream, and merges what it has filed.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::StreamState;
use streamkeeper_storage::{Chunk, Commit, Entry, Range, Storage, StorageError};
use tokio::sync::oneshot;

use crate::OpenError;
use crate::engine::{Engine, LogOptions, OpenReport, Submission};
use crate::env::Env;
use crate::env::real::RealEnv;

/// How many commits one sync may make durable.
const MAX_BATCH: usize = 8192;
/// After how many bytes of messages a batch is written.
const MAX_BATCH_BYTES: u64 = 32 << 20;

/// How often the filing thread looks for garbage when nothing is sealed.
const GARBAGE_PERIOD: Duration = Duration::from_secs(10);

/// Keeps streams on disk, in a directory of its own. What it acknowledges is synced.
pub struct LogStorage {
    engine: Arc<Engine>,
    /// Taken away to let the threads end.
    queue: Option<Sender<Request>>,
    /// What the filing thread is to do; it ends when the commit thread lets go of it, too.
    chores: Option<Sender<Chore>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[expect(clippy::large_enum_variant, reason = "nearly all are commits")]
enum Request {
    Commit(Submission),
    /// Tells when everything before it is durable.
    Barrier(oneshot::Sender<()>),
}

/// What the filing thread is told.
enum Chore {
    /// There may be something to file.
    Sealed,
    /// Tells when nothing is left to file or to merge, or that it failed.
    Settle(Sender<()>),
}

impl LogStorage {
    /// Opens the log in a directory, which is created if need be. Blocks on the disk.
    pub fn open(dir: &Path, options: LogOptions) -> Result<(Self, OpenReport), OpenError> {
        Self::open_in(Arc::new(RealEnv), dir, options)
    }

    /// [`open`](Self::open) on another file system.
    pub fn open_in(
        env: Arc<dyn Env>,
        dir: &Path,
        options: LogOptions,
    ) -> Result<(Self, OpenReport), OpenError> {
        let (engine, report) = Engine::open(env, dir, options)?;
        let engine = Arc::new(engine);
        let (queue, requests) = mpsc::channel();
        let (chores, filing) = mpsc::channel();
        // What an earlier process has sealed waits to be filed.
        let _ = chores.send(Chore::Sealed);
        let committer = spawn("streamkeeper-commit", {
            let (engine, chores) = (engine.clone(), chores.clone());
            move || commit_loop(&engine, &requests, &chores)
        })?;
        let filer = spawn("streamkeeper-filing", {
            let engine = engine.clone();
            move || file_loop(&engine, &filing)
        })?;
        let threads = Mutex::new(vec![committer, filer]);
        Ok((Self { engine, queue: Some(queue), chores: Some(chores), threads }, report))
    }

    /// Waits until what is sealed is filed and merged, as far as it can be. Blocks; for tools and tests.
    pub fn settle(&self) {
        let (settled, done) = mpsc::channel();
        let told =
            self.chores.as_ref().is_some_and(|chores| chores.send(Chore::Settle(settled)).is_ok());
        if told {
            // An error: the thread has ended, and nothing more is done.
            let _ = done.recv();
        }
    }

    /// Queues a request; `false` if the thread has ended.
    fn send(&self, request: Request) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.send(request).is_ok())
    }
}

impl Drop for LogStorage {
    /// Writes what was accepted, and waits for it.
    fn drop(&mut self) {
        self.queue = None;
        self.chores = None;
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the log has panicked");
            }
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, OpenError> {
    Ok(thread::Builder::new().name(name.to_owned()).spawn(run)?)
}

fn commit_loop(engine: &Engine, requests: &Receiver<Request>, chores: &Sender<Chore>) {
    while let Ok(first) = requests.recv() {
        let mut submissions = Vec::new();
        let mut barriers = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(request) = next {
            match request {
                Request::Commit(submission) => {
                    bytes += submission.entry.record.batch().map_or(0, |batch| batch.size());
                    submissions.push(submission);
                }
                Request::Barrier(barrier) => barriers.push(barrier),
            }
            let full = submissions.len() >= MAX_BATCH || bytes >= MAX_BATCH_BYTES;
            next = if full { None } else { requests.try_recv().ok() };
        }
        if engine.commit(submissions).is_some() {
            let _ = chores.send(Chore::Sealed);
        }
        // Whoever gave up waiting needs no answer.
        for barrier in barriers {
            let _ = barrier.send(());
        }
    }
}

fn file_loop(engine: &Engine, chores: &Receiver<Chore>) {
    loop {
        let chore = match chores.recv_timeout(GARBAGE_PERIOD) {
            Ok(chore) => chore,
            Err(RecvTimeoutError::Timeout) => Chore::Sealed,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if let Err(error) = file_all(engine) {
            tracing::error!(%error, "filing");
        }
        if let Chore::Settle(settled) = chore {
            let _ = settled.send(());
        }
    }
}

fn file_all(engine: &Engine) -> Result<(), StorageError> {
    while engine.file_oldest()? {}
    while let Some(covers) = engine.merge_candidates() {
        engine.merge(&covers)?;
    }
    Ok(())
}

#[async_trait]
impl Storage for LogStorage {
    async fn load(&self, name: &StreamName) -> Result<Option<StreamState>, StorageError> {
        // An actor that is started again must see what its predecessor had in flight.
        let (barrier, passed) = oneshot::channel();
        if self.send(Request::Barrier(barrier)) {
            drop(passed.await);
        }
        self.engine.load(name)
    }

    fn commit(&self, entry: Entry) -> Commit {
        if let Err(error) = self.engine.health() {
            return Commit::ready(Err(error));
        }
        let (completer, commit) = Commit::pending();
        // If the thread is gone, dropping the completer fails the commit.
        self.send(Request::Commit(Submission { entry, completer }));
        commit
    }

    async fn read(&self, range: Range) -> Result<Vec<Chunk>, StorageError> {
        let engine = self.engine.clone();
        let read = tokio::task::spawn_blocking(move || engine.read(range));
        read.await.unwrap_or_else(|error| Err(StorageError::Unavailable(error.to_string())))
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&StreamName>,
        limit: usize,
    ) -> Result<Vec<StreamName>, StorageError> {
        Ok(self.engine.list(prefix, after, limit))
    }

    fn health(&self) -> Result<(), StorageError> {
        if self.threads.lock().iter().any(JoinHandle::is_finished) {
            return Err(StorageError::Unavailable("a thread of the log has ended".into()));
        }
        self.engine.health()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log in a directory that goes with it.
    struct Temporary {
        log: LogStorage,
        _dir: tempfile::TempDir,
    }

    #[async_trait]
    impl Storage for Temporary {
        async fn load(&self, name: &StreamName) -> Result<Option<StreamState>, StorageError> {
            self.log.load(name).await
        }

        fn commit(&self, entry: Entry) -> Commit {
            self.log.commit(entry)
        }

        async fn read(&self, range: Range) -> Result<Vec<Chunk>, StorageError> {
            self.log.read(range).await
        }

        async fn list(
            &self,
            prefix: &str,
            after: Option<&StreamName>,
            limit: usize,
        ) -> Result<Vec<StreamName>, StorageError> {
            self.log.list(prefix, after, limit).await
        }

        fn health(&self) -> Result<(), StorageError> {
            self.log.health()
        }
    }

    fn temporary(options: LogOptions) -> Temporary {
        let dir = tempfile::tempdir().unwrap();
        let (log, _) = LogStorage::open(dir.path(), options).unwrap();
        Temporary { log, _dir: dir }
    }

    mod one_segment {
        use super::*;
        streamkeeper_storage::storage_contract!(async { temporary(LogOptions::default()) });
    }

    /// Segments so small that all but the last records are filed and merged under the test.
    mod many_segments {
        use super::*;
        streamkeeper_storage::storage_contract!(async {
            let options = LogOptions { segment_bytes: 2048, merge_width: 3, ..Default::default() };
            temporary(options)
        });
    }
}
