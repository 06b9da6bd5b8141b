//! Reading a filed segment: its footer once, when it is opened; blocks on demand, each checked.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use streamkeeper_protocol::stream::StreamId;
use streamkeeper_protocol::{Batch, StreamName};
use streamkeeper_storage::{Chunk, StorageError};

use super::writer::trailer;
use super::{BlockCache, Cover, HEADER_BYTES, MAGIC, Run, TRAILER_BYTES};
use crate::codec::{Malformed, Reader, read_name};
use crate::env::File;
use crate::{frame, journal};

/// Whoever reads this much at once is expected to go on.
const READ_AHEAD_BYTES: u64 = 256 << 10;

/// An open filed segment.
#[derive(Clone)]
pub(crate) struct FiledReader {
    pub(crate) cover: Cover,
    pub(crate) file: Arc<dyn File>,
}

/// What a filed segment tells of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FooterEntry {
    pub(crate) id: StreamId,
    /// Its name, its encoded state, and where its messages are; `None` if it has ended.
    pub(crate) live: Option<(StreamName, Box<[u8]>, Vec<Run>)>,
}

impl FiledReader {
    /// Reads the footer.
    pub(crate) fn footer(&self) -> Result<Vec<FooterEntry>, StorageError> {
        let entry = |id, live: Option<(StreamName, &[u8], Vec<Run>)>| FooterEntry {
            id,
            live: live.map(|(name, state, runs)| (name, state.into(), runs)),
        };
        let entries = entries(&self.footer_body()?, entry);
        entries.map_err(|error| self.corrupt(&error.to_string()))
    }

    /// The ids of the streams that the footer tells of.
    pub(crate) fn streams(&self) -> Result<Vec<StreamId>, StorageError> {
        let ids = entries(&self.footer_body()?, |id, _| id);
        ids.map_err(|error| self.corrupt(&error.to_string()))
    }

    /// Checks header and trailer and reads the bytes of the footer, for [`entries`].
    pub(crate) fn footer_body(&self) -> Result<Bytes, StorageError> {
        let length = self.file.len().map_err(unavailable)?;
        let mut header = [0; HEADER_BYTES as usize];
        journal::read_full(&*self.file, &mut header, 0).map_err(unavailable)?;
        let mut ending = [0; TRAILER_BYTES as usize];
        let at = length.saturating_sub(TRAILER_BYTES);
        journal::read_full(&*self.file, &mut ending, at).map_err(unavailable)?;
        let footer = u64::from_le_bytes(ending[..8].try_into().unwrap_or_default());
        if &header[..8] != MAGIC || ending != trailer(self.cover, footer) || footer > at {
            return Err(self.corrupt("its header or trailer is damaged"));
        }
        self.frame(footer, at - footer)
    }

    /// Reads messages of a run from a position on, up to a size, at least one block.
    pub(crate) fn read(
        &self,
        run: &Run,
        from: u64,
        bytes: u64,
        cache: &BlockCache,
    ) -> Result<Vec<Chunk>, StorageError> {
        let cached = |offset: u64, size: u32| {
            let read = || self.block(&self.frame(offset, u64::from(size))?);
            cache.block(self.cover, offset, read)
        };
        if run.index == 0 {
            return Ok(vec![cached(run.offset, run.size)?]);
        }
        let blocks = self.blocks(run)?;
        let first = blocks.partition_point(|(position, ..)| *position <= from).saturating_sub(1);
        let Some(begin) = blocks.get(first).map(|block| block.1) else { return Ok(Vec::new()) };
        let wanted = blocks[first..].iter().take_while(|block| block.1 - begin < bytes.max(1));
        let wanted: Vec<_> = wanted.copied().collect();
        let size: u64 = wanted.iter().map(|block| u64::from(block.2)).sum();
        if size >= READ_AHEAD_BYTES {
            self.file.will_read(begin, 2 * size);
        }
        wanted.into_iter().map(|(_, offset, size)| cached(offset, size)).collect()
    }

