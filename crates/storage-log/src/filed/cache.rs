//! Blocks of filed segments that were read lately, checked and decoded: readers of the same history
//! share that work.

use quick_cache::sync::Cache;
use quick_cache::{OptionsBuilder, Weighter};
use streamkeeper_storage::{Chunk, StorageError};

use super::{BLOCK_BYTES, Cover};

/// What was read again may take this much of it. The rest is for what was read once: readers that follow
/// each other through a long history have to find there what the first of them has read.
const READ_AGAIN: f64 = 0.5;

/// The latest blocks, up to a number of bytes. Filed segments never change, so nothing is ever stale.
pub(crate) struct BlockCache(Option<Cache<(Cover, u64), Chunk, Bytes>>);

/// Counts the bytes of a block.
#[derive(Clone)]
struct Bytes;

impl Weighter<(Cover, u64), Chunk> for Bytes {
    fn weight(&self, _: &(Cover, u64), block: &Chunk) -> u64 {
        block.batch.size() + 4 * block.batch.count()
    }
}

impl BlockCache {
    /// Keeps nothing.
    pub(crate) const NONE: Self = Self(None);

    /// `bytes`: how much to keep; 0: nothing.
    pub(crate) fn new(bytes: u64) -> Self {
        let options = OptionsBuilder::new()
            .estimated_items_capacity(usize::try_from(bytes).unwrap_or(usize::MAX) / BLOCK_BYTES)
            .weight_capacity(bytes)
            .hot_allocation(READ_AGAIN)
            .build();
        let cache = options.ok().filter(|_| bytes > 0).map(|options| {
            let (hashes, cycle) = Default::default();
            Cache::with_options(options, Bytes, hashes, cycle)
        });
        Self(cache)
    }

    /// The block at an offset of a filed segment, read if need be.
    pub(crate) fn block(
        &self,
        cover: Cover,
        offset: u64,
        read: impl FnOnce() -> Result<Chunk, StorageError>,
    ) -> Result<Chunk, StorageError> {
        let Some(cache) = &self.0 else { return read() };
        if let Some(block) = cache.get(&(cover, offset)) {
            return Ok(block);
        }
        let block = read()?;
        cache.insert((cover, offset), block.clone());
        Ok(block)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use streamkeeper_protocol::Batch;

    use super::*;

    const COVER: Cover = Cover { first: 1, last: 2, generation: 0 };
    const SIZE: u64 = 60_000;

    /// Reads a block of which the cache does not know; tells whether it was read.
    fn is_read(cache: &BlockCache, cover: Cover, offset: u64) -> bool {
        let was_read = Cell::new(false);
        let payload = vec![offset as u8; SIZE as usize];
        let block = Chunk { position: offset, batch: Batch::one(payload.into()).unwrap() };
        let read = || {
            was_read.set(true);
            Ok(block.clone())
        };
        assert_eq!(cache.block(cover, offset, read), Ok(block.clone()));
        was_read.get()
    }

    #[test]
    fn a_block_is_read_once() {
        let cache = BlockCache::new(10 * SIZE);
        let other = Cover { generation: 1, ..COVER };
        assert!(
            is_read(&cache, COVER, 0) && is_read(&cache, COVER, 8) && is_read(&cache, other, 0)
        );
        assert!(!is_read(&cache, COVER, 0) && !is_read(&cache, COVER, 8));
    }

    #[test]
    fn it_holds_so_many_bytes_and_no_more() {
        let cache = BlockCache::new(10 * SIZE);
        assert!((0..100).all(|offset| is_read(&cache, COVER, offset)));
        let held = cache.0.as_ref().unwrap().weight();
        assert!(held > SIZE && held <= 10 * SIZE, "{held}");
    }

    #[test]
    fn one_without_room_holds_nothing() {
        for cache in [BlockCache::new(0), BlockCache::NONE] {
            assert!(is_read(&cache, COVER, 0) && is_read(&cache, COVER, 0));
        }
    }

    #[test]
    fn damage_is_not_kept() {
        let cache = BlockCache::new(10 * SIZE);
        let damage = || Err(StorageError::Corrupt("damage".into()));
        assert!(cache.block(COVER, 0, damage).is_err());
        assert!(is_read(&cache, COVER, 0));
    }
}
