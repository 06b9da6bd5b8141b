//! The storage contract of Streamkeeper, its in-memory backend, and the tests every backend passes.
//!
//! A backend keeps, for every stream, the fold of its records ([`StreamState`]) and its messages.
//! It has one way to write, [`Storage::commit`]: one record, atomically, on condition that nobody
//! else wrote since. Creation, deletion and truncation are records too.
//!
//! [`StreamState`]: streamkeeper_protocol::stream::StreamState

mod chunk;
mod commit;
pub mod contract;
mod error;
mod memory;
mod storage;

pub use chunk::Chunk;
pub use commit::{Commit, Completer};
pub use error::StorageError;
pub use memory::MemoryStorage;
pub use storage::{Entry, Range, Storage};
