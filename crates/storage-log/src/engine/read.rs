//! Reads: find where the messages are under the stream's lock, then read them without it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use streamkeeper_storage::{Chunk, Range, StorageError};

use super::Engine;
use super::slot::{JournalRef, Slot};
use crate::env::NoWait;
use crate::filed::{BlockCache, FiledReader, Run};
use crate::frame::{self, Frame, HEADER_BYTES, Salt};
use crate::journal::Segment;

/// Journal records that lie closer together than this are read in one go.
const READ_GAP_BYTES: u64 = 16 * 1024;
/// How much is read of the journal at once, unless one record is larger.
const READ_SPAN_BYTES: u64 = 1 << 20;

/// What is read at once is no more than this to copy and to check, so that it holds nobody up for longer
/// than sending it does.
const MAX_CACHED_BYTES: u64 = 1 << 20;

/// Where messages are, with what keeps the file open.
enum Place {
    Filed(FiledReader, Run),
    Journal(Segment, JournalRef),
}

impl Engine {
    /// Reads a page, see [`streamkeeper_storage::Storage::read`]. Blocks on the disk.
    pub(crate) fn read(&self, range: Range) -> Result<Vec<Chunk>, StorageError> {
        let (range, places, tail) = self.find(range)?;
        self.fetch(range, places, tail)
    }

    /// The same if the page is small and in memory, so that it is read at once; else `None`.
    pub(crate) fn read_cached(&self, range: Range) -> Option<Result<Vec<Chunk>, StorageError>> {
        let (range, mut places, tail) = match self.find(range) {
            Ok(found) => found,
            Err(error) => return Some(Err(error)),
        };
        let bytes = range.max_bytes.min(range.until.min(tail).saturating_sub(range.from));
        if bytes > MAX_CACHED_BYTES {
            return None;
        }
        let would_wait = Arc::new(AtomicBool::new(false));
        for place in &mut places {
            let (Place::Filed(FiledReader { file, .. }, _)
            | Place::Journal(Segment { file, .. }, _)) = place;
            *file = Arc::new(NoWait { file: file.clone(), would_wait: would_wait.clone() });
        }
        let page = self.fetch(range, places, tail);
        (!would_wait.load(Ordering::Relaxed)).then_some(page)
    }

    /// Where the messages of a page are; what of the range is left; the stream's tail.
    fn find(&self, mut range: Range) -> Result<(Range, Vec<Place>, u64), StorageError> {
        let stream = self.index.get(range.id).ok_or(StorageError::NotFound)?;
        let (places, tail) = stream.look(|slot| self.places(slot, &mut range))?;
        Ok((range, places, tail))
    }

    /// The places of a page, in order; perhaps more than it takes, because runs are not measured here.
    /// Returns the stream's tail, too.
    fn places(
        &self,
        slot: &mut Slot,
        range: &mut Range,
    ) -> Result<(Vec<Place>, u64), StorageError> {
        let state = slot.state()?;
        let tail = state.tail;
        // What retention has dropped may still be there, in part.
        range.from = range.from.max(state.kept());
        let (filed, segments) = (self.filed.read(), self.segments.read());
        let missing = || StorageError::Corrupt("a file of the log is missing".into());
        let mut places = Vec::new();
        let mut bytes = 0;
        let first = slot.filed.partition_point(|(_, run)| run.end <= range.from);
        for (cover, run) in &slot.filed[first..] {
            if run.first >= range.until || bytes > range.max_bytes {
                return Ok((places, tail));
            }
            let filed = filed.get(cover).ok_or_else(missing)?;
            places.push(Place::Filed(filed.reader.clone(), *run));
            bytes += run.end - run.first.max(range.from);
        }
        let first = slot.journal.partition_point(|record| record.end <= range.from);
        for record in &slot.journal[first..] {
            if record.first >= range.until || bytes > range.max_bytes {
                break;
            }
            let segment = segments.get(&record.segment).ok_or_else(missing)?;
            places.push(Place::Journal(segment.clone(), *record));
            bytes += record.end - record.first;
        }
        Ok((places, tail))
    }

