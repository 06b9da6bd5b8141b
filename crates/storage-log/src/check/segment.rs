//! One filed segment, read with as little trust as can be: footer, indexes and blocks.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use streamkeeper_storage::{Chunk, StorageError};

use crate::codec::{Malformed, Reader};
use crate::crc32c;
use crate::env::File;
use crate::filed::{BlockCache, Cover, FiledReader, FooterEntry, Run};
use crate::{frame, journal};

// The shape of a filed segment, see its module.
const MAGIC: &[u8; 8] = b"SKFILED\x01";
const HEADER_BYTES: usize = 32;
const TRAILER_BYTES: usize = 16;

/// Where damage is, and what it is.
pub(crate) type Damage = (u64, String);

/// What a filed segment tells of streams; `None` if that is lost.
pub(crate) struct Footer {
    pub(crate) entries: Option<Vec<FooterEntry>>,
    pub(crate) damage: Vec<Damage>,
}

/// Reads the footer. Damage to header and trailer is told, and gone around.
pub(crate) fn read_footer(cover: Cover, file: &Arc<dyn File>) -> io::Result<Footer> {
    let length = file.len()?;
    let Some(at) = length.checked_sub(TRAILER_BYTES as u64).filter(|at| *at >= HEADER_BYTES as u64)
    else {
        let damage = vec![(length, "the file is cut short; which streams it held is lost".into())];
        return Ok(Footer { entries: None, damage });
    };
    let mut damage = Vec::new();
    let (mut head, mut tail) = ([0; HEADER_BYTES], [0; TRAILER_BYTES]);
    journal::read_full(&**file, &mut head, 0)?;
    journal::read_full(&**file, &mut tail, at)?;
    if head != header(cover) {
        damage.push((0, "the header is damaged".into()));
    }
    let [a, b, c, d, e, f, g, h, ..] = tail;
    let claimed = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    let walked = || walk(&**file, HEADER_BYTES as u64, at).last().map(|(offset, _)| *offset);
    let entries = |offset: u64| footer_at(cover, file, offset, at);
    let found = entries(claimed).map(|entries| (claimed, entries)).or_else(|| {
        let walked = walked()?;
        Some((walked, entries(walked)?))
    });
    match &found {
        Some((offset, _)) if tail != trailer(cover, *offset) => {
            damage.push((at, "the trailer is damaged".into()));
        }
        Some(_) => {}
        None => {
            let place = if claimed < at { claimed } else { at };
            damage.push((place, "the footer is damaged; which streams it held is lost".into()));
        }
    }
    Ok(Footer { entries: found.map(|(_, entries)| entries), damage })
}

fn footer_at(cover: Cover, file: &Arc<dyn File>, footer: u64, at: u64) -> Option<Vec<FooterEntry>> {
    if footer < HEADER_BYTES as u64 || footer >= at {
        return None;
    }
    let (header, trailer) = (header(cover), trailer(cover, footer));
    let restored = Restored { file: file.clone(), header, trailer, at };
    FiledReader { cover, file: Arc::new(restored) }.footer().ok()
}

fn header(cover: Cover) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(MAGIC);
    for (at, number) in [cover.first, cover.last, cover.generation].into_iter().enumerate() {
        header[8 + 8 * at..16 + 8 * at].copy_from_slice(&number.to_le_bytes());
    }
    header
}

fn trailer(cover: Cover, footer: u64) -> [u8; TRAILER_BYTES] {
    let covered = [footer, cover.first, cover.last, cover.generation].map(u64::to_le_bytes);
    let mut trailer = [0; TRAILER_BYTES];
    trailer[..8].copy_from_slice(&footer.to_le_bytes());
    trailer[8..12].copy_from_slice(&crc32c::of(covered.as_flattened()).to_le_bytes());
    trailer
}

/// The offsets and sizes of the frames that follow each other by their lengths, damaged or not.
fn walk(file: &dyn File, from: u64, until: u64) -> Vec<(u64, u64)> {
    let mut frames = Vec::new();
    let mut at = from;
    while at < until {
        let mut header = [0; frame::HEADER_BYTES];
        let read = journal::read_full(file, &mut header, at);
        if !matches!(read, Ok(frame::HEADER_BYTES)) {
            break;
        }
        let Some(length) = frame::body_length(header) else { break };
        let size = (frame::HEADER_BYTES + length) as u64;
        if at + size > until {
            break;
        }
        frames.push((at, size));
        at += size;
    }
    frames
}

/// A file with the header and the trailer that it should have.
struct Restored {
    file: Arc<dyn File>,
    header: [u8; HEADER_BYTES],
    trailer: [u8; TRAILER_BYTES],
    /// Where the trailer is.
    at: u64,
}

