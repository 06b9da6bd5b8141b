//! Filed segments: history sorted by stream, written once from sealed journal segments or from
//! smaller filed segments.
//!
//! ```text
//! header   magic and format (8), first journal segment covered (8), last (8), generation (8)
//! blocks   stream after stream; frame of (varint: position, varint: count, varint lengths, messages)
//! indexes  for each run of several blocks: frame of (varint: count, (position, offset, size) each)
//! footer   frame of the streams: id, state or tombstone, runs
//! trailer  offset of the footer (8), CRC-32C of those bytes and the header (4), zeros (4)
//! ```
//!
//! A frame is, as in the journal, a length, a CRC-32C and a body. What a segment tells of a stream's
//! state may be newer than the journal it was filed from, never older; replay skips what is known.

mod cache;
mod reader;
mod writer;

use std::path::{Path, PathBuf};

pub(crate) use self::cache::BlockCache;
pub(crate) use self::reader::{FiledReader, FooterEntry, entries};
pub(crate) use self::writer::{FiledWriter, discard};

const MAGIC: &[u8; 8] = b"SKFILED\x01";
const HEADER_BYTES: u64 = 32;
const TRAILER_BYTES: u64 = 16;

/// A block is closed when it has this many bytes of messages, so that a read checks little more than
/// it returns.
const BLOCK_BYTES: usize = 64 * 1024;

/// Which journal segments a filed segment covers, and which of several that cover the same it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Cover {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) generation: u64,
}

impl Cover {
    /// Whether this one makes the other one superfluous.
    pub(crate) fn supersedes(&self, other: &Self) -> bool {
        self != other
            && self.first <= other.first
            && self.last >= other.last
            && (self.generation > other.generation
                || (self.first, self.last) != (other.first, other.last))
    }

    pub(crate) fn path(&self, dir: &Path) -> PathBuf {
        dir.join(format!("{:016x}-{:016x}-{:04x}.filed", self.first, self.last, self.generation))
    }

    /// What a file name says; `None` if it names no filed segment.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(".filed")?.split('-');
        let mut number = || u64::from_str_radix(parts.next()?, 16).ok();
        let cover = Self { first: number()?, last: number()?, generation: number()? };
        parts.next().is_none().then_some(cover)
    }
}

/// Consecutive messages of one stream in a filed segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// The position of the first message.
    pub(crate) first: u64,
    /// The position after the last message.
    pub(crate) end: u64,
    /// Where the blocks begin in the file.
    pub(crate) offset: u64,
    /// How many bytes the blocks have.
    pub(crate) size: u32,
    /// Where the index of the blocks is; zero if there is but one block.
    pub(crate) index: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covers_are_named_and_supersede_what_they_replace() {
        let cover = |first, last, generation| Cover { first, last, generation };
        let path = cover(1, 255, 2).path(Path::new(""));
        assert_eq!(Cover::parse(path.to_str().unwrap()), Some(cover(1, 255, 2)));
        assert_eq!(Cover::parse("x.filed"), None);
        assert!(cover(1, 4, 1).supersedes(&cover(2, 3, 0)));
        assert!(cover(1, 4, 1).supersedes(&cover(1, 4, 0)));
        assert!(!cover(1, 4, 0).supersedes(&cover(1, 4, 1)));
        assert!(!cover(1, 4, 0).supersedes(&cover(1, 4, 0)));
        assert!(!cover(1, 2, 9).supersedes(&cover(2, 3, 0)));
    }
}
