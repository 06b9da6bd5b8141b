//! The messages of one stream in memory.

use bytes::BytesMut;
use streamkeeper_protocol::{Batch, Lengths};

use crate::Chunk;

/// Small chunks are merged into one of about this many bytes, so that history costs one allocation a
/// block and not one a message. Every byte is copied once at most.
const BLOCK_BYTES: u64 = 64 * 1024;

/// Chunks in order of position, without gaps.
#[derive(Debug, Default)]
pub(super) struct Log {
    chunks: Vec<Chunk>,
    /// How many of the last chunks are not merged yet, and their bytes.
    loose: (usize, u64),
}

impl Log {
    /// Appends a chunk that begins where the last one ends.
    pub(super) fn push(&mut self, chunk: Chunk) {
        let size = chunk.batch.size();
        self.chunks.push(chunk);
        if size >= BLOCK_BYTES {
            self.loose = (0, 0);
            return;
        }
        self.loose = (self.loose.0 + 1, self.loose.1 + size);
        if self.loose.1 >= BLOCK_BYTES {
            self.merge_loose();
        }
    }

    /// Reads as [`crate::Storage::read`] does.
    pub(super) fn read(&self, from: u64, until: u64, max_bytes: u64) -> Vec<Chunk> {
        let first = self.chunks.partition_point(|chunk| chunk.end() <= from);
        let mut page: Vec<Chunk> = Vec::new();
        let mut room = max_bytes;
        for chunk in &self.chunks[first..] {
            // Only the first message of a page may be larger than the page.
            let first_fits = chunk.messages().next().is_some_and(|(b, e)| e - b <= room);
            if !page.is_empty() && !first_fits {
                break;
            }
            let Some(slice) = chunk.slice(from, until, room) else { break };
            let whole = slice.end() == chunk.end();
            room = room.saturating_sub(slice.batch.size());
            page.push(slice);
            if !whole {
                break;
            }
        }
        page
    }

    /// Drops the chunks that lie wholly before a position; returns their bytes.
    pub(super) fn truncate_before(&mut self, position: u64) -> u64 {
        // Nearly always there is nothing to drop, and every append asks.
        if self.chunks.first().is_none_or(|chunk| chunk.end() > position) {
            return 0;
        }
        let dropped = self.chunks.partition_point(|chunk| chunk.end() <= position);
        let bytes = self.chunks.drain(..dropped).map(|chunk| chunk.batch.size()).sum();
        let loose = self.loose.0.min(self.chunks.len());
        let left = &self.chunks[self.chunks.len() - loose..];
        self.loose = (loose, left.iter().map(|chunk| chunk.batch.size()).sum());
        bytes
    }

    fn merge_loose(&mut self) {
        let (count, bytes) = std::mem::take(&mut self.loose);
        let loose = self.chunks.split_off(self.chunks.len() - count);
        let Some(position) = loose.first().map(|chunk| chunk.position) else { return };
        let mut payload = BytesMut::with_capacity(bytes as usize);
        let mut lengths = Vec::new();
        for chunk in &loose {
            payload.extend_from_slice(chunk.batch.payload());
            match chunk.batch.lengths() {
                Lengths::One => lengths.push(chunk.batch.size() as u32),
                Lengths::Many(many) => lengths.extend_from_slice(many),
            }
        }
        match Batch::many(payload.freeze(), lengths) {
            Some(batch) => self.chunks.push(Chunk { position, batch }),
            None => self.chunks.extend(loose),
        }
    }
}
