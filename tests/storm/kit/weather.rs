//! A storage in bad weather: what happens to a stream is told by its [`Fate`].

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use streamkeeper::StreamName;
use streamkeeper_protocol::stream::{StreamId, StreamState};
use streamkeeper_storage::{Chunk, Commit, Entry, Range, Storage, StorageError};
use tokio::sync::{mpsc, oneshot};

use super::lane::{Durable, Errand, Journal, Outcome, lane};
use super::{Fate, INJECTED};

/// One in so many loads goes wrong, where loads may.
const LOADS: u32 = 8;
/// One in so many reads goes wrong, where reads may.
const READS: u32 = 100;

/// How bad the weather is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Climate {
    /// One in so many commits goes wrong.
    pub(crate) odds: u32,
    /// A doomed stream is left alone for so many commits.
    pub(crate) grace: u64,
    /// The longest that a slow storage takes, in milliseconds.
    pub(crate) slowest: u64,
    /// Which streams are slow and journaled.
    pub(crate) journaled: fn(&StreamName) -> bool,
}

impl Default for Climate {
    fn default() -> Self {
        let journaled = |name: &StreamName| Fate::of(name) == Fate::Brief;
        Self { odds: 150, grace: 20, slowest: 3, journaled }
    }
}

/// What happens to one commit.
enum Strike {
    Nothing,
    Panic,
    PanicAfter,
    Refuse(StorageError),
    Lose,
    LoseAck,
}

/// How often what happened.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) panics: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) loads: AtomicU64,
}

/// A storage in bad weather.
pub(crate) struct Weather {
    inner: Arc<dyn Storage>,
    raging: AtomicBool,
    rng: Mutex<SmallRng>,
    tick: Arc<dyn Fn() -> u64 + Send + Sync>,
    lanes: Mutex<HashMap<StreamName, mpsc::UnboundedSender<Errand>>>,
    names: Mutex<HashMap<StreamId, StreamName>>,
    commits: Mutex<HashMap<StreamName, u64>>,
    journal: Journal,
    climate: Climate,
    pub(crate) counts: Counts,
}

impl Weather {
    /// Bad weather over a storage. `tick` numbers what becomes durable in the same count as the calls
    /// of clients.
    pub(crate) fn over(
        inner: Arc<dyn Storage>,
        seed: u64,
        climate: Climate,
        journal: Journal,
        tick: Arc<dyn Fn() -> u64 + Send + Sync>,
    ) -> Arc<Self> {
        Arc::new(Self {
            inner,
            raging: AtomicBool::new(true),
            rng: Mutex::new(SmallRng::seed_from_u64(seed)),
            tick,
            lanes: Mutex::default(),
            names: Mutex::default(),
            commits: Mutex::default(),
            journal,
            climate,
            counts: Counts::default(),
        })
    }

    /// Nothing goes wrong from now on; slow ways stay slow.
    pub(crate) fn calm(&self) {
        self.raging.store(false, Ordering::SeqCst);
    }

    /// All that became durable of journaled streams, in order.
    pub(crate) fn journal(&self) -> Vec<Durable> {
        self.journal.lock().clone()
    }

    fn is_raging(&self) -> bool {
        self.raging.load(Ordering::SeqCst)
    }

    /// Journaled streams always go through lanes; of the others every second does.
    fn has_lane(&self, name: &StreamName) -> bool {
        (self.climate.journaled)(name) || name.as_str().ends_with(['1', '3', '5', '7', '9'])
    }

