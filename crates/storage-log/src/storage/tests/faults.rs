//! Threads that fail: who notices, what goes on, and that nothing is lost.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{io, thread};

use bytes::Bytes;
use streamkeeper_protocol::Batch;
use streamkeeper_protocol::Timestamp;
use streamkeeper_protocol::stream::{Config, Record, StreamId};
use uuid::Uuid;

use super::*;
use crate::env::sim::Syscall;
use crate::env::{File, LockGuard, SimEnv};

const MESSAGE_BYTES: usize = 1000;

/// A stream whose every message is alike, and how many it has.
pub(super) struct Stream {
    id: StreamId,
    name: StreamName,
    version: u64,
}

impl Stream {
    pub(super) fn new(number: u64) -> Self {
        let id = StreamId::new(Uuid::from_u128(number.into()));
        Self { id, name: StreamName::new(&format!("s/{number}")).unwrap(), version: 0 }
    }

    pub(super) async fn commit(
        &mut self,
        log: &LogStorage,
        record: Record,
    ) -> Result<(), StorageError> {
        let (name, id, follows) = (self.name.clone(), self.id, self.version);
        log.commit(Entry { name, id, follows, record }).await?;
        self.version += 1;
        Ok(())
    }

    /// One more message; the first creates the stream.
    pub(super) async fn append(&mut self, log: &LogStorage) -> Result<(), StorageError> {
        let (id, at) = (self.id, Timestamp::from_millis(1));
        let batch = Batch::one(Bytes::from(vec![b'x'; MESSAGE_BYTES]));
        let config = Config::default();
        let record = match self.version {
            0 => Record::Created { id, config, origin: None, batch, closed: false, at },
            _ => Record::Appended { batch, producer: None, seq: None, closes: false, at },
        };
        self.commit(log, record).await
    }

    pub(super) async fn append_many(&mut self, log: &LogStorage, count: u64) {
        for _ in 0..count {
            self.append(log).await.unwrap();
        }
    }

    pub(super) fn name(&self) -> &StreamName {
        &self.name
    }

    /// How many bytes it has been given.
    pub(super) fn size(&self) -> u64 {
        self.version * MESSAGE_BYTES as u64
    }

    /// How many bytes of it can be read.
    pub(super) async fn bytes(&self, log: &LogStorage) -> u64 {
        let range = Range { id: self.id, from: 0, until: u64::MAX, max_bytes: u64::MAX };
        let chunks = log.read(range).await.unwrap();
        chunks.iter().map(|chunk| chunk.batch.size()).sum()
    }
}

fn options() -> LogOptions {
    LogOptions { segment_bytes: 4096, ..LogOptions::default() }
}

fn open(env: Arc<dyn Env>) -> LogStorage {
    LogStorage::open_in(env, Path::new("/log"), options()).unwrap().0
}

fn journals(env: &SimEnv) -> usize {
    env.paths().iter().filter(|path| path.extension().is_some_and(|e| e == "journal")).count()
}

/// Waits for what must come, however slow the machine is.
fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..12_000 {
        if done() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("in vain: {what}");
}

#[tokio::test]
async fn filing_that_fails_is_noticed_and_done_again() {
    let env = SimEnv::new(1);
    let log = open(Arc::new(env.process()));
    env.set_rate(Syscall::Rename, 1);
    let mut stream = Stream::new(1);
    stream.append_many(&log, 20).await;
    log.settle();
    assert!(log.health().unwrap_err().to_string().contains("filing failed"));
    assert!(journals(&env) > 1, "nothing is filed");
    stream.append_many(&log, 5).await;
    assert_eq!(stream.bytes(&log).await, 25 * MESSAGE_BYTES as u64);

    env.clear_faults();
    wait_for("filing", || log.health().is_ok() && journals(&env) == 1);
    assert_eq!(stream.bytes(&log).await, 25 * MESSAGE_BYTES as u64);
}

#[tokio::test]
async fn filing_goes_on_once_there_is_space() {
    let env = SimEnv::new(1);
    let log = open(Arc::new(env.process()));
    // Room for what is in the journal, but not twice.
    env.set_capacity(Some(env.used() + 25_000));
    let mut stream = Stream::new(1);
    while stream.append(&log).await.is_ok() {}
    assert_eq!(stream.append(&log).await, Err(StorageError::Full));
    log.settle();
    let bytes = stream.bytes(&log).await;
    assert_eq!((log.health(), bytes), (Ok(()), stream.version * MESSAGE_BYTES as u64));

    env.set_capacity(None);
    stream.append(&log).await.unwrap();
    wait_for("filing", || journals(&env) == 1);
    assert_eq!(stream.bytes(&log).await, bytes + MESSAGE_BYTES as u64);
}

#[tokio::test]
async fn filing_that_panics_is_noticed_and_done_again() {
    let env = SimEnv::new(1);
    let bomb = Arc::new(Bomb { env: env.process(), place: "filing.tmp", armed: true.into() });
    let log = open(bomb.clone());
    let mut stream = Stream::new(1);
    stream.append_many(&log, 20).await;
    log.settle();
    assert!(log.health().unwrap_err().to_string().contains("panicked"));
    stream.append_many(&log, 5).await;
    bomb.armed.store(false, Ordering::Relaxed);
    wait_for("filing", || log.health().is_ok() && journals(&env) == 1);
    assert_eq!(stream.bytes(&log).await, 25 * MESSAGE_BYTES as u64);
}

#[tokio::test]
async fn a_commit_thread_that_panics_ends_the_log_and_nothing_is_lost() {
    let env = SimEnv::new(1);
    let bomb = Arc::new(Bomb { env: env.process(), place: "2.journal", armed: true.into() });
    let log = open(bomb);
    let mut stream = Stream::new(1);
    while stream.append(&log).await.is_ok() {}
    assert!(matches!(stream.append(&log).await, Err(StorageError::Unavailable(_))));
    wait_for("the end of the thread", || log.health().is_err());
    assert_eq!(stream.bytes(&log).await, stream.version * MESSAGE_BYTES as u64);
    drop(log);
    // What was in flight may be there.
    let bytes = stream.bytes(&open(Arc::new(env))).await;
    assert!([stream.version, stream.version + 1].contains(&(bytes / MESSAGE_BYTES as u64)));
}

#[tokio::test]
async fn filing_keeps_its_pace() {
    let env = SimEnv::new(1);
    let bound = LogOptions { filing_bytes_per_second: 1000, ..options() };
    let (log, _) = LogStorage::open_in(Arc::new(env.process()), Path::new("/log"), bound).unwrap();
    Stream::new(1).append_many(&log, 20).await;
    log.settle();
    let files = env.files();
    let filed = files.iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "filed"));
    let bytes: usize = filed.map(|(_, bytes)| bytes.len()).sum();
    assert!(bytes > 10_000);
    assert!(env.paused() >= Duration::from_millis(bytes as u64 - 1), "{:?}", env.paused());
}

/// A disk on which to create a certain file is to panic.
struct Bomb {
    env: SimEnv,
    place: &'static str,
    armed: AtomicBool,
}

impl Env for Bomb {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let here = path.to_string_lossy().ends_with(self.place);
        assert!(!here || !self.armed.load(Ordering::Relaxed), "a bomb");
        self.env.create(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.env.create_dir_all(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.env.open(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.env.list(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.env.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.env.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.env.sync_dir(path)
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
