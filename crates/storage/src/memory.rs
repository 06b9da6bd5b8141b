//! The in-memory backend: durable as long as the process lives.

mod log;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry as Slot;
use parking_lot::Mutex;
use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::{Record, StreamId, StreamState};

use self::log::Log;
use crate::{Chunk, Commit, Entry, Range, Storage, StorageError};

/// Keeps streams in memory, up to a limit.
#[derive(Debug)]
pub struct MemoryStorage {
    streams: DashMap<StreamId, Arc<Mutex<Stream>>>,
    names: DashMap<StreamName, StreamId>,
    used: AtomicU64,
    limit: u64,
}

#[derive(Debug)]
struct Stream {
    /// `None` once the stream is gone, for those who still hold it.
    state: Option<StreamState>,
    log: Log,
}

impl MemoryStorage {
    /// The default limit on stored bytes: 4 GiB.
    pub const DEFAULT_LIMIT: u64 = 4 << 30;

    /// An empty storage with the default limit.
    pub fn new() -> Self {
        Self::with_limit(Self::DEFAULT_LIMIT)
    }

    /// An empty storage that answers [`StorageError::Full`] to appends beyond `limit` bytes of
    /// messages. Closing, deleting and truncating always succeed.
    pub fn with_limit(limit: u64) -> Self {
        Self { streams: DashMap::new(), names: DashMap::new(), used: AtomicU64::new(0), limit }
    }

    fn create(&self, entry: Entry) -> Result<(), StorageError> {
        let Slot::Vacant(name) = self.names.entry(entry.name) else {
            return Err(StorageError::Conflict);
        };
        self.reserve(&entry.record)?;
        let mut stream = Stream { state: None, log: Log::default() };
        stream.apply(&entry.record);
        self.streams.insert(entry.id, Arc::new(Mutex::new(stream)));
        name.insert(entry.id);
        Ok(())
    }

    fn append(&self, entry: Entry) -> Result<(), StorageError> {
        let stream = self.stream(entry.id).ok_or(StorageError::NotFound)?;
        let mut stream = stream.lock();
        let version = stream.state.as_ref().map(|state| state.version);
        if version != Some(entry.follows) {
            return Err(version.map_or(StorageError::NotFound, |_| StorageError::Conflict));
        }
        self.reserve(&entry.record)?;
        let released = stream.apply(&entry.record);
        self.used.fetch_sub(released, Ordering::Relaxed);
        if stream.state.is_none() {
            self.streams.remove(&entry.id);
            self.names.remove_if(&entry.name, |_, id| *id == entry.id);
        }
        Ok(())
    }

    fn stream(&self, id: StreamId) -> Option<Arc<Mutex<Stream>>> {
        self.streams.get(&id).map(|stream| stream.clone())
    }

    /// Counts the bytes that a record adds, unless they are beyond the limit.
    fn reserve(&self, record: &Record) -> Result<(), StorageError> {
        let size = record.batch().map_or(0, |batch| batch.size());
        if size == 0 {
            return Ok(());
        }
        let reserve = |used: u64| used.checked_add(size).filter(|used| *used <= self.limit);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, reserve)
            .map(|_| ())
            .map_err(|_| StorageError::Full)
    }
}

impl Default for MemoryStorage {
    fn default() -> Self {
        Self::new()
    }
}

impl Stream {
    /// Folds the record in; returns how many bytes it set free.
    fn apply(&mut self, record: &Record) -> u64 {
        let position = match (&self.state, record) {
            (Some(state), _) => state.tail,
            (None, Record::Created { origin: Some(origin), .. }) => origin.point(),
            (None, _) => 0,
        };
        StreamState::fold(&mut self.state, record);
        if let Some(batch) = record.batch() {
            self.log.push(Chunk { position, batch: batch.clone() });
        }
        match &self.state {
            Some(state) => self.log.truncate_before(state.kept()),
            None => self.log.truncate_before(u64::MAX),
        }
    }
}

#[async_trait]
impl Storage for MemoryStorage {
    async fn load(&self, name: &StreamName) -> Result<Option<StreamState>, StorageError> {
        let id = self.names.get(name).map(|id| *id);
        let stream = id.and_then(|id| self.stream(id));
        Ok(stream.and_then(|stream| stream.lock().state.clone()))
    }

    fn commit(&self, entry: Entry) -> Commit {
        Commit::ready(match entry.record {
            Record::Created { .. } if entry.follows == 0 => self.create(entry),
            Record::Created { .. } => Err(StorageError::Conflict),
            _ => self.append(entry),
        })
    }

    async fn read(&self, range: Range) -> Result<Vec<Chunk>, StorageError> {
        let stream = self.stream(range.id).ok_or(StorageError::NotFound)?;
        let stream = stream.lock();
        Ok(stream.log.read(range.from, range.until, range.max_bytes))
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&StreamName>,
        limit: usize,
    ) -> Result<Vec<StreamName>, StorageError> {
        let names = self.names.iter().filter(|entry| entry.key().as_str().starts_with(prefix));
        let names = names.filter(|entry| after.is_none_or(|after| entry.key() > after));
        Ok(first(names.map(|entry| entry.key().clone()).collect(), limit))
    }

    async fn scheduled(
        &self,
        after: Option<&StreamName>,
        limit: usize,
    ) -> Result<Vec<StreamName>, StorageError> {
        let names = self.names.iter();
        let names = names.filter(|entry| after.is_none_or(|after| entry.key() > after));
        let names: Vec<_> = names.map(|entry| (entry.key().clone(), *entry.value())).collect();
        let scheduled = |id| {
            let stream = self.stream(id);
            let is = |stream: Arc<Mutex<Stream>>| {
                stream.lock().state.as_ref().is_some_and(StreamState::is_scheduled)
            };
            stream.is_some_and(is)
        };
        let names = names.into_iter().filter(|(_, id)| scheduled(*id)).map(|(name, _)| name);
        Ok(first(names.collect(), limit))
    }

    fn health(&self) -> Result<(), StorageError> {
        Ok(())
    }
}

/// The first names, sorted, at most `limit`.
fn first(mut names: Vec<StreamName>, limit: usize) -> Vec<StreamName> {
    if names.len() > limit && limit > 0 {
        names.select_nth_unstable(limit - 1);
    }
    names.truncate(limit);
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::storage_contract!(async { MemoryStorage::new() });

    #[tokio::test]
    async fn appends_beyond_the_limit_are_refused_until_there_is_space() {
        let storage = MemoryStorage::with_limit(10);
        crate::contract::full_storage_refuses_appends_and_recovers(&storage, 10).await;
    }
}