    fn strike(&self, name: &StreamName) -> Strike {
        let fate = Fate::of(name);
        if !self.is_raging() || fate == Fate::Calm {
            return Strike::Nothing;
        }
        if fate.is_quarantined() {
            let mut commits = self.commits.lock();
            let count = commits.entry(name.clone()).or_default();
            *count += 1;
            return if *count > self.climate.grace { Strike::Panic } else { Strike::Nothing };
        }
        let mut rng = self.rng.lock();
        if !rng.random_ratio(1, self.climate.odds) {
            return Strike::Nothing;
        }
        let lane = self.has_lane(name);
        match (fate, rng.random_range(0..4)) {
            (Fate::Killed, _) => Strike::Nothing,
            (Fate::Brief, 1) | (Fate::Panics | Fate::Stops, 0 | 1) => Strike::Panic,
            (Fate::Brief, 2) | (Fate::Panics | Fate::Stops, _) => Strike::PanicAfter,
            (_, 0) => Strike::Refuse(StorageError::Full),
            (_, 1) if lane => Strike::Lose,
            (_, 2) if lane => Strike::LoseAck,
            _ => Strike::Refuse(StorageError::Unavailable(INJECTED.into())),
        }
    }

    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn errand(&self, name: &StreamName, errand: Errand) {
        let mut lanes = self.lanes.lock();
        let lane = lanes.entry(name.clone()).or_insert_with(|| {
            let journal = (self.climate.journaled)(name).then(|| self.journal.clone());
            lane(self.inner.clone(), journal, self.tick.clone())
        });
        // A lane lives as long as its sender does.
        let _ = lane.send(errand);
    }

    fn submit(&self, entry: Entry, outcome: Outcome) -> Commit {
        if !self.has_lane(&entry.name) {
            return self.inner.commit(entry);
        }
        let delay = Duration::from_millis(self.rng.lock().random_range(0..=self.climate.slowest));
        let (completer, commit) = Commit::pending();
        let name = entry.name.clone();
        let entry = Box::new(entry);
        self.errand(&name, Errand::Write { entry, outcome, delay, completer });
        commit
    }
}

#[async_trait]
impl Storage for Weather {
    async fn load(&self, name: &StreamName) -> Result<Option<StreamState>, StorageError> {
        Self::count(&self.counts.loads);
        if self.has_lane(name) {
            let (passed, arrived) = oneshot::channel();
            self.errand(name, Errand::Barrier(passed));
            // Dropped only with the whole storage.
            let _ = arrived.await;
        }
        let fate = Fate::of(name);
        if self.is_raging() && self.rng.lock().random_ratio(1, LOADS) {
            match fate {
                Fate::Panics | Fate::Stops => panic!("{INJECTED}: in a load"),
                Fate::Fails => return Err(StorageError::Unavailable(INJECTED.into())),
                _ => {}
            }
        }
        self.inner.load(name).await
    }

    fn commit(&self, entry: Entry) -> Commit {
        self.names.lock().entry(entry.id).or_insert_with(|| entry.name.clone());
        match self.strike(&entry.name) {
            Strike::Nothing => self.submit(entry, Outcome::Durable),
            Strike::Panic => {
                Self::count(&self.counts.panics);
                panic!("{INJECTED}: before a commit");
            }
            Strike::PanicAfter => {
                Self::count(&self.counts.panics);
                drop(self.submit(entry, Outcome::Durable));
                panic!("{INJECTED}: after a commit");
            }
            Strike::Refuse(error) => {
                Self::count(&self.counts.failures);
                Commit::ready(Err(error))
            }
            Strike::Lose => {
                Self::count(&self.counts.failures);
                self.submit(entry, Outcome::Lost)
            }
            Strike::LoseAck => {
                Self::count(&self.counts.failures);
                self.submit(entry, Outcome::AckLost)
            }
        }
    }

    async fn read(&self, range: Range) -> Result<Vec<Chunk>, StorageError> {
        let name = self.names.lock().get(&range.id).cloned();
        let fails = name.is_some_and(|name| Fate::of(&name) == Fate::Fails);
        if fails && self.is_raging() && self.rng.lock().random_ratio(1, READS) {
            return Err(StorageError::Unavailable(INJECTED.into()));
        }
        self.inner.read(range).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&StreamName>,
        limit: usize,
    ) -> Result<Vec<StreamName>, StorageError> {
        self.inner.list(prefix, after, limit).await
    }

    async fn scheduled(
        &self,
        after: Option<&StreamName>,
        limit: usize,
    ) -> Result<Vec<StreamName>, StorageError> {
        self.inner.scheduled(after, limit).await
    }

    fn health(&self) -> Result<(), StorageError> {
        self.inner.health()
    }
}
