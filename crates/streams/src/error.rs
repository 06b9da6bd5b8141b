//! What can go wrong: one enum an operation.

use std::sync::Arc;

use streamkeeper_protocol::json::InvalidJson;
use streamkeeper_protocol::stream::{
    AppendRejection, CreateRejection, DeleteRejection, ForkRejection, InvalidSubOffset, Trimmed,
};
use streamkeeper_storage::StorageError;

/// Why a stream cannot be served now, whatever was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// Too many bytes of requests wait already; nothing was done.
    #[error("too many requests are waiting")]
    Overloaded,
    /// The stream is being started again; nothing was done.
    #[error("the stream is being restarted")]
    Restarting,
    /// The stream crashed too often and is kept down; what is durable can still be read.
    #[error("the stream crashed too often and is kept down; the last cause: {reason}")]
    Quarantined {
        /// The last crash.
        reason: Arc<str>,
    },
    /// The stream crashed under the request: it may or may not have been done. A producer's retry is
    /// safe.
    #[error("the stream failed while it served the request; its outcome is unknown")]
    OutcomeUnknown,
    /// The system is shutting down; nothing was done.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// The storage failed.
    #[error(transparent)]
    Storage(StorageError),
}

/// Why a stream was not created.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// The protocol refuses.
    #[error(transparent)]
    Rejected(#[from] CreateRejection),
    /// The source of the fork refuses.
    #[error(transparent)]
    Fork(#[from] ForkRejection),
    /// The sub-offset of the fork names no position.
    #[error(transparent)]
    SubOffset(#[from] InvalidSubOffset),
    /// The body of a JSON stream is not JSON.
    #[error(transparent)]
    InvalidJson(#[from] InvalidJson),
    /// The stream, or the source of the fork, cannot be served now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why an append was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The protocol refuses.
    #[error(transparent)]
    Rejected(#[from] AppendRejection),
    /// The body for a JSON stream is not JSON.
    #[error(transparent)]
    InvalidJson(#[from] InvalidJson),
    /// The body for a JSON stream is an empty array (section 9.1.3).
    #[error("an empty JSON array appends nothing")]
    EmptyArray,
    /// The stream cannot be served now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why a stream was not deleted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeleteError {
    /// The protocol refuses.
    #[error(transparent)]
    Rejected(#[from] DeleteRejection),
    /// The stream cannot be served now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why a stream could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is no such stream.
    #[error("the stream does not exist")]
    NotFound,
    /// It was deleted and lives on for its forks.
    #[error("the stream was deleted")]
    Gone,
    /// Retention has dropped what was asked for.
    #[error(transparent)]
    Trimmed(#[from] Trimmed),
    /// The stream cannot be served now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why streams could not be listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// The storage cannot be asked now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<StorageError> for Unavailable {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<StorageError> for ReadError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::NotFound => Self::NotFound,
            other => Self::Unavailable(other.into()),
        }
    }
}
