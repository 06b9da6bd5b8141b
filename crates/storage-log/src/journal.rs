//! The journal: shared segments to which every commit of every stream is appended.
//!
//! One thread writes. A batch is a mark and the frames of its commits, in one write and one sync. The
//! mark tells up to where the segment was durable before, so that after a crash a torn batch, which
//! nobody was told of, can be told from damage to what was durable.
//!
//! The segment that is written is kept some way ahead of its end with zeros, which are written and synced
//! together with a batch. The batches after it then find their blocks allocated and the length as it
//! was, so that a sync writes them and nothing else. Sealing cuts off what is left of the zeros.

mod frames;
mod scan;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use self::frames::Frames;
pub(crate) use self::scan::{Scan, Sorted, scan, sort};

use crate::crc32c;
use crate::env::{Env, File};
use crate::frame::Salt;

/// The header, twice: without its salt, nothing of a segment could be checked.
pub(crate) const SEGMENT_HEADER_BYTES: u64 = 2 * HEADER_COPY_BYTES as u64;
/// Magic and format version, the segment's number, its salt, their checksum, zeros.
const HEADER_COPY_BYTES: usize = 32;
const MAGIC: &[u8; 8] = b"SKJRNL\x00\x01";

/// As many zeros as are written at once.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
/// Zeros are written only where they will do for this many batches like the last one: larger ones gain
/// less by them than they cost.
const MIN_BATCHES_AHEAD: u64 = 16;

/// How far a segment is prepared with zeros ahead of its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ahead {
    /// How many bytes at a time; 0: it is not.
    pub(crate) step: u64,
    /// The segment is sealed when it has this size, so it is prepared no further.
    pub(crate) limit: u64,
}

/// One file of the journal.
#[derive(Clone)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) salt: Salt,
    pub(crate) file: Arc<dyn File>,
}

/// The segment that is written.
pub(crate) struct Journal {
    pub(crate) segment: Segment,
    /// Everything before it is written and durable.
    end: u64,
    /// The length of the file. From the end on there are zeros, durably.
    length: u64,
    ahead: Ahead,
}

/// Why a batch was not written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// No space; nothing of the batch is left behind, and the next one may succeed.
    Full,
    /// What is on disk is not known any more.
    Poisoned(io::Error),
}

