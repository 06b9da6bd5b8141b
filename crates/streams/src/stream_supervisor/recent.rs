//! The latest messages of a live stream, at hand for the readers at its tail.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use streamkeeper_storage::Chunk;

use crate::SharedChunk;

/// How many chunks are kept at most, however small they are.
const MAX_CHUNKS: usize = 256;

/// A bounded queue of consecutive chunks, whose end is the stream's tail. Only durable ones enter.
#[derive(Debug)]
pub(crate) struct Recent {
    chunks: Mutex<Kept>,
    max_bytes: u64,
}

#[derive(Debug, Default)]
struct Kept {
    queue: VecDeque<Arc<SharedChunk>>,
    bytes: u64,
}

impl Recent {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { chunks: Mutex::default(), max_bytes: max_bytes as u64 }
    }

    /// Adds the chunk that ends at the tail, and forgets the oldest beyond the limits.
    pub(crate) fn push(&self, chunk: Chunk) {
        let mut kept = self.chunks.lock();
        kept.bytes += chunk.batch.size();
        kept.queue.push_back(SharedChunk::new(chunk));
        while kept.queue.len() > MAX_CHUNKS || (kept.bytes > self.max_bytes && kept.queue.len() > 1)
        {
            if let Some(oldest) = kept.queue.pop_front() {
                kept.bytes -= oldest.chunk.batch.size();
            }
        }
    }

    /// Forgets what lies wholly before a position.
    pub(crate) fn truncate_before(&self, position: u64) {
        let mut kept = self.chunks.lock();
        while kept.queue.front().is_some_and(|shared| shared.chunk.end() <= position) {
            if let Some(oldest) = kept.queue.pop_front() {
                kept.bytes -= oldest.chunk.batch.size();
            }
        }
    }

    /// A page as [`streamkeeper_storage::Storage::read`] defines it; `None` if the beginning is not
    /// at hand any more.
    pub(crate) fn read(
        &self,
        from: u64,
        until: u64,
        max_bytes: u64,
    ) -> Option<Vec<Arc<SharedChunk>>> {
        let kept = self.chunks.lock();
        let first = kept.queue.partition_point(|shared| shared.chunk.end() <= from);
        if kept.queue.get(first)?.chunk.position > from {
            return None;
        }
        let mut page: Vec<Arc<SharedChunk>> = Vec::new();
        let mut room = max_bytes;
        for shared in kept.queue.range(first..) {
            let chunk = &shared.chunk;
            if chunk.position >= until {
                break;
            }
            let whole =
                chunk.position >= from && chunk.end() <= until && chunk.batch.size() <= room;
            if whole {
                page.push(shared.clone());
                room -= chunk.batch.size();
                continue;
            }
            // The page ends inside this chunk, or begins inside it.
            let first_message = chunk.messages().next().map_or(0, |(begin, end)| end - begin);
            if !page.is_empty() && first_message > room {
                break;
            }
            let slice = chunk.slice(from, until, room)?;
            room = room.saturating_sub(slice.batch.size());
            let ends_here = slice.end() < chunk.end();
            page.push(SharedChunk::new(slice));
            if ends_here {
                break;
            }
        }
        Some(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use streamkeeper_protocol::Batch;

    fn chunk(position: u64, text: &'static str) -> Chunk {
        Chunk { position, batch: Batch::one(Bytes::from_static(text.as_bytes())).unwrap() }
    }

    fn read(recent: &Recent, from: u64, max_bytes: u64) -> Option<String> {
        let page = recent.read(from, u64::MAX, max_bytes)?;
        let bytes = page.iter().flat_map(|shared| shared.chunk.batch.payload().to_vec());
        Some(String::from_utf8(bytes.collect()).unwrap())
    }

    #[test]
    fn keeps_the_latest_and_tells_when_the_beginning_is_gone() {
        let recent = Recent::new(9);
        for (position, text) in [(0, "aaaa"), (4, "bbbb"), (8, "cccc")] {
            recent.push(chunk(position, text));
        }
        assert_eq!(read(&recent, 0, 99), None);
        assert_eq!(read(&recent, 4, 99).as_deref(), Some("bbbbcccc"));
        assert_eq!(read(&recent, 6, 99).as_deref(), Some("bbbbcccc"));
        assert_eq!(read(&recent, 4, 7).as_deref(), Some("bbbb"));
        assert_eq!(read(&recent, 4, 1).as_deref(), Some("bbbb"));
        assert_eq!(read(&recent, 8, 99).as_deref(), Some("cccc"));
        assert_eq!(read(&recent, 12, 99), None);
    }

    #[test]
    fn what_is_dropped_is_not_at_hand_any_more() {
        let recent = Recent::new(64);
        for (position, text) in [(0, "aaaa"), (4, "bbbb"), (8, "cccc")] {
            recent.push(chunk(position, text));
        }
        recent.truncate_before(7);
        assert_eq!(read(&recent, 0, 99), None);
        assert_eq!(read(&recent, 4, 99).as_deref(), Some("bbbbcccc"));
        recent.truncate_before(12);
        assert_eq!(read(&recent, 8, 99), None);
        recent.push(chunk(12, "dddd"));
        assert_eq!(read(&recent, 12, 99).as_deref(), Some("dddd"));
    }

    #[test]
    fn a_large_chunk_is_kept_alone() {
        let recent = Recent::new(2);
        recent.push(chunk(0, "aaaa"));
        recent.push(chunk(4, "bbbb"));
        assert_eq!(read(&recent, 4, 99).as_deref(), Some("bbbb"));
        assert_eq!(read(&recent, 0, 99), None);
    }

    #[test]
    fn readers_share_whole_chunks() {
        let recent = Recent::new(64);
        recent.push(chunk(0, "aaaa"));
        let (one, other) = (recent.read(0, 9, 9).unwrap(), recent.read(0, 9, 9).unwrap());
        assert!(Arc::ptr_eq(&one[0], &other[0]));
    }
}
