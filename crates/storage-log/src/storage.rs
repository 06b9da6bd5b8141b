//! The log as a [`Storage`]: the engine and its two threads.
//!
//! The commit thread takes all that is queued, writes it with one sync, and tells the outcomes; while
//! it syncs, the next batch gathers, so a lone commit waits for nothing and many share a sync. The
//! filing thread rewrites sealed journal segments by stream, and merges what it has filed.
//!
//! If the commit thread panics, the log is done with, as after a failed sync. Filing is begun again.

mod filing;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use parking_lot::Mutex;
use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::StreamState;
use streamkeeper_storage::{Chunk, Commit, Entry, Range, Storage, StorageError};
use tokio::sync::oneshot;

use self::filing::{Chore, Trouble};
use crate::OpenError;
use crate::engine::{Engine, LogOptions, OpenReport, Submission};
use crate::env::Env;
use crate::env::real::RealEnv;

/// How many commits one sync may make durable.
const MAX_BATCH: usize = 8192;
/// After how many bytes of messages a batch is written.
const MAX_BATCH_BYTES: u64 = 32 << 20;

/// More names than this take too long to gather for a thread that others wait for.
const SHORT_LIST: usize = 1000;

/// Keeps streams on disk, in a directory of its own. What it acknowledges is synced.
pub struct LogStorage {
    engine: Arc<Engine>,
    /// Taken away to let the threads end.
    queue: Option<Sender<Request>>,
    /// What the filing thread is to do; it ends when the commit thread lets go of it, too.
    chores: Option<Sender<Chore>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Why filing does not get on.
    trouble: Trouble,
}

enum Request {
    Commit(Submission),
    /// Tells when everything before it is durable.
    Barrier(oneshot::Sender<()>),
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
        let trouble = Trouble::default();
        // What an earlier process has sealed waits to be filed.
        let _ = chores.send(Chore::Sealed);
        let committer = spawn("streamkeeper-commit", {
            let (engine, chores) = (engine.clone(), chores.clone());
            move || commit_loop(&engine, &requests, &chores)
        })?;
        let filer = spawn("streamkeeper-filing", {
            let (engine, trouble) = (engine.clone(), trouble.clone());
            move || filing::run(&engine, &filing, &trouble)
        })?;
        let threads = Mutex::new(vec![committer, filer]);
        Ok((Self { engine, queue: Some(queue), chores: Some(chores), threads, trouble }, report))
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
    /// Writes what was accepted, and waits for it. Filing is cut short: the next opening goes on with it.
    fn drop(&mut self) {
        self.queue = None;
        self.chores = None;
        self.engine.close();
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
    let mut submissions = Vec::new();
    while let Ok(first) = requests.recv() {
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
        if engine.commit(&mut submissions).is_some() {
            let _ = chores.send(Chore::Sealed);
        }
        // Whoever gave up waiting needs no answer.
        for barrier in barriers {
            let _ = barrier.send(());
        }
    }
    engine.trim();
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
        if let Some(read) = self.engine.read_cached(range) {
            return read;
        }
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
        if limit <= SHORT_LIST {
            return Ok(self.engine.list(prefix, after, limit));
        }
        let (engine, prefix, after) = (self.engine.clone(), prefix.to_owned(), after.cloned());
        let listed =
            tokio::task::spawn_blocking(move || engine.list(&prefix, after.as_ref(), limit));
        listed.await.map_err(|error| StorageError::Unavailable(error.to_string()))
    }

    async fn scheduled(
        &self,
        after: Option<&StreamName>,
        limit: usize,
    ) -> Result<Vec<StreamName>, StorageError> {
        // All streams are looked at for that.
        let (engine, after) = (self.engine.clone(), after.cloned());
        let scheduled =
            tokio::task::spawn_blocking(move || engine.scheduled(after.as_ref(), limit));
        scheduled.await.map_err(|error| StorageError::Unavailable(error.to_string()))
    }

    fn health(&self) -> Result<(), StorageError> {
        if self.threads.lock().iter().any(JoinHandle::is_finished) {
            return Err(StorageError::Unavailable("a thread of the log has ended".into()));
        }
        if let Some(reason) = &*self.trouble.lock() {
            return Err(StorageError::Unavailable(reason.clone()));
        }
        self.engine.health()
    }
}

#[cfg(test)]
mod tests;
