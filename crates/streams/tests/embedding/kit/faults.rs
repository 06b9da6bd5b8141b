//! What can happen to a commit, and which commits it happens to.

use std::sync::Arc;

use streamkeeper_protocol::stream::Record;
use streamkeeper_storage::{Entry, Range, StorageError};
use tokio::sync::Semaphore;

/// What the storage does with one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Durable at once.
    None,
    /// Accepted; durable when the test releases it.
    Hold,
    /// Accepted; durable after a moment, in order.
    Slow,
    /// Refused outright.
    Refuse(StorageError),
    /// Accepted, and failed before the call returns to whoever waits.
    Fail(StorageError),
    /// Written, but the outcome says that it failed: a lost acknowledgement.
    LoseAck(StorageError),
    /// Crash the caller before anything is written.
    Panic,
    /// Crash the caller when everything is written.
    PanicAfter,
}

/// Decides on a fault for each commit.
pub(crate) type Script = Box<dyn FnMut(&Entry) -> Fault + Send>;

/// What the storage does with one read.
#[derive(Debug, Clone)]
pub(crate) enum ReadFault {
    /// Done at once.
    None,
    /// Done when the gate lets it through.
    Wait(Arc<Semaphore>),
    /// Failed.
    Fail(StorageError),
    /// Crash the caller.
    Panic,
}

/// Decides on a fault for each read.
pub(crate) type ReadScript = Box<dyn FnMut(&Range) -> ReadFault + Send>;

/// The kind of a record, in one word.
pub(crate) fn kind(record: &Record) -> &'static str {
    match record {
        Record::Created { .. } => "create",
        Record::Appended { batch: Some(_), .. } => "append",
        Record::Appended { batch: None, .. } => "close",
        Record::Touched { .. } => "touch",
        Record::Truncated { .. } => "truncate",
        Record::ForkAdded { .. } => "fork",
        Record::ForkReleased { .. } => "release",
        Record::SoftDeleted => "soft-delete",
        Record::Deleted => "delete",
    }
}

/// The fault for every commit of one kind to one stream.
pub(crate) fn when(name: &str, wanted: &'static str, fault: Fault) -> Script {
    let name = name.to_owned();
    Box::new(move |entry| {
        let hit = entry.name.as_str() == name && kind(&entry.record) == wanted;
        if hit { fault.clone() } else { Fault::None }
    })
}
