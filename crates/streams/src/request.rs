//! What a caller asks for and gets.

use bytes::Bytes;
use streamkeeper_protocol::stream::{Expiry, ProducerState, Retention, StreamId};
use streamkeeper_protocol::{ContentType, Offset, Producer, StreamName, StreamSeq};

/// A stream to create, or to confirm as described (PROTOCOL.md section 5.1).
#[derive(Debug, Clone, Default)]
pub struct CreateRequest {
    /// The type of its messages. `None`: the source's for a fork, else `application/octet-stream`.
    pub content_type: Option<ContentType>,
    /// When it ends by itself. `None`: as its source for a fork, else never.
    pub expiry: Option<Expiry>,
    /// How much of it is kept; default: everything, of a fork what its source keeps.
    pub retention: Option<Retention>,
    /// Whether it is closed from the beginning.
    pub closed: bool,
    /// Its first messages, as a client sends them; may be empty.
    pub body: Bytes,
    /// For a fork: what it branches off.
    pub fork: Option<ForkFrom>,
}

/// Where a fork branches off (section 4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForkFrom {
    /// The source stream.
    pub source: StreamName,
    /// The fork offset. `None`: the source's tail.
    pub offset: Option<Offset>,
    /// How much to inherit past the offset: messages of a JSON stream, bytes of others.
    pub sub_offset: u64,
}

/// A stream that exists as described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Whether it did not exist before.
    pub fresh: bool,
    /// Its content type, as it was given at creation.
    pub content_type: ContentType,
    /// The offset after its last message.
    pub next_offset: Offset,
    /// Whether it is closed.
    pub closed: bool,
}

/// Messages to append, or a closing, or both in one step (sections 5.2 and 5.3).
#[derive(Debug, Clone, Default)]
pub struct AppendRequest {
    /// The type of the messages; needed whenever there are any.
    pub content_type: Option<ContentType>,
    /// The messages, as a client sends them; empty for a mere closing.
    pub body: Bytes,
    /// The idempotent producer (section 5.2.1).
    pub producer: Option<Producer>,
    /// The writer's sequence number, scoped to the stream.
    pub seq: Option<StreamSeq>,
    /// Whether to close the stream.
    pub close: bool,
}

/// An append that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// How it came to hold.
    pub outcome: Outcome,
    /// The offset after the stream's last message.
    pub next_offset: Offset,
    /// Whether the stream is closed.
    pub closed: bool,
    /// What the stream holds of the producer, for appends of one.
    pub producer: Option<ProducerState>,
}

/// How an append came to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Messages were appended, and the stream perhaps closed.
    Appended,
    /// The stream was closed, or was closed before.
    Closed,
    /// The producer had sent it before.
    Duplicate,
}

/// What is known of a stream (section 5.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// This life of the stream.
    pub id: StreamId,
    /// Its content type, as it was given at creation.
    pub content_type: ContentType,
    /// When it ends by itself.
    pub expiry: Expiry,
    /// How much of it is kept.
    pub retention: Retention,
    /// The offset of its earliest message.
    pub earliest_offset: Offset,
    /// The offset after its last message.
    pub next_offset: Offset,
    /// Whether it is closed.
    pub closed: bool,
}
