//! A storage that obeys the contract and fails on command.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use memchr::memmem;
use parking_lot::Mutex;
use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::{Record, StreamState};
use streamkeeper_storage::{
    Chunk, Commit, Completer, Entry, MemoryStorage, Range, Storage, StorageError,
};
use tokio::sync::Notify;
use tokio::time::sleep;

/// A commit of a message that holds this panics, every time, and writes nothing.
pub const PANIC: &[u8] = b"<panic>";
/// A commit of a message that holds this panics the first time that these bytes come, unwritten.
pub const PANIC_ONCE: &[u8] = b"<panic once>";
/// A commit of a message that holds this panics after it was written.
pub const PANIC_AFTER: &[u8] = b"<panic after>";

/// When a commit becomes durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pace {
    /// At once.
    #[default]
    AtOnce,
    /// When the test says so.
    OnCommand,
    /// After so long.
    After(Duration),
}

/// Memory behind faults.
#[derive(Debug, Default)]
pub struct FaultyStorage {
    inner: Arc<MemoryStorage>,
    plan: Arc<Mutex<Plan>>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Plan {
    pace: Pace,
    /// Commits that are accepted and not durable, oldest first.
    held: HashMap<StreamName, VecDeque<(Entry, Completer)>>,
    /// What the next appends are refused with at once.
    refusals: VecDeque<StorageError>,
    /// What the next appends are accepted for and then fail with.
    failures: VecDeque<StorageError>,
    /// What every append is refused with.
    refuse_all: Option<StorageError>,
    /// What every load fails with.
    load_error: Option<StorageError>,
    /// What every read fails with.
    read_error: Option<StorageError>,
    /// The payloads that have panicked once.
    panicked: HashSet<Vec<u8>>,
}

impl FaultyStorage {
    /// Sets when commits become durable. What is held becomes durable now, unless it is still to be
    /// held.
    pub fn pace(&self, pace: Pace) {
        let mut plan = self.plan.lock();
        plan.pace = pace;
        if pace != Pace::OnCommand {
            let names: Vec<_> = plan.held.keys().cloned().collect();
            for name in names {
                while plan.complete(&self.inner, &name) {}
            }
        }
    }

    /// Makes the oldest held commit of a stream durable.
    ///
    /// # Panics
    ///
    /// There is none.
    pub fn complete(&self, name: &str) {
        let done = self.plan.lock().complete(&self.inner, &stream_name(name));
        assert!(done, "no commit of {name} is held");
    }

    /// Fails the oldest held commit of a stream, and with it all that follow it.
    pub fn fail_held(&self, name: &str, error: &StorageError) {
        self.plan.lock().fail(&stream_name(name), error);
    }

    /// Refuses the next append at once.
    pub fn refuse_next(&self, error: StorageError) {
        self.plan.lock().refusals.push_back(error);
    }

    /// Refuses every append at once, or none.
    pub fn refuse_all(&self, error: Option<StorageError>) {
        self.plan.lock().refuse_all = error;
    }

    /// Accepts the next append, and lets it fail a little later.
    pub fn fail_next(&self, error: StorageError) {
        self.plan.lock().failures.push_back(error);
    }

    /// Lets every load fail, or none.
    pub fn fail_loads(&self, error: Option<StorageError>) {
        self.plan.lock().load_error = error;
    }

    /// How many commits of a stream are accepted and not durable.
    pub fn held(&self, name: &str) -> usize {
        self.plan.lock().held.get(&stream_name(name)).map_or(0, VecDeque::len)
    }

    /// Lets every read fail, or none.
    pub fn fail_reads(&self, error: Option<StorageError>) {
        self.plan.lock().read_error = error;
    }

    /// Waits until so many commits of a stream are held.
    pub async fn until_held(&self, name: &str, count: usize) {
        crate::eventually("commits are held", async || {
            let _ = tokio::time::timeout(Duration::from_millis(20), self.changed.notified()).await;
            self.held(name) >= count
        })
        .await;
    }