    fn blocks(&self, run: &Run) -> Result<Vec<(u64, u64, u32)>, StorageError> {
        let mut header = [0; frame::HEADER_BYTES];
        journal::read_full(&*self.file, &mut header, run.index).map_err(unavailable)?;
        let length = frame::body_length(header).ok_or_else(|| self.damaged(run.index))?;
        let body = self.frame(run.index, (frame::HEADER_BYTES + length) as u64)?;
        let mut r = Reader(&body);
        let count = r.count().map_err(|_| self.damaged(run.index))?;
        let block = |r: &mut Reader<'_>| {
            let (position, offset) = (r.varint()?, r.varint()?);
            let size = u32::try_from(r.varint()?).map_err(|_| Malformed("a block is too large"))?;
            Ok((position, offset, size))
        };
        let blocks: Result<Vec<_>, Malformed> = (0..count).map(|_| block(&mut r)).collect();
        blocks.map_err(|_| self.damaged(run.index))
    }

    fn block(&self, body: &Bytes) -> Result<Chunk, StorageError> {
        let mut r = Reader(body);
        let mut lengths = || {
            let position = r.varint()?;
            let count = r.count()?;
            let length = |r: &mut Reader<'_>| {
                u32::try_from(r.varint()?).map_err(|_| Malformed("a message is too large"))
            };
            let lengths: Result<Vec<u32>, Malformed> = (0..count).map(|_| length(&mut r)).collect();
            lengths.map(|lengths| (position, lengths))
        };
        let (position, lengths) = lengths().map_err(|error| self.corrupt(&error.to_string()))?;
        let messages = body.slice(body.len() - r.0.len()..);
        let batch = Batch::many(messages, lengths);
        let batch = batch.ok_or_else(|| self.corrupt("a block does not add up"))?;
        Ok(Chunk { position, batch })
    }

    fn frame(&self, offset: u64, size: u64) -> Result<Bytes, StorageError> {
        self.unframe(self.bytes(offset, size)?, offset)
    }

    fn unframe(&self, framed: Bytes, offset: u64) -> Result<Bytes, StorageError> {
        frame::unseal(&framed).ok_or_else(|| self.damaged(offset))
    }

    fn bytes(&self, offset: u64, size: u64) -> Result<Bytes, StorageError> {
        let size = usize::try_from(size).map_err(|_| self.damaged(offset))?;
        let bytes = self.file.read(offset, size).map_err(unavailable)?;
        match bytes.len() == size {
            true => Ok(Bytes::from(bytes)),
            false => Err(self.damaged(offset)),
        }
    }

    fn damaged(&self, offset: u64) -> StorageError {
        self.corrupt(&format!("damage at byte {offset}"))
    }

    pub(crate) fn corrupt(&self, what: &str) -> StorageError {
        let path = self.cover.path(std::path::Path::new(""));
        StorageError::Corrupt(format!("{}: {what}", path.display()))
    }
}

fn unavailable(error: io::Error) -> StorageError {
    StorageError::Unavailable(error.to_string())
}

/// Decodes a footer: of each stream its id, and, unless it has ended, its name, its encoded state and
/// where its messages are.
pub(crate) fn entries<T>(
    body: &[u8],
    mut make: impl FnMut(StreamId, Option<(StreamName, &[u8], Vec<Run>)>) -> T,
) -> Result<Vec<T>, Malformed> {
    let mut r = Reader(body);
    let count = r.count()?;
    let entries = (0..count).map(|_| {
        let id = r.id()?;
        let live = match r.bool()? {
            true => Some((read_name(&mut r)?, r.bytes()?, runs(&mut r)?)),
            false => None,
        };
        Ok(make(id, live))
    });
    let entries: Result<Vec<_>, Malformed> = entries.collect();
    let entries = entries?;
    r.finish()?;
    Ok(entries)
}

fn runs(r: &mut Reader<'_>) -> Result<Vec<Run>, Malformed> {
    let count = r.count()?;
    let run = |r: &mut Reader<'_>| {
        Ok(Run {
            first: r.varint()?,
            end: r.varint()?,
            offset: r.varint()?,
            size: u32::try_from(r.varint()?).map_err(|_| Malformed("a run is too large"))?,
            index: r.varint()?,
        })
    };
    (0..count).map(|_| run(r)).collect()
}
