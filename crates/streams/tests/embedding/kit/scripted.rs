//! A storage that keeps the contract and goes wrong where a test tells it to.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use parking_lot::Mutex;
use streamkeeper::StreamName;
use streamkeeper_protocol::stream::{Record, StreamState};
use streamkeeper_storage::{
    Chunk, Commit, Completer, Entry, MemoryStorage, Range, Storage, StorageError,
};
use tokio::sync::oneshot;

use super::Fault;
use super::faults::Script;

/// A [`MemoryStorage`] behind a script.
pub(crate) struct Scripted {
    myself: Weak<Self>,
    inner: MemoryStorage,
    lanes: Mutex<HashMap<StreamName, Lane>>,
    script: Mutex<Script>,
    loads: Mutex<HashMap<StreamName, Loads>>,
    journal: Mutex<Vec<Entry>>,
}

/// How often a stream was loaded, and how often more that is to fail.
#[derive(Default)]
struct Loads {
    count: u64,
    failing: u64,
}

/// The commits of one stream that are accepted and not durable.
struct Lane {
    accepted: Option<StreamState>,
    held: VecDeque<Held>,
}

/// A commit that is accepted and not durable, and the loads that wait for it.
struct Held {
    entry: Entry,
    completer: Completer,
    loads: Vec<oneshot::Sender<()>>,
}

impl Scripted {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new_cyclic(|myself| Self {
            myself: myself.clone(),
            inner: MemoryStorage::new(),
            lanes: Mutex::default(),
            script: Mutex::new(Box::new(|_| Fault::None)),
            loads: Mutex::default(),
            journal: Mutex::default(),
        })
    }

    /// Asks the script about every commit from now on.
    pub(crate) fn script(&self, script: impl FnMut(&Entry) -> Fault + Send + 'static) {
        *self.script.lock() = Box::new(script);
    }

    /// Nothing goes wrong from now on. What is held stays held.
    pub(crate) fn calm(&self) {
        self.script(|_| Fault::None);
    }

    /// The next loads of a stream fail.
    pub(crate) fn fail_loads(&self, name: &StreamName, count: u64) {
        self.loads.lock().entry(name.clone()).or_default().failing = count;
    }

    /// How often a stream was loaded, in vain or not.
    pub(crate) fn loads(&self, name: &StreamName) -> u64 {
        self.loads.lock().get(name).map_or(0, |loads| loads.count)
    }

    /// All that was ever written, in the order in which it became durable.
    pub(crate) fn journal(&self) -> Vec<Entry> {
        self.journal.lock().clone()
    }

    /// How many commits of a stream are held.
    pub(crate) fn held(&self, name: &StreamName) -> usize {
        self.lanes.lock().get(name).map_or(0, |lane| lane.held.len())
    }

    /// Makes the oldest held commits of a stream durable; returns how many there were.
    pub(crate) fn release(&self, name: &StreamName, count: usize) -> usize {
        let mut lanes = self.lanes.lock();
        let Some(lane) = lanes.get_mut(name) else { return 0 };
        let count = count.min(lane.held.len());
        for held in lane.held.drain(..count) {
            // Under the lock, so that outcomes are told in order.
            held.completer.complete(self.write(held.entry));
        }
        if lane.held.is_empty() {
            lanes.remove(name);
        }
        count
    }

    /// Makes everything durable that is held.
    pub(crate) fn release_all(&self) {
        loop {
            let names: Vec<_> = self.lanes.lock().keys().cloned().collect();
            if names.iter().map(|name| self.release(name, usize::MAX)).sum::<usize>() == 0 {
                return;
            }
        }
    }

    /// Fails the oldest held commit of a stream, and with it all that follow.
    pub(crate) fn fail_held(&self, name: &StreamName, error: StorageError) {
        let mut lanes = self.lanes.lock();
        for held in lanes.remove(name).into_iter().flat_map(|lane| lane.held) {
            held.completer.complete(Err(error.clone()));
        }
    }

    /// What is durable of a stream.
    pub(crate) fn state(&self, name: &StreamName) -> Option<StreamState> {
        self.inner.load(name).now_or_never().expect("memory is ready").expect("memory loads")
    }

    fn write(&self, entry: Entry) -> Result<(), StorageError> {
        self.inner.commit(entry.clone()).now_or_never().expect("memory is ready")?;
        self.journal.lock().push(entry);
        Ok(())
    }

    /// Waits for the commits that were accepted until now.
    async fn accepted(&self, name: &StreamName) {
        let waiting = {
            let mut lanes = self.lanes.lock();
            let Some(last) = lanes.get_mut(name).and_then(|lane| lane.held.back_mut()) else {
                return;
            };
            let (sender, waiting) = oneshot::channel();
            last.loads.push(sender);
            waiting
        };
        // Dropped with the commit that it waits for.
        let _ = waiting.await;
    }

    /// What a commit must follow: the last record that was accepted.
    fn check(&self, lanes: &HashMap<StreamName, Lane>, entry: &Entry) -> Result<(), StorageError> {
        let accepted = match lanes.get(&entry.name) {
            Some(lane) => lane.accepted.clone(),
            None => self.state(&entry.name),
        };
        let created = matches!(entry.record, Record::Created { .. });
        match accepted {
            None if created && entry.follows == 0 => Ok(()),
            None => Err(StorageError::NotFound),
            Some(_) if created => Err(StorageError::Conflict),
            Some(state) if state.id != entry.id => Err(StorageError::NotFound),
            Some(state) if state.version != entry.follows => Err(StorageError::Conflict),
            Some(_) => Ok(()),
        }
    }

    fn hold(&self, lanes: &mut HashMap<StreamName, Lane>, entry: Entry) -> Commit {
        let durable = || Lane { accepted: self.state(&entry.name), held: VecDeque::new() };
        let lane = lanes.entry(entry.name.clone()).or_insert_with(durable);
        StreamState::fold(&mut lane.accepted, &entry.record);
        let (completer, commit) = Commit::pending();
        lane.held.push_back(Held { entry, completer, loads: Vec::new() });
        commit
    }

    /// Releases the oldest commit of a stream in a while.
    fn release_soon(&self, name: StreamName) {
        let Some(myself) = self.myself.upgrade() else { return };
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_micros(200)).await;
            myself.release(&name, 1);
        });
    }
}