impl Journal {
    /// Begins a new segment; `None` if there is no space for it.
    ///
    /// Then nothing of it is left, durably: were it to come back, the one before it would pass for sealed.
    pub(crate) fn begin(
        env: &dyn Env,
        dir: &Path,
        number: u64,
        ahead: Ahead,
    ) -> io::Result<Option<Self>> {
        match Self::create(env, dir, number, ahead) {
            Ok(journal) => Ok(Some(journal)),
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                match env.remove(&path(dir, number)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => env.sync_dir(dir)?,
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn create(env: &dyn Env, dir: &Path, number: u64, ahead: Ahead) -> io::Result<Self> {
        let file = env.create(&path(dir, number))?;
        let salt = Salt(env.draw());
        write_all(&*file, &segment_header(number, salt), 0)?;
        file.sync()?;
        env.sync_dir(dir)?;
        let (segment, end) = (Segment { number, salt, file }, SEGMENT_HEADER_BYTES);
        Ok(Self { segment, end, length: end, ahead })
    }

    /// Up to where the segment is written.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Writes a batch of frames durably; returns its offset.
    pub(crate) fn write(&mut self, frames: &mut Frames) -> Result<u64, WriteError> {
        let offset = self.end;
        let bytes = frames.seal(self.segment.salt, offset);
        match write_all(&*self.segment.file, bytes, offset) {
            Ok(()) => {}
            // It is cut off again: its writers are told that it was not done.
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                self.cut().map_err(WriteError::Poisoned)?;
                return Err(WriteError::Full);
            }
            Err(error) => return Err(WriteError::Poisoned(error)),
        }
        let end = offset + bytes.len() as u64;
        self.prepare(end).map_err(WriteError::Poisoned)?;
        self.segment.file.sync().map_err(WriteError::Poisoned)?;
        self.end = end;
        Ok(offset)
    }

    /// Writes zeros behind a batch that ends where there are none; they become durable with it. There
    /// need not be space for them.
    fn prepare(&mut self, end: u64) -> io::Result<()> {
        if end <= self.length {
            return Ok(());
        }
        let batch = end - self.end;
        let until = (end + self.ahead.step).min(self.ahead.limit);
        self.length = end;
        if batch * MIN_BATCHES_AHEAD > self.ahead.step {
            return Ok(());
        }
        while self.length < until {
            let zeros = &ZEROS[..ZEROS.len().min((until - self.length) as usize)];
            match write_all(&*self.segment.file, zeros, self.length) {
                Ok(()) => self.length += zeros.len() as u64,
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                    // What is left of the space is for what needs it.
                    (self.length, self.ahead.step) = (end, 0);
                    return self.segment.file.set_len(end);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Cuts off what was prepared and not used, durably: all of a sealed segment is vouched for.
    pub(crate) fn trim(&mut self) -> io::Result<()> {
        if self.length > self.end { self.cut() } else { Ok(()) }
    }

    /// Cuts off what lies behind the end, durably.
    fn cut(&mut self) -> io::Result<()> {
        self.segment.file.set_len(self.end)?;
        self.segment.file.sync()?;
        self.length = self.end;
        Ok(())
    }
}

/// What a file of the journal turns out to be.
pub(crate) enum Opened {
    Segment(Segment),
    /// Its creation was cut short, so that nothing was ever written to it.
    Unfinished,
    /// Something was written to it, and its header is damaged: nothing of it can be checked.
    Damaged,
}

/// Opens a segment.
pub(crate) fn open(env: &dyn Env, dir: &Path, number: u64) -> io::Result<Opened> {
    let file = env.open(&path(dir, number))?;
    let mut header = [0; SEGMENT_HEADER_BYTES as usize];
    read_full(&*file, &mut header, 0)?;
    for copy in header.chunks(HEADER_COPY_BYTES) {
        let salt = Salt(u64::from_le_bytes(copy[16..24].try_into().unwrap_or_default()));
        if copy == &segment_header(number, salt)[..HEADER_COPY_BYTES] {
            return Ok(Opened::Segment(Segment { number, salt, file }));
        }
    }
    match file.len()? > SEGMENT_HEADER_BYTES {
        true => Ok(Opened::Damaged),
        false => Ok(Opened::Unfinished),
    }
}

/// The numbers of the segments in a directory, ascending.
pub(crate) fn list(env: &dyn Env, dir: &Path) -> io::Result<Vec<u64>> {
    let names = env.list(dir)?;
    let number = |name: &String| u64::from_str_radix(name.strip_suffix(".journal")?, 16).ok();
    let mut numbers: Vec<u64> = names.iter().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

pub(crate) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016x}.journal"))
}

fn segment_header(number: u64, salt: Salt) -> [u8; SEGMENT_HEADER_BYTES as usize] {
    let mut header = [0; SEGMENT_HEADER_BYTES as usize];
    header[..8].copy_from_slice(MAGIC);
    header[8..16].copy_from_slice(&number.to_le_bytes());
    header[16..24].copy_from_slice(&salt.0.to_le_bytes());
    let crc = crc32c::of(&header[..24]);
    header[24..28].copy_from_slice(&crc.to_le_bytes());
    let (first, second) = header.split_at_mut(HEADER_COPY_BYTES);
    second.copy_from_slice(first);
    header
}

/// Writes all of the bytes.
pub(crate) fn write_all(file: &dyn File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, offset)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => {
                bytes = &bytes[written..];
                offset += written as u64;
            }
        }
    }
    Ok(())
}

/// Reads until the buffer is full or the file ends; returns how much was read.
pub(crate) fn read_full(file: &dyn File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset + done as u64)? {
            0 => break,
            read => done += read,
        }
    }
    Ok(done)
}
