//! A restart policy of one's own, and what it does for a stream that keeps crashing.
//!
//! ```sh
//! cargo run -p streamkeeper-examples --example custom_restart_policy
//! ```
//!
//! Two things are watched: what the policy decides, and what the supervision events tell.
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
use futures::StreamExt;
use streamkeeper::supervisor::{ExitReason, Incident, Intensity, RestartPolicy, Verdict};
use streamkeeper::{
    AppendRequest, Appended, CreateRequest, ReadFrom, StreamName, Streamkeeper, SupervisionEvent,
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
    let mut events = keeper.events();
    let watcher = tokio::spawn(async move {
        let mut words = Vec::new();
        while let Some(event) = events.next().await {
            println!("  event: {event:?}");
            words.extend(word(&event));
        }
        words
    });
    for name in [&poison, &healthy] {
        keeper.create(name, CreateRequest::bytes().body("created;")).await?;
    }

    while keeper.quarantined().is_empty() {
        println!("append to both");
        for name in [&poison, &healthy] {
            match append(&keeper, name).await {
                Ok(appended) => println!("  {name}: appended up to {}", appended.next_offset),
                Err(error) => println!("  {name}: {error}"),
            }
        }
        // A crash is answered before the supervisor has learned of it.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    for name in [&poison, &healthy] {
        let page = keeper.read(name, ReadFrom::Start, 1 << 20).await?;
        println!("{name} reads {:?}", page.payloads());
    }

    for stream in keeper.quarantined() {
        println!("{} is kept down: {}", stream.name, stream.reason);
    }
    storage.repaired.store(true, Ordering::Relaxed);
    println!("repaired; lifted: {}", keeper.lift_quarantine(&poison).await?);
    println!("{poison}: appended up to {}", append(&keeper, &poison).await?.next_offset);
    keeper.shutdown(Duration::from_secs(5)).await;

    // The events end with the system.
    let words = watcher.await?;
    let count = |word| words.iter().filter(|told| **told == word).count();
    assert_eq!((count("crashed"), count("restarting"), count("quarantined")), (4, 3, 1));
    Ok(())
}

/// What happened to the stream `poison`, in a word.
fn word(event: &SupervisionEvent) -> Option<&'static str> {
    match event {
        _ if event.name().is_none_or(|name| name.as_str() != "poison") => None,
        SupervisionEvent::Crashed { .. } => Some("crashed"),
        SupervisionEvent::Restarting { .. } => Some("restarting"),
        SupervisionEvent::Quarantined { .. } => Some("quarantined"),
        _ => None,
    }
}

/// Appends; waits, as every request does, while the stream is being started again.
async fn append(keeper: &Streamkeeper, name: &StreamName) -> Result<Appended, Box<dyn Error>> {
    Ok(keeper.append(name, AppendRequest::bytes("more;")).await?)
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

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() {
        super::main().expect("it runs");
    }
}