#[async_trait]
impl Storage for Scripted {
    async fn load(&self, name: &StreamName) -> Result<Option<StreamState>, StorageError> {
        {
            let mut loads = self.loads.lock();
            let loads = loads.entry(name.clone()).or_default();
            loads.count += 1;
            if loads.failing > 0 {
                loads.failing -= 1;
                return Err(StorageError::Unavailable("scripted".into()));
            }
        }
        self.accepted(name).await;
        self.inner.load(name).await
    }

    fn commit(&self, entry: Entry) -> Commit {
        let fault = (self.script.lock())(&entry);
        assert_ne!(fault, Fault::Panic, "scripted crash");
        if let Fault::Refuse(error) = fault {
            return Commit::ready(Err(error));
        }
        let mut lanes = self.lanes.lock();
        if let Err(error) = self.check(&lanes, &entry) {
            return Commit::ready(Err(error));
        }
        let name = entry.name.clone();
        match fault {
            Fault::Hold => return self.hold(&mut lanes, entry),
            Fault::None if !lanes.contains_key(&name) => {
                return Commit::ready(self.write(entry));
            }
            _ => {}
        }
        if let Fault::Fail(error) | Fault::LoseAck(error) = &fault {
            assert!(!lanes.contains_key(&name), "only without commits in flight");
            if matches!(fault, Fault::LoseAck(_)) {
                self.write(entry).expect("it was checked");
            }
            let (completer, commit) = Commit::pending();
            let error = error.clone();
            tokio::spawn(async move { completer.complete(Err(error)) });
            return commit;
        }
        let commit = self.hold(&mut lanes, entry);
        drop(lanes);
        if fault == Fault::PanicAfter {
            self.release(&name, usize::MAX);
            panic!("scripted crash");
        }
        self.release_soon(name);
        commit
    }

    async fn read(&self, range: Range) -> Result<Vec<Chunk>, StorageError> {
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

mod contract {
    use super::*;

    /// Holds every commit for a moment.
    fn slow() -> Arc<Scripted> {
        let storage = Scripted::new();
        storage.script(|_| Fault::Slow);
        storage
    }

    /// The script does not break what every backend promises.
    #[tokio::test]
    async fn a_slow_storage_keeps_the_contract() {
        use streamkeeper_storage::contract;
        contract::commits_may_be_in_flight_one_upon_the_other(&*slow()).await;
        contract::a_commit_must_follow_the_last_record(&*slow()).await;
        contract::a_refused_commit_changes_nothing(&*slow()).await;
        contract::a_deleted_stream_is_gone_and_its_name_is_free(&*slow()).await;
        contract::records_fold_into_the_state_that_is_loaded(&*slow()).await;
    }
}
