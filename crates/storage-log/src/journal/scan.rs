//! Reading a segment of the journal from its beginning, and judging what is wrong with its end.

use std::io;

use bytes::Bytes;

use super::{SEGMENT_HEADER_BYTES, Segment, read_full};
use crate::frame::{self, Frame, HEADER_BYTES, RecordFrame};

/// What a segment holds.
#[derive(Debug)]
pub(crate) struct Scan {
    /// The intact records, with the offset and the length of their frames.
    pub(crate) records: Vec<(u64, u32, RecordFrame)>,
    /// The end of the last intact frame before any damage.
    pub(crate) end: u64,
    /// The length of the file.
    pub(crate) length: u64,
    /// What is wrong behind `end`, if anything is.
    pub(crate) damage: Option<Damage>,
}

/// What is wrong with a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Damage {
    /// A batch that was being written in a crash; nobody was told of it. Cut it off.
    Torn,
    /// Something that was durable has changed.
    Corrupt {
        /// The streams whose records are unreadable, as far as that can be known.
        frames: Vec<CorruptFrame>,
    },
}

/// A frame that was durable and is unreadable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CorruptFrame {
    pub(crate) offset: u64,
    /// The stream that its bytes name, if its place in the segment is sure.
    pub(crate) id: Option<streamkeeper_protocol::stream::StreamId>,
}

/// Reads a whole segment. `sealed`: another segment follows it, so that all of it was durable.
pub(crate) fn scan(segment: &Segment, sealed: bool) -> io::Result<Scan> {
    let length = segment.file.len()?;
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    let read = read_full(&*segment.file, &mut bytes, 0)?;
    bytes.truncate(read);
    Ok(scan_bytes(&Bytes::from(bytes), sealed))
}

fn scan_bytes(bytes: &Bytes, sealed: bool) -> Scan {
    let mut records = Vec::new();
    let mut corrupt = Vec::new();
    let mut end = None;
    let mut durable = 0;
    let mut at = SEGMENT_HEADER_BYTES as usize;
    while at < bytes.len() {
        match intact_frame(bytes, at) {
            Some((next, Frame::Mark(mark))) => {
                durable = durable.max(mark);
                at = next;
            }
            Some((next, Frame::Record(record))) => {
                // The records behind damage count only if the damage was not a torn batch.
                records.push((at as u64, (next - at) as u32, record));
                at = next;
            }
            None => {
                end.get_or_insert((at, records.len()));
                corrupt.push(CorruptFrame { offset: at as u64, id: None });
                at = resume(bytes, at, &mut corrupt);
            }
        }
    }
    let length = bytes.len() as u64;
    let Some((end, intact)) = end else {
        return Scan { records, end: length, length, damage: None };
    };
    // Trailing zeros and half a frame are a torn batch, unless a later mark vouches for them.
    let was_durable = sealed || durable > end as u64;
    if !was_durable {
        records.truncate(intact);
    }
    let damage = match was_durable {
        true => Damage::Corrupt { frames: corrupt },
        false => Damage::Torn,
    };
    Scan { records, end: end as u64, length, damage: Some(damage) }
}

/// The frame at an offset and the offset behind it, if it is whole.
fn intact_frame(bytes: &Bytes, at: usize) -> Option<(usize, Frame)> {
    let (header, body) = frame_bytes(bytes, at)?;
    if !frame::is_intact(header, &bytes[body.clone()]) {
        return None;
    }
    let frame = frame::decode(&bytes.slice(body.clone())).ok()?;
    Some((body.end, frame))
}

fn frame_bytes(bytes: &Bytes, at: usize) -> Option<([u8; HEADER_BYTES], std::ops::Range<usize>)> {
    let header = bytes.get(at..at + HEADER_BYTES)?;
    let header = <[u8; HEADER_BYTES]>::try_from(header).ok()?;
    let begin = at + HEADER_BYTES;
    let end = begin.checked_add(frame::body_length(header)?)?;
    (end <= bytes.len()).then_some((header, begin..end))
}

/// Where to read on behind a frame that is damaged.
fn resume(bytes: &Bytes, at: usize, corrupt: &mut [CorruptFrame]) -> usize {
    if let Some((_, body)) = frame_bytes(bytes, at)
        && (body.end == bytes.len() || intact_frame(bytes, body.end).is_some())
    {
        // The length is right, so the stream's id is likely to be.
        if let Some(damaged) = corrupt.last_mut() {
            damaged.id = frame::stream_id(&bytes[body.clone()]);
        }
        return body.end;
    }
    (at + 1..bytes.len()).find(|at| intact_frame(bytes, *at).is_some()).unwrap_or(bytes.len())
}
