//! The commit pipeline: from handing a record to storage to its outcome.

use std::sync::Arc;

use bytes::Bytes;
use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use streamkeeper_protocol::stream::{Config, Expiry, Record, Retention, StreamId};
use streamkeeper_protocol::{Batch, ContentType, StreamName, Timestamp};
use streamkeeper_storage::{Entry, MemoryStorage, Storage};
use streamkeeper_storage_log::{LogOptions, LogStorage};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const NOW: Timestamp = Timestamp::from_millis(1_750_000_000_000);
const IN_FLIGHT: [usize; 3] = [1, 64, 1024];

fn main() {
    divan::main();
}

/// One stream in a storage, to which records are committed.
struct Stream {
    storage: Arc<dyn Storage>,
    runtime: Runtime,
    name: StreamName,
    version: u64,
    /// Where the storage keeps it, if it does.
    _dir: Option<TempDir>,
}

impl Stream {
    fn create(storage: Arc<dyn Storage>, dir: Option<TempDir>) -> Self {
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let name = StreamName::new("bench").expect("a name");
        let mut stream = Self { storage, runtime, name, version: 0, _dir: dir };
        let content_type = ContentType::parse("text/plain").expect("a content type");
        let created = Record::Created {
            id: Self::id(),
            config: Config { content_type, expiry: Expiry::Never, retention: Retention::default() },
            origin: None,
            batch: None,
            closed: false,
            at: NOW,
        };
        stream.commit([created]);
        stream
    }

    fn id() -> StreamId {
        StreamId::new(Uuid::from_u128(1))
    }

    /// Commits records, all in flight at once, and waits for their outcomes.
    fn commit(&mut self, records: impl IntoIterator<Item = Record>) {
        let mut commits = Vec::new();
        for record in records {
            let (name, follows) = (self.name.clone(), self.version);
            commits.push(self.storage.commit(Entry { name, id: Self::id(), follows, record }));
            self.version += 1;
        }
        self.runtime.block_on(async {
            for commit in commits {
                commit.await.expect("a commit");
            }
        });
    }

    fn append(&mut self, count: usize) {
        let record = Record::Appended {
            batch: Batch::one(Bytes::from_static(&[b'x'; 100])),
            producer: None,
            seq: None,
            closes: false,
            at: NOW,
        };
        self.commit(std::iter::repeat_n(record, count));
    }
}

#[divan::bench(args = IN_FLIGHT)]
fn commit_memory(bencher: Bencher<'_, '_>, in_flight: usize) {
    let mut stream = Stream::create(Arc::new(MemoryStorage::new()), None);
    bencher.counter(ItemsCount::new(in_flight)).bench_local(|| stream.append(in_flight));
}

#[divan::bench(args = IN_FLIGHT)]
fn commit_log(bencher: Bencher<'_, '_>, in_flight: usize) {
    let dir = tempfile::tempdir().expect("a directory");
    let (log, _) = LogStorage::open(dir.path(), LogOptions::default()).expect("a log");
    let mut stream = Stream::create(Arc::new(log), Some(dir));
    bencher.counter(ItemsCount::new(in_flight)).bench_local(|| stream.append(in_flight));
}
