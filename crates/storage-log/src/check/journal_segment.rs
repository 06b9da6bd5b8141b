//! One journal segment, opened with as little trust as can be, and single records of it.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use streamkeeper_storage::{Chunk, StorageError};

use crate::env::File;
use crate::frame::{self, Frame, HEADER_BYTES, Salt};
use crate::journal::{self, Opened, SEGMENT_HEADER_BYTES, Segment};

/// A segment, and what is wrong with its header. If both copies of the header are damaged, its salt may
/// still be right: it is if the first frame checks with it.
pub(super) fn open(
    number: u64,
    file: Arc<dyn File>,
    opened: Opened,
) -> io::Result<(Option<Segment>, Option<&'static str>)> {
    let mut header = [0; SEGMENT_HEADER_BYTES as usize];
    journal::read_full(&*file, &mut header, 0)?;
    let (first, second) = header.split_at(header.len() / 2);
    if let Opened::Segment(segment) = opened {
        let damage = (first != second).then_some("one of the two copies of the header is damaged");
        return Ok((Some(segment), damage));
    }
    for copy in [first, second] {
        let salt = copy[16..24].try_into().unwrap_or_default();
        let salt = Salt(u64::from_le_bytes(salt));
        let segment = Segment { number, salt, file: file.clone() };
        if begins_intact(&segment)? {
            return Ok((Some(segment), Some("the header is damaged; its frames are not")));
        }
    }
    Ok((None, Some("the header is damaged, and so nothing of the segment can be checked")))
}

fn begins_intact(segment: &Segment) -> io::Result<bool> {
    let mut header = [0; HEADER_BYTES];
    journal::read_full(&*segment.file, &mut header, SEGMENT_HEADER_BYTES)?;
    let Some(length) = frame::body_length(header) else { return Ok(false) };
    let begin = SEGMENT_HEADER_BYTES + HEADER_BYTES as u64;
    if begin + length as u64 > segment.file.len()? {
        return Ok(false);
    }
    let mut body = vec![0; length];
    journal::read_full(&*segment.file, &mut body, begin)?;
    Ok(frame::is_intact(header, &body, segment.salt.at(SEGMENT_HEADER_BYTES)))
}

/// The messages of a record, checked.
pub(super) fn read_record(
    segment: &Segment,
    offset: u64,
    length: u32,
) -> Result<Vec<Chunk>, StorageError> {
    let corrupt = || StorageError::Corrupt("a record has changed".into());
    let mut bytes = vec![0; length as usize];
    journal::read_full(&*segment.file, &mut bytes, offset)
        .map_err(|error| StorageError::Unavailable(error.to_string()))?;
    let bytes = Bytes::from(bytes);
    let header = bytes.get(..HEADER_BYTES).and_then(|header| header.try_into().ok());
    let body = bytes.slice(HEADER_BYTES.min(bytes.len())..);
    if !frame::is_intact(header.ok_or_else(corrupt)?, &body, segment.salt.at(offset)) {
        return Err(corrupt());
    }
    match frame::decode(&body) {
        Ok(Frame::Record(record)) => {
            let position = record.position;
            let batch = record.record.batch().cloned();
            Ok(batch.map(|batch| Chunk { position, batch }).into_iter().collect())
        }
        _ => Err(corrupt()),
    }
}
