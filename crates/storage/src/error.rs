//! What can go wrong in storage, as coarse as callers act on it.

/// What can go wrong in storage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// No such stream, or no longer.
    #[error("the stream is not in storage")]
    NotFound,
    /// Somebody else wrote since the version that the commit was conditional on.
    #[error("the stream has changed since")]
    Conflict,
    /// This node no longer owns the stream.
    #[error("this node no longer owns the stream")]
    Fenced,
    /// No space is left; reads go on, and writes do once there is space again.
    #[error("the storage is full")]
    Full,
    /// What is stored fails its checks; nothing of it is served.
    #[error("the stored data is corrupt: {0}")]
    Corrupt(String),
    /// The storage cannot be used now.
    #[error("the storage is unavailable: {0}")]
    Unavailable(String),
}

impl StorageError {
    /// Whether a commit that fails so has surely left nothing behind.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::NotFound | Self::Conflict | Self::Fenced | Self::Full)
    }

    /// Whether the same request may succeed later without anybody's help.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Conflict | Self::Full | Self::Unavailable(_) => true,
            Self::NotFound | Self::Fenced | Self::Corrupt(_) => false,
        }
    }
}
