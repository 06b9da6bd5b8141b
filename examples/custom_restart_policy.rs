//! A restart policy of one's own, and what it does for a stream that keeps crashing.
//!
//! ```sh
//! cargo run -p streamkeeper-examples --example custom_restart_policy
//! ```
//!
//! The storage below loses its temper with one stream: each append to `poison` fails, and a stream
//! whose storage fails crashes on purpose. The policy starts it again, three times and each time a
//! little later; then it is quarantined: writes are refused with the reason, reads go on. The stream
//! `healthy` beside it notices nothing. At the end the storage is repaired and the quarantine lifted.

#![expect(clippy::print_stdout, reason = "an example tells what it does")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use streamkeeper::supervisor::{ExitReason, Incident, Intensity, RestartPolicy, Verdict};
use streamkeeper::{
    AppendRequest, Appended, ContentType, CreateRequest, ReadFrom, StreamName, Streamkeeper,
};
use streamkeeper_protocol::stream::{Record, StreamState};
use streamkeeper_storage::{Chunk, Commit, Entry, MemoryStorage, Range, Storage, StorageError};

/// Three restarts a minute, each later than the one before; then quarantine.
struct ThreeStrikes;

impl RestartPolicy for ThreeStrikes {
    fn decide(&self, incident: &Incident<'_>) -> Verdict {
        let verdict = match incident.exit {
            ExitReason::Normal | ExitReason::Shutdown => Verdict::Stop,
            _ if incident.restarts_in_period >= 3 => Verdict::Quarantine,
            _ => Verdict::Restart { after: Duration::from_millis(20) * (1 + incident.consecutive) },
        };
        println!("  policy: {} {}: {verdict:?}", incident.child, incident.exit);
        verdict
    }

    fn intensity(&self) -> Intensity {
        Intensity::new(3, Duration::from_secs(60))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let storage = Arc::new(FaultyStorage::default());
    let keeper =
        Streamkeeper::builder().storage(storage.clone()).policy(ThreeStrikes).start().await?;
    let poison = StreamName::new("poison")?;
    let healthy = StreamName::new("healthy")?;
    for name in [&poison, &healthy] {
        let request = CreateRequest { body: "created;".into(), ..Default::default() };
        keeper.create(name, request).await?;
    }

    for attempt in 1..=5 {
        println!("attempt {attempt}");
        for name in [&poison, &healthy] {
            match append(&keeper, name).await {
                Ok(appended) => println!("  {name}: appended up to {}", appended.next_offset),
                Err(error) => println!("  {name}: {error}"),
            }
        }
    }

    for name in [&poison, &healthy] {
        let page = keeper.read(name, ReadFrom::Start, 1 << 20).await?;
        println!("{name} reads {:?}", page.payloads());
    }

    storage.repaired.store(true, Ordering::Relaxed);
    println!("repaired; lifted: {}", keeper.lift_quarantine(&poison).await?);
    println!("{poison}: appended up to {}", append(&keeper, &poison).await?.next_offset);
    keeper.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

/// Appends; waits, as every request does, while the stream is being started again.
async fn append(keeper: &Streamkeeper, name: &StreamName) -> Result<Appended, Box<dyn Error>> {
    let content_type = Some(ContentType::default());
    let request = AppendRequest { content_type, body: "more;".into(), ..Default::default() };
    Ok(keeper.append(name, request).await?)
}

/// Memory, but for the appends of one stream.
#[derive(Default)]
struct FaultyStorage {
    memory: MemoryStorage,
    repaired: AtomicBool,
}

#[async_trait]
impl Storage for FaultyStorage {
    async fn load(&self, name: &StreamName) -> Result<Option<StreamState>, StorageError> {
        self.memory.load(name).await
    }

    fn commit(&self, entry: Entry) -> Commit {
        let append = matches!(entry.record, Record::Appended { .. });
        if append && entry.name.as_str() == "poison" && !self.repaired.load(Ordering::Relaxed) {
            return Commit::ready(Err(StorageError::Unavailable("a bad sector".into())));
        }
        self.memory.commit(entry)
    }

    async fn read(&self, range: Range) -> Result<Vec<Chunk>, StorageError> {
        self.memory.read(range).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&StreamName>,
        limit: usize,
    ) -> Result<Vec<StreamName>, StorageError> {
        self.memory.list(prefix, after, limit).await
    }

    async fn scheduled(
        &self,
        after: Option<&StreamName>,
        limit: usize,
    ) -> Result<Vec<StreamName>, StorageError> {
        self.memory.scheduled(after, limit).await
    }

    fn health(&self) -> Result<(), StorageError> {
        self.memory.health()
    }
}
