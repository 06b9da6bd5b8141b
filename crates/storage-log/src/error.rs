//! Why a log was not opened.

use std::io;

use streamkeeper_storage::StorageError;

/// Why a log was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the data directory is in use by another process")]
    InUse,
    /// It was written by another version.
    #[error("the data directory has the format `{0}`, which this version does not read")]
    Format(String),
    /// What is stored fails its checks.
    #[error(transparent)]
    Storage(StorageError),
    /// The file system failed.
    #[error("cannot open the data directory: {0}")]
    Io(#[from] io::Error),
}