impl File for Restored {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.file.read_at(buffer, offset)?;
        for (patch, at) in [(&self.header[..], 0), (&self.trailer[..], self.at)] {
            for (place, byte) in (at..).zip(patch) {
                let index = place.checked_sub(offset).filter(|index| *index < read as u64);
                if let Some(index) = index {
                    buffer[index as usize] = *byte;
                }
            }
        }
        Ok(read)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

/// One block of a run, or what should be one.
pub(crate) struct Block {
    pub(crate) first: u64,
    pub(crate) end: u64,
    pub(crate) offset: u64,
    /// The messages, or what is wrong.
    pub(crate) chunk: Result<Chunk, String>,
}

/// Reads every block of a run, and hands each over; returns what is wrong with the index.
pub(crate) fn read_blocks(
    reader: &FiledReader,
    run: &Run,
    mut take: impl FnMut(Block) -> io::Result<()>,
) -> io::Result<Option<Damage>> {
    if run.index == 0 {
        let place = (run.first, run.offset, u64::from(run.size));
        take(read_block(reader, place, run.end))?;
        return Ok(None);
    }
    let (blocks, damage) = match index(&*reader.file, run) {
        Some(blocks) => (blocks, None),
        None => {
            let end = run.offset + u64::from(run.size);
            let frames = walk(&*reader.file, run.offset, end);
            let whole = frames.iter().map(|(_, size)| size).sum::<u64>() == u64::from(run.size);
            let what = match whole {
                true => "the index of a run is damaged; its blocks were found without it",
                false => "the index of a run is damaged, and so are its blocks",
            };
            (positions(reader, run, &frames), Some((run.index, what.to_owned())))
        }
    };
    for (at, place) in blocks.iter().enumerate() {
        let end = blocks.get(at + 1).map_or(run.end, |next| next.0);
        take(read_block(reader, *place, end))?;
    }
    if blocks.is_empty() {
        let chunk = Err("no block of the run can be found".into());
        take(Block { first: run.first, end: run.end, offset: run.offset, chunk })?;
    }
    Ok(damage)
}

fn read_block(reader: &FiledReader, (first, offset, size): (u64, u64, u64), end: u64) -> Block {
    let size = u32::try_from(size).unwrap_or(u32::MAX);
    let alone = Run { first, end, offset, size, index: 0 };
    let chunk = match reader
        .read(&alone, first, u64::MAX, &BlockCache::NONE)
        .map(|mut chunks| chunks.pop())
    {
        Ok(Some(chunk)) if chunk.position == first && chunk.end() == end => Ok(chunk),
        Ok(_) => Err("a block does not hold what its run says".into()),
        Err(StorageError::Unavailable(error)) => Err(format!("a block cannot be read: {error}")),
        Err(_) => Err("a block is damaged".into()),
    };
    Block { first, end, offset, chunk }
}

/// Position, offset and size of each block, by the index; `None` if it is damaged.
fn index(file: &dyn File, run: &Run) -> Option<Vec<(u64, u64, u64)>> {
    let mut header = [0; frame::HEADER_BYTES];
    journal::read_full(file, &mut header, run.index).ok()?;
    let size = frame::HEADER_BYTES + frame::body_length(header)?;
    if run.index.checked_add(size as u64)? > file.len().ok()? {
        return None;
    }
    let mut framed = vec![0; size];
    journal::read_full(file, &mut framed, run.index).ok()?;
    let body = frame::unseal(&Bytes::from(framed))?;
    let mut r = Reader(&body);
    let count = r.count().ok()?;
    let blocks = (0..count).map(|_| Ok((r.varint()?, r.varint()?, r.varint()?)));
    let blocks: Vec<_> = blocks.collect::<Result<_, Malformed>>().ok()?;
    let sound = blocks.first().is_some_and(|first| (first.0, first.1) == (run.first, run.offset))
        && blocks.windows(2).all(|two| two[0].1 + two[0].2 == two[1].1 && two[0].0 < two[1].0)
        && blocks.last().is_some_and(|last| last.1 + last.2 == run.offset + u64::from(run.size));
    sound.then_some(blocks)
}

/// The positions of blocks that are only known by where they are; ends before one that is damaged,
/// because what follows it begins at an unknown position unless it says so itself.
fn positions(reader: &FiledReader, run: &Run, frames: &[(u64, u64)]) -> Vec<(u64, u64, u64)> {
    let position = |(offset, size): &(u64, u64)| {
        let size = u32::try_from(*size).ok()?;
        let alone = Run { first: 0, end: 0, offset: *offset, size, index: 0 };
        reader
            .read(&alone, 0, u64::MAX, &BlockCache::NONE)
            .ok()?
            .first()
            .map(|chunk| chunk.position)
    };
    let mut blocks: Vec<(u64, u64, u64)> = Vec::new();
    for frame in frames {
        // A damaged block is counted with the one before it, which then does not add up.
        if let Some(position) = position(frame) {
            blocks.push((position, frame.0, frame.1));
        }
    }
    if blocks.first().is_some_and(|first| first.0 > run.first) {
        blocks.insert(0, (run.first, run.offset, 1));
    }
    blocks
}
