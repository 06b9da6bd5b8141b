//! Pages: what a read returns.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use streamkeeper_protocol::stream::StreamId;
use streamkeeper_protocol::{ContentType, Offset};
use streamkeeper_storage::Chunk;

/// Consecutive messages of a stream, with what was true of the stream when they were read.
#[derive(Debug, Clone)]
pub struct Page {
    /// The life of the stream.
    pub id: StreamId,
    /// The stream's content type.
    pub content_type: ContentType,
    /// Where the page begins: the beginning of the message that holds the asked-for offset.
    pub start: Offset,
    /// Where the next page begins.
    pub next_offset: Offset,
    /// The messages; empty if there were none.
    pub chunks: Vec<Arc<SharedChunk>>,
    /// Whether the page reaches the stream's tail.
    pub up_to_date: bool,
    /// Whether the page reaches the end of a closed stream: no more will ever come.
    pub closed: bool,
}

impl Page {
    /// The messages in stored form (for JSON streams every message is followed by a comma), as bytes
    /// shared with the stream.
    pub fn payloads(&self) -> Vec<Bytes> {
        self.chunks.iter().map(|shared| shared.chunk.batch.payload().clone()).collect()
    }

    /// The size of the messages in stored form.
    pub fn size(&self) -> usize {
        self.chunks.iter().map(|shared| shared.chunk.batch.payload().len()).sum()
    }
}

/// A chunk that many readers hold, with room for what they all would encode it to.
#[derive(Debug)]
pub struct SharedChunk {
    /// The messages.
    pub chunk: Chunk,
    encoded: OnceLock<Bytes>,
}

impl SharedChunk {
    /// Shares a chunk.
    pub fn new(chunk: Chunk) -> Arc<Self> {
        Arc::new(Self { chunk, encoded: OnceLock::new() })
    }

    /// The chunk as encoded by whoever asks first. Every caller must encode alike.
    pub fn encoded(&self, encode: impl FnOnce(&Chunk) -> Bytes) -> Bytes {
        self.encoded.get_or_init(|| encode(&self.chunk)).clone()
    }
}
