//! The frames of a batch, in the bytes in which the journal writes them.

use crate::frame::{self, HEADER_BYTES, RecordFrame, Salt};

/// Room for the mark before them, whose size depends on where the batch comes to be.
const MARK_ROOM: usize = HEADER_BYTES + 1 + 10;
/// A buffer that has grown beyond this is given back after its batch.
const KEPT_BYTES: usize = 1 << 20;

/// A batch of frames. It is used again and again, so that a commit needs no buffer of its own.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// Room for a mark, then the frames.
    buffer: Vec<u8>,
    /// Where each begins.
    starts: Vec<usize>,
    /// Where the mark begins.
    mark: usize,
}

impl Frames {
    /// Adds the frame of a record.
    pub(crate) fn push(&mut self, frame: &RecordFrame) {
        self.buffer.resize(self.buffer.len().max(MARK_ROOM), 0);
        self.starts.push(self.buffer.len());
        frame::encode_record(&mut self.buffer, frame);
    }

    /// Puts a mark before the frames and seals all of them for a place; the bytes.
    pub(super) fn seal(&mut self, salt: Salt, offset: u64) -> &[u8] {
        let mut mark = Vec::with_capacity(MARK_ROOM);
        frame::encode_mark(&mut mark, offset);
        self.mark = MARK_ROOM - mark.len();
        self.buffer[self.mark..MARK_ROOM].copy_from_slice(&mark);
        frame::seal(&mut self.buffer[self.mark..MARK_ROOM], salt.at(offset));
        for index in 0..self.starts.len() {
            let (at, end) = (self.starts[index], self.end(index));
            let place = offset + (at - self.mark) as u64;
            frame::seal(&mut self.buffer[at..end], salt.at(place));
        }
        &self.buffer[self.mark..]
    }

    /// The offset and the length of a frame in the segment, if the batch is at an offset.
    pub(crate) fn place(&self, index: usize, offset: u64) -> (u64, u32) {
        let at = self.starts[index];
        (offset + (at - self.mark) as u64, (self.end(index) - at) as u32)
    }

    pub(crate) fn clear(&mut self) {
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_BYTES);
        self.starts.clear();
    }

    fn end(&self, index: usize) -> usize {
        self.starts.get(index + 1).copied().unwrap_or(self.buffer.len())
    }
}
