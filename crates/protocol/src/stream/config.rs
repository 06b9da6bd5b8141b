//! What a stream is created with and keeps for life.

use std::fmt;

use uuid::Uuid;

use super::{Expiry, Retention};
use crate::ContentType;

/// One life of a stream. A stream that is deleted and created again under its old name has a new
/// id, so no cache or reader can take the one for the other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(Uuid);

impl StreamId {
    /// Wraps a unique id, which the caller draws.
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The id as a UUID.
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.simple(), f)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The configuration of a stream, which never changes (section 5.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// Echoed on every read exactly as it was given.
    pub content_type: ContentType,
    /// When the stream ends by itself.
    pub expiry: Expiry,
    /// How much of it is kept.
    pub retention: Retention,
}
