//! The log behind its threads: the contract, and what becomes of threads that fail.

mod faults;
mod in_flight;
mod merging;
mod queue;
mod space;

use super::*;

/// A log in a directory that goes with it.
struct Temporary {
    log: LogStorage,
    _dir: tempfile::TempDir,
}

#[async_trait]
impl Storage for Temporary {
    async fn load(&self, name: &StreamName) -> Result<Option<StreamState>, StorageError> {
        self.log.load(name).await
    }

    fn commit(&self, entry: Entry) -> Commit {
        self.log.commit(entry)
    }

    async fn read(&self, range: Range) -> Result<Vec<Chunk>, StorageError> {
        self.log.read(range).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&StreamName>,
        limit: usize,
    ) -> Result<Vec<StreamName>, StorageError> {
        self.log.list(prefix, after, limit).await
    }

    fn health(&self) -> Result<(), StorageError> {
        self.log.health()
    }
}

fn temporary(options: LogOptions) -> Temporary {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = LogStorage::open(dir.path(), options).unwrap();
    Temporary { log, _dir: dir }
}

mod one_segment {
    use super::*;
    streamkeeper_storage::storage_contract!(async { temporary(LogOptions::default()) });
}

/// Segments so small that all but the last records are filed and merged under the test.
mod many_segments {
    use super::*;
    streamkeeper_storage::storage_contract!(async {
        let options = LogOptions { segment_bytes: 2048, merge_width: 3, ..Default::default() };
        temporary(options)
    });
}
