//! The log as a [`Storage`]: the engine and its two threads.
//!
//! The commit thread takes all that is queued, writes it with one sync, and tells the outcomes; while
//! it syncs, the next batch gathers, so a lone commit waits for nothing and many share a sync (see
//! `queue`). The filing thread rewrites sealed journal segments by stream, and merges what it has filed.
//!
//! If the commit thread panics, the log is done with, as after a failed sync. Filing is begun again.

mod filing;
mod in_flight;
mod queue;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use parking_lot::Mutex;
use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::StreamState;
use streamkeeper_storage::{Chunk, Commit, Entry, Range, Storage, StorageError};
use tokio::sync::oneshot;

use self::filing::{Chore, Trouble};
use self::in_flight::{InFlight, Place};
use self::queue::{Queue, Taker};
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
///
/// A commit that is made in a tokio runtime begins after the runtime's other tasks have had their turn, so
/// a runtime with one thread must not be blocked until its outcome is there.
pub struct LogStorage {
    engine: Arc<Engine>,
    queue: Arc<Queue>,
    in_flight: Arc<InFlight>,
    /// What the filing thread is to do; it ends when the commit thread lets go of it, too.
    chores: Option<Sender<Chore>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Why filing does not get on.
    trouble: Trouble,
}

#[expect(clippy::large_enum_variant, reason = "nearly all are commits")]
enum Request {
    Commit(Submission, Place),
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
        let queue = Arc::new(Queue::default());
        let in_flight = Arc::new(InFlight::default());
        let (chores, filing) = mpsc::channel();
        let trouble = Trouble::default();
        // What an earlier process has sealed waits to be filed.
        let _ = chores.send(Chore::Sealed);
        let committer = spawn("streamkeeper-commit", {
            let (engine, requests) = (engine.clone(), Taker(queue.clone()));
            let (in_flight, chores) = (in_flight.clone(), chores.clone());
            move || commit_loop(&engine, &requests, &in_flight, &chores)
        })?;
        let filer = spawn("streamkeeper-filing", {
            let (engine, trouble) = (engine.clone(), trouble.clone());
            move || filing::run(&engine, &filing, &trouble)
        })?;
        let threads = Mutex::new(vec![committer, filer]);
        Ok((Self { engine, queue, in_flight, chores: Some(chores), threads, trouble }, report))
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
}

impl Drop for LogStorage {
    /// Writes what was accepted, and waits for it. Filing is cut short: the next opening goes on with it.
    fn drop(&mut self) {
        self.queue.close();
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

fn commit_loop(engine: &Engine, queue: &Taker, in_flight: &InFlight, chores: &Sender<Chore>) {
    let mut requests = VecDeque::new();
    let mut batch = Batch::default();
    while queue.take(&mut requests) {
        while !requests.is_empty() {
            batch.fill(&mut requests);
            if engine.commit(&mut batch.submissions).is_some() {
                let _ = chores.send(Chore::Sealed);
            }
            batch.places.drain(..).for_each(|place| in_flight.remove(place));
            for barrier in batch.barriers.drain(..) {
                // Whoever gave up waiting needs no answer.
                let _ = barrier.send(());
            }
        }
    }
    engine.trim();
}

/// What one sync is to make durable, and who is to be told of it.
#[derive(Default)]
struct Batch {
    submissions: Vec<Submission>,
    places: Vec<Place>,
    barriers: Vec<oneshot::Sender<()>>,
}

impl Batch {
    /// Moves requests here, as many as fit.
    fn fill(&mut self, requests: &mut VecDeque<Request>) {
        let mut bytes = 0;
        while self.submissions.len() < MAX_BATCH && bytes < MAX_BATCH_BYTES {
            match requests.pop_front() {
                Some(Request::Commit(submission, place)) => {
                    bytes += submission.entry.record.batch().map_or(0, |batch| batch.size());
                    self.submissions.push(submission);
                    self.places.push(place);
                }
                Some(Request::Barrier(barrier)) => self.barriers.push(barrier),
                None => break,
            }
        }
    }
}

#[async_trait]
impl Storage for LogStorage {
    async fn load(&self, name: &StreamName) -> Result<Option<StreamState>, StorageError> {
        // An actor that is started again must see what its predecessor had in flight. One that was dormant
        // had nothing, and must not wait for the commits of others.
        if self.in_flight.may_have(name) {
            let (barrier, passed) = oneshot::channel();
            if self.queue.push(Request::Barrier(barrier)) {
                drop(passed.await);
            }
        }
        self.engine.load(name)
    }

    fn commit(&self, entry: Entry) -> Commit {
        if let Err(error) = self.engine.health() {
            return Commit::ready(Err(error));
        }
        let (completer, commit) = Commit::pending();
        let place = self.in_flight.add(&entry.name);
        // If the thread is gone, dropping the completer fails the commit.
        self.queue.push(Request::Commit(Submission { entry, completer }, place));
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