    /// Reads the messages of a page.
    fn fetch(
        &self,
        range: Range,
        places: Vec<Place>,
        tail: u64,
    ) -> Result<Vec<Chunk>, StorageError> {
        let mut page = Page { range, chunks: Vec::new(), room: range.max_bytes, full: false };
        let mut places = places.into_iter().peekable();
        while let Some(place) = places.next() {
            if page.full {
                break;
            }
            match place {
                Place::Filed(reader, run) => page.read_run(&reader, &run, &self.cache)?,
                Place::Journal(segment, first) => {
                    let mut records = vec![first];
                    while let Some(Place::Journal(_, next)) = places.peek() {
                        let Some(last) = records.last() else { break };
                        if !is_near(&first, last, next) {
                            break;
                        }
                        records.push(*next);
                        places.next();
                    }
                    page.read_records(&segment, &records)?;
                }
            }
        }
        page.check(tail)?;
        Ok(page.chunks)
    }
}

fn is_near(first: &JournalRef, last: &JournalRef, next: &JournalRef) -> bool {
    let end = last.offset + u64::from(last.length);
    next.segment == last.segment
        && next.offset >= end
        && next.offset - end <= READ_GAP_BYTES
        && next.offset + u64::from(next.length) - first.offset <= READ_SPAN_BYTES
}

/// A page that is being filled.
struct Page {
    range: Range,
    chunks: Vec<Chunk>,
    room: u64,
    full: bool,
}

impl Page {
    fn read_run(
        &mut self,
        reader: &FiledReader,
        run: &Run,
        cache: &BlockCache,
    ) -> Result<(), StorageError> {
        let mut from = self.range.from.max(run.first);
        while from < run.end.min(self.range.until) && !self.full {
            let chunks = reader.read(run, from, self.room.max(1), cache)?;
            let Some(last) = chunks.last() else { break };
            from = last.end();
            chunks.iter().for_each(|chunk| self.take(chunk));
        }
        Ok(())
    }

    fn read_records(
        &mut self,
        segment: &Segment,
        records: &[JournalRef],
    ) -> Result<(), StorageError> {
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return Ok(()) };
        let length = last.offset + u64::from(last.length) - first.offset;
        let bytes = segment.file.read(first.offset, length as usize);
        let bytes = bytes.map_err(|error| StorageError::Unavailable(error.to_string()))?;
        let bytes = Bytes::from(bytes);
        for record in records {
            let at = (record.offset - first.offset) as usize;
            let end = bytes.len().min(at + record.length as usize);
            let framed = bytes.slice(at.min(end)..end);
            let chunk = record_chunk(&framed, record, segment.salt)?;
            self.take(&chunk);
        }
        Ok(())
    }

    /// Nothing may be missing: not at the beginning, not in between, and there must be something.
    fn check(&self, tail: u64) -> Result<(), StorageError> {
        let mut at = self.range.from;
        let mut first = true;
        for chunk in &self.chunks {
            let follows = if first { chunk.position <= at } else { chunk.position == at };
            if !follows {
                return Err(StorageError::Corrupt(format!("no data at position {at}")));
            }
            (at, first) = (chunk.end(), false);
        }
        match first && self.range.from < tail.min(self.range.until) && self.range.max_bytes > 0 {
            true => Err(StorageError::Corrupt(format!("no data at position {at}"))),
            false => Ok(()),
        }
    }

    /// Takes what fits of a chunk.
    fn take(&mut self, chunk: &Chunk) {
        if self.full {
            return;
        }
        let first_message = chunk.slice(self.range.from, self.range.until, 0);
        let Some(first_message) = first_message else { return };
        if !self.chunks.is_empty() && first_message.batch.size() > self.room {
            self.full = true;
            return;
        }
        let Some(slice) = chunk.slice(self.range.from, self.range.until, self.room) else { return };
        self.room = self.room.saturating_sub(slice.batch.size());
        self.full = slice.end() < chunk.end().min(self.range.until);
        self.chunks.push(slice);
    }
}

/// The messages of a journal record, checked.
fn record_chunk(framed: &Bytes, reference: &JournalRef, salt: Salt) -> Result<Chunk, StorageError> {
    let corrupt = || {
        let JournalRef { segment, offset, .. } = reference;
        StorageError::Corrupt(format!("journal segment {segment:x}, byte {offset}"))
    };
    let header: [u8; HEADER_BYTES] =
        framed.get(..HEADER_BYTES).and_then(|bytes| bytes.try_into().ok()).ok_or_else(corrupt)?;
    let body = framed.slice(HEADER_BYTES..);
    if !frame::is_intact(header, &body, salt.at(reference.offset)) {
        return Err(corrupt());
    }
    match frame::decode(&body) {
        Ok(Frame::Record(record)) => {
            let batch = record.record.batch().cloned().ok_or_else(corrupt)?;
            Ok(Chunk { position: record.position, batch })
        }
        _ => Err(corrupt()),
    }
}
