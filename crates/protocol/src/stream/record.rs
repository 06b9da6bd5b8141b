//! Records: what happened to a stream, each one atomic write.

use super::{Config, Origin, StreamId};
use crate::{Batch, Producer, StreamSeq, Timestamp};

/// One thing that happened to a stream.
///
/// Everything that one request changes is in one record, so that storage can write it atomically:
/// an append, its producer state, its `Stream-Seq`, its closing and its TTL touch are never apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// The stream began; the first record of every life.
    Created {
        /// The life that begins.
        id: StreamId,
        /// Its configuration.
        config: Config,
        /// What it was forked from, if it is a fork.
        origin: Option<Box<Origin>>,
        /// Its first messages.
        batch: Option<Batch>,
        /// Whether it is closed from the beginning.
        closed: bool,
        /// When it happened.
        at: Timestamp,
    },
    /// Messages were appended, or the stream was closed, or both.
    Appended {
        /// The messages; `None` for a mere closing.
        batch: Option<Batch>,
        /// The idempotent producer that wrote it.
        producer: Option<Producer>,
        /// The writer's sequence number.
        seq: Option<StreamSeq>,
        /// Whether the stream is closed by it.
        closes: bool,
        /// When it happened.
        at: Timestamp,
    },
    /// The stream was read; its TTL starts anew.
    Touched {
        /// When it happened.
        at: Timestamp,
    },
    /// Retention dropped everything before a position.
    Truncated {
        /// The position of the earliest message that is kept.
        before: u64,
        /// How many messages of this life lie before it, those dropped earlier included.
        messages: u64,
    },
    /// A fork took a reference on this stream.
    ForkAdded {
        /// The life of the fork.
        fork: StreamId,
        /// The position from which on it may read this stream.
        keeps: u64,
    },
    /// A fork let go of this stream. The last release ends a soft-deleted stream.
    ForkReleased {
        /// The life of the fork.
        fork: StreamId,
    },
    /// The stream was deleted or expired, and its data lives on for its forks.
    SoftDeleted,
    /// The stream was deleted or expired. The last record of a life.
    Deleted,
}

impl Record {
    /// The messages that the record adds, if any.
    pub fn batch(&self) -> Option<&Batch> {
        match self {
            Self::Created { batch, .. } | Self::Appended { batch, .. } => batch.as_ref(),
            _ => None,
        }
    }

    /// The same, for whoever needs nothing else of the record.
    pub fn into_batch(self) -> Option<Batch> {
        match self {
            Self::Created { batch, .. } | Self::Appended { batch, .. } => batch,
            _ => None,
        }
    }
}
