//! The contract between streams and what keeps them.

use async_trait::async_trait;
use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::{Record, StreamId, StreamState};

use crate::{Chunk, Commit, StorageError};

/// One record of one stream, to be written.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The stream's name.
    pub name: StreamName,
    /// The life of the stream that the record belongs to.
    pub id: StreamId,
    /// The version that the record follows: [`StreamState::version`], or 0 to create the stream.
    pub follows: u64,
    /// What happened.
    pub record: Record,
}

/// What to read of one life of a stream. Positions are bytes from the stream's beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The life that holds the messages.
    pub id: StreamId,
    /// Where to begin; inside a message, that message is read whole.
    pub from: u64,
    /// Where to end; a message that reaches past it is cut, so only a fork's point lies inside one.
    pub until: u64,
    /// How many bytes to read at most; a first message that is larger is read all the same.
    pub max_bytes: u64,
}

/// What keeps streams.
///
/// ```text
///        commit(follows: 7) -> accepted            durable -> Commit resolves
///  records  ... 6  7 | 8  9                    ... 6  7  8 | 9
///                    ^ load and read see no further        ^ now they do
/// ```
///
/// * A commit is one record, written whole or not at all, and resolves once it is durable.
/// * A commit is conditional: it fails with [`StorageError::Conflict`] unless it follows the last
///   record that was *accepted*. So commits of one stream may be in flight one upon the other; if one
///   fails, all that follow it fail.
/// * Commits of one stream become durable in order. `load` and `read` tell only of durable ones, and
///   `load` waits for those that were accepted before it: an actor that is started again sees what its
///   predecessor had in flight.
/// * [`Record::Deleted`], or the last [`Record::ForkReleased`] of a soft-deleted stream, frees the
///   name and the data. Soft-deleted data stays readable by its id.
/// * After a failed sync a backend accepts nothing until it is opened anew: a second sync that
///   succeeds proves nothing.
///
/// Whoever implements this runs [`contract`](crate::contract).
#[async_trait]
pub trait Storage: Send + Sync + 'static {
    /// The state of a stream, `None` if there is no stream of that name.
    async fn load(&self, name: &StreamName) -> Result<Option<StreamState>, StorageError>;

    /// Accepts one record. Does not block; the outcome comes later.
    fn commit(&self, entry: Entry) -> Commit;

    /// Reads a bounded page of messages, in order and without gaps; empty if there are none.
    ///
    /// Each chunk ends with a message. Retention may have dropped the beginning of the range: then
    /// the first chunk begins later than asked.
    async fn read(&self, range: Range) -> Result<Vec<Chunk>, StorageError>;

    /// The names that begin with `prefix` and come after `after`, sorted, at most `limit` of them.
    /// Names of soft-deleted streams are among them.
    async fn list(
        &self,
        prefix: &str,
        after: Option<&StreamName>,
        limit: usize,
    ) -> Result<Vec<StreamName>, StorageError>;

    /// Names of streams that time can change ([`StreamState::is_scheduled`]): in order, those after
    /// `after`, at most `limit`; empty if there are no more. A backend that does not know may name
    /// others, too.
    ///
    /// [`StreamState::is_scheduled`]: streamkeeper_protocol::stream::StreamState::is_scheduled
    async fn scheduled(
        &self,
        after: Option<&StreamName>,
        limit: usize,
    ) -> Result<Vec<StreamName>, StorageError> {
        self.list("", after, limit).await
    }

    /// Whether commits can be expected to succeed; tells why not.
    fn health(&self) -> Result<(), StorageError>;
}
