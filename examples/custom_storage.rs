//! A storage backend of one's own: one map under one lock, and the contract that it keeps.
//!
//! ```sh
//! cargo run -p streamkeeper-examples --example custom_storage
//! cargo test -p streamkeeper-examples --example custom_storage
//! ```
//!
//! The second command runs `streamkeeper_storage::storage_contract!`, the tests that every backend
//! has to pass. This one is durable at once, so its commits are ready when they are returned; one that
//! waits for a disk or a network returns `Commit::pending()` and completes it later.

#![expect(clippy::print_stdout, reason = "an example tells what it does")]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use streamkeeper::{CreateRequest, ReadFrom, StreamName, Streamkeeper};
use streamkeeper_protocol::stream::{Record, StreamId, StreamState};
use streamkeeper_storage::{Chunk, Commit, Entry, Range, Storage, StorageError};

/// Streams by name, sorted.
#[derive(Default)]
struct Shelf(Mutex<BTreeMap<StreamName, Life>>);

/// One life of a stream: the fold of its records, and its messages.
#[derive(Default)]
struct Life {
    state: Option<StreamState>,
    chunks: Vec<Chunk>,
}

impl Life {
    fn is(&self, id: StreamId) -> bool {
        self.state.as_ref().is_some_and(|state| state.id == id)
    }
}

impl Shelf {
    fn lives(&self) -> MutexGuard<'_, BTreeMap<StreamName, Life>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes one record, if it follows the last one.
    fn write(&self, entry: Entry) -> Result<(), StorageError> {
        let mut lives = self.lives();
        let begins = matches!(entry.record, Record::Created { .. });
        match lives.get(&entry.name).and_then(|life| life.state.as_ref()) {
            None if begins && entry.follows == 0 => {}
            None => return Err(StorageError::NotFound),
            Some(_) if begins => return Err(StorageError::Conflict),
            Some(state) if state.id != entry.id => return Err(StorageError::NotFound),
            Some(state) if state.version != entry.follows => return Err(StorageError::Conflict),
            Some(_) => {}
        }
        let life = lives.entry(entry.name.clone()).or_default();
        StreamState::fold(&mut life.state, &entry.record);
        let Some(state) = &life.state else {
            // That was the last record of this life: the name is free again.
            lives.remove(&entry.name);
            return Ok(());
        };
        if let Some(batch) = entry.record.batch() {
            let position = state.tail - batch.size();
            life.chunks.push(Chunk { position, batch: batch.clone() });
        }
        // Retention, or a fork that let go, may have left messages that nobody needs.
        let kept = state.kept();
        life.chunks.retain(|chunk| chunk.end() > kept);
        Ok(())
    }
}

#[async_trait]
impl Storage for Shelf {
    async fn load(&self, name: &StreamName) -> Result<Option<StreamState>, StorageError> {
        Ok(self.lives().get(name).and_then(|life| life.state.clone()))
    }

    fn commit(&self, entry: Entry) -> Commit {
        Commit::ready(self.write(entry))
    }

    async fn read(&self, range: Range) -> Result<Vec<Chunk>, StorageError> {
        let lives = self.lives();
        let life = lives.values().find(|life| life.is(range.id)).ok_or(StorageError::NotFound)?;
        let first = life.chunks.partition_point(|chunk| chunk.end() <= range.from);
        let mut page: Vec<Chunk> = Vec::new();
        let mut room = range.max_bytes;
        for chunk in &life.chunks[first..] {
            // Only the first message of a page may be larger than the page.
            let fits = chunk.messages().next().is_some_and(|(begin, end)| end - begin <= room);
            if !page.is_empty() && !fits {
                break;
            }
            let Some(slice) = chunk.slice(range.from, range.until, room) else { break };
            let whole = slice.end() == chunk.end();
            room = room.saturating_sub(slice.batch.size());
            page.push(slice);
            if !whole {
                break;
            }
        }
        Ok(page)
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&StreamName>,
        limit: usize,
    ) -> Result<Vec<StreamName>, StorageError> {
        let lives = self.lives();
        let names = lives.keys().filter(|name| name.as_str().starts_with(prefix));
        Ok(names.filter(|name| after < Some(name)).take(limit).cloned().collect())
    }

    fn health(&self) -> Result<(), StorageError> {
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let shelf = Arc::new(Shelf::default());
    let name = StreamName::new("kept")?;
    let request = CreateRequest { body: "on the shelf".into(), ..Default::default() };

    let first = Streamkeeper::builder().storage(shelf.clone()).start().await?;
    let created = first.create(&name, request).await?;
    println!("the first system created {name} up to {}", created.next_offset);
    first.shutdown(Duration::from_secs(5)).await;

    // What a system knows is in its storage: a second one goes on where the first has stopped.
    let second = Streamkeeper::builder().storage(shelf).start().await?;
    let page = second.read(&name, ReadFrom::Start, 1 << 20).await?;
    println!("the second system reads {:?}", page.payloads());
    second.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Shelf;

    streamkeeper_storage::storage_contract!(async { Shelf::default() });
}