    /// Whether a record follows the last one that was accepted.
    fn follows(&self, plan: &Plan, entry: &Entry) -> Result<(), StorageError> {
        let loaded = self.inner.load(&entry.name).now_or_never();
        let mut accepted = loaded.expect("memory does not wait")?;
        for (held, _) in plan.held.get(&entry.name).into_iter().flatten() {
            StreamState::fold(&mut accepted, &held.record);
        }
        let creates = matches!(entry.record, Record::Created { .. });
        match accepted {
            None if creates && entry.follows == 0 => Ok(()),
            None => Err(StorageError::NotFound),
            Some(state) if !creates && state.version == entry.follows => Ok(()),
            Some(_) => Err(StorageError::Conflict),
        }
    }

    fn complete_later(&self, name: StreamName, delay: Duration, error: Option<StorageError>) {
        let (plan, inner) = (self.plan.clone(), self.inner.clone());
        tokio::spawn(async move {
            sleep(delay).await;
            match error {
                Some(error) => plan.lock().fail(&name, &error),
                None => drop(plan.lock().complete(&inner, &name)),
            }
        });
    }
}

impl Plan {
    fn complete(&mut self, inner: &MemoryStorage, name: &StreamName) -> bool {
        let Some((entry, completer)) = self.held.get_mut(name).and_then(VecDeque::pop_front) else {
            return false;
        };
        let outcome = inner.commit(entry).try_outcome().expect("memory does not wait");
        completer.complete(outcome);
        true
    }

    fn fail(&mut self, name: &StreamName, error: &StorageError) {
        for (_, completer) in self.held.remove(name).into_iter().flatten() {
            completer.complete(Err(error.clone()));
        }
    }
}

#[async_trait]
impl Storage for FaultyStorage {
    async fn load(&self, name: &StreamName) -> Result<Option<StreamState>, StorageError> {
        if let Some(error) = self.plan.lock().load_error.clone() {
            return Err(error);
        }
        // The contract: it waits for what was accepted before it.
        while self.plan.lock().held.get(name).is_some_and(|held| !held.is_empty()) {
            sleep(Duration::from_millis(2)).await;
        }
        self.inner.load(name).await
    }

    fn commit(&self, entry: Entry) -> Commit {
        let appends = matches!(entry.record, Record::Appended { .. });
        let payload = entry.record.batch().map(|batch| batch.payload().to_vec());
        let payload = payload.unwrap_or_default();
        let holds = |marker: &[u8]| memmem::find(&payload, marker).is_some();
        let mut plan = self.plan.lock();
        if holds(PANIC) || (holds(PANIC_ONCE) && plan.panicked.insert(payload.clone())) {
            drop(plan);
            panic!("injected: before the commit");
        }
        if holds(PANIC_AFTER) {
            let written = self.inner.commit(entry).try_outcome();
            drop(plan);
            panic!("injected: after the commit, {written:?}");
        }
        if appends && let Some(error) = plan.refusals.pop_front().or(plan.refuse_all.clone()) {
            return Commit::ready(Err(error));
        }
        if let Err(error) = self.follows(&plan, &entry) {
            return Commit::ready(Err(error));
        }
        let failure = appends.then(|| plan.failures.pop_front()).flatten();
        let name = entry.name.clone();
        let waits = plan.held.get(&name).is_some_and(|held| !held.is_empty());
        if plan.pace == Pace::AtOnce && failure.is_none() && !waits {
            return self.inner.commit(entry);
        }
        let (completer, commit) = Commit::pending();
        plan.held.entry(name.clone()).or_default().push_back((entry, completer));
        let pace = plan.pace;
        drop(plan);
        match (pace, failure) {
            (Pace::After(delay), failure) => self.complete_later(name, delay, failure),
            (_, Some(error)) => self.complete_later(name, Duration::from_millis(20), Some(error)),
            (Pace::AtOnce, None) => self.complete_later(name, Duration::from_millis(20), None),
            (Pace::OnCommand, None) => {}
        }
        self.changed.notify_waiters();
        commit
    }

    async fn read(&self, range: Range) -> Result<Vec<Chunk>, StorageError> {
        if let Some(error) = self.plan.lock().read_error.clone() {
            return Err(error);
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
        Ok(())
    }
}

/// The name of a stream, given as a name or as the path of its URL.
fn stream_name(text: &str) -> StreamName {
    let name = text.strip_prefix(crate::stream::MOUNT).map_or(text, |rest| &rest[1..]);
    StreamName::new(name).expect("a test's name is valid")
}
