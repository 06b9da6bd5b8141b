//! Reading a segment of the journal from its beginning, and judging what is wrong with it.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use streamkeeper_protocol::stream::StreamId;

use super::{SEGMENT_HEADER_BYTES, Segment};
use crate::frame::{self, Frame, HEADER_BYTES, RecordFrame, Salt};

/// What a segment holds.
#[derive(Debug)]
pub(crate) struct Scan {
    /// The intact records, with the offset and the length of their frames.
    pub(crate) records: Vec<(u64, u32, RecordFrame)>,
    /// What was durable and is unreadable.
    pub(crate) corrupt: Vec<CorruptFrame>,
    /// Where the segment ends. What the file has behind that is to be cut off.
    pub(crate) end: u64,
    /// How many bytes behind the end are of a batch that was being written in a crash; nobody was told
    /// of it. Zeros behind it do not count: nothing was written there.
    pub(crate) torn: u64,
    /// The length of the file.
    pub(crate) length: u64,
    /// Where the last batch begins that is whole, or the file: no later mark vouches for what follows.
    pub(crate) unproven: u64,
}

/// A frame that was durable and is unreadable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CorruptFrame {
    pub(crate) offset: u64,
    /// The stream that its bytes name, if they are right in that.
    pub(crate) id: Option<StreamId>,
}

/// Reads a whole segment. `sealed`: another segment follows it, so that all of it was durable.
pub(crate) fn scan(segment: &Segment, sealed: bool) -> io::Result<Scan> {
    Ok(Scanner::read(segment)?.scan(sealed))
}

/// A sealed segment in memory, sorted by stream.
pub(crate) struct Sorted {
    scanner: Scanner,
    /// The stream and the place of each record, by streams, and of each stream in order.
    records: Vec<(StreamId, usize)>,
}

/// Reads a sealed segment and sorts it; `None` if anything of it is damaged.
pub(crate) fn sort(segment: &Segment) -> io::Result<Option<Sorted>> {
    let scanner = Scanner::read(segment)?;
    let mut records = Vec::new();
    let mut at = SEGMENT_HEADER_BYTES as usize;
    while at < scanner.bytes.len() {
        let Some(body) = scanner.intact_body(at) else { return Ok(None) };
        match frame::stream_id(&scanner.bytes[body.clone()]) {
            Some(id) => records.push((id, at)),
            None if frame::is_plausible(&scanner.bytes[body.clone()]) => {}
            None => return Ok(None),
        }
        at = body.end;
    }
    records.sort_unstable();
    Ok(Some(Sorted { scanner, records }))
}

impl Sorted {
    /// The streams, each with the places of its records.
    pub(crate) fn streams(&self) -> impl Iterator<Item = (StreamId, &[(StreamId, usize)])> {
        let alike = |a: &(StreamId, usize), b: &(StreamId, usize)| a.0 == b.0;
        self.records.chunk_by(alike).map(|records| (records[0].0, records))
    }

    /// The record at a place; `None` if it makes no sense, though it is intact.
    pub(crate) fn record(&self, at: usize) -> Option<RecordFrame> {
        match self.scanner.frame(self.scanner.frame_bytes(at)?.1)? {
            Frame::Record(record) => Some(record),
            Frame::Mark(_) => None,
        }
    }
}

struct Scanner {
    bytes: Bytes,
    salt: Salt,
}

impl Scanner {
    fn read(segment: &Segment) -> io::Result<Self> {
        let length = usize::try_from(segment.file.len()?).map_err(io::Error::other)?;
        let bytes = Bytes::from(segment.file.read(0, length)?);
        Ok(Self { bytes, salt: segment.salt })
    }

    fn scan(&self, sealed: bool) -> Scan {
        let length = self.bytes.len();
        // Zeros at the end were written ahead of it, unless they are vouched for.
        let written = self.bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let written = if sealed { length } else { written };
        let mut durable = if sealed { length } else { 0 };
        let mut marks = Vec::new();
        let (mut records, mut damaged) = (Vec::new(), Vec::new());
        let mut at = SEGMENT_HEADER_BYTES as usize;
        while at < written {
            match self.intact_frame(at) {
                Some((next, Frame::Mark(mark))) => {
                    durable = durable.max(usize::try_from(mark).unwrap_or(0));
                    marks.push(at as u64);
                    at = next;
                }
                Some((next, Frame::Record(record))) => {
                    records.push((at as u64, (next - at) as u32, record));
                    at = next;
                }
                None => {
                    damaged.push(CorruptFrame { offset: at as u64, id: self.stream_id(at) });
                    at = self.resume(at);
                }
            }
        }
        // What a mark or a later segment vouches for was durable. Damage behind that is a torn batch.
        let torn = damaged.iter().map(|damage| damage.offset).find(|at| *at >= durable as u64);
        if let Some(torn) = torn {
            records.retain(|(offset, ..)| *offset < torn);
            damaged.retain(|damage| damage.offset < torn);
        }
        // A file may be shorter than its header, or hold nothing else.
        let end = torn.unwrap_or(at.min(length) as u64);
        let torn = torn.map_or(0, |torn| written as u64 - torn);
        let unproven = marks.into_iter().rfind(|mark| *mark < end).unwrap_or(0);
        Scan { records, corrupt: damaged, end, torn, length: length as u64, unproven }
    }

    /// The frame at an offset and the offset behind it, if it is whole.
    fn intact_frame(&self, at: usize) -> Option<(usize, Frame)> {
        let body = self.intact_body(at)?;
        let end = body.end;
        Some((end, self.frame(body)?))
    }

    /// Where the body of the frame at an offset is, if its checksum is right.
    fn intact_body(&self, at: usize) -> Option<Range<usize>> {
        let (header, body) = self.frame_bytes(at)?;
        let intact = frame::is_intact(header, &self.bytes[body.clone()], self.salt.at(at as u64));
        intact.then_some(body)
    }

    fn frame(&self, body: Range<usize>) -> Option<Frame> {
        frame::decode(&self.bytes.slice(body)).ok()
    }

    fn frame_bytes(&self, at: usize) -> Option<([u8; HEADER_BYTES], Range<usize>)> {
        let header = self.bytes.get(at..at + HEADER_BYTES)?;
        let header = <[u8; HEADER_BYTES]>::try_from(header).ok()?;
        let begin = at + HEADER_BYTES;
        let end = begin.checked_add(frame::body_length(header)?)?;
        (end <= self.bytes.len()).then_some((header, begin..end))
    }

    /// The stream that a damaged frame names, if it is damaged elsewhere.
    fn stream_id(&self, at: usize) -> Option<StreamId> {
        frame::stream_id(self.bytes.get(at + HEADER_BYTES..)?)
    }

    /// Where to read on behind a frame that is damaged: at the next frame that is whole. The length of
    /// the damaged one may be what is damaged, and frames are salted, so nothing else passes for one.
    fn resume(&self, at: usize) -> usize {
        let length = self.bytes.len();
        (at + 1..length).find(|at| self.is_frame(*at)).unwrap_or(length)
    }

    /// Whether there is a whole frame. Looks whether it can be one before its checksum is computed, so
    /// that a search through garbage is quick.
    fn is_frame(&self, at: usize) -> bool {
        let plausible =
            self.frame_bytes(at).is_some_and(|(_, body)| frame::is_plausible(&self.bytes[body]));
        plausible && self.intact_frame(at).is_some()
    }
}
