//! Where a bit changes, and who may suffer from it.

use std::path::{Path, PathBuf};

use streamkeeper_protocol::stream::{Record, StreamId};

use super::super::world::{World, dir};
use crate::crc32c;
use crate::env::Env;
use crate::filed::{Cover, FiledReader};
use crate::frame::{self, Frame, HEADER_BYTES};
use crate::journal::{self, Opened, SEGMENT_HEADER_BYTES};

/// What a bit belongs to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A record of a stream in the journal.
    Record {
        id: StreamId,
        /// The bit is of the bytes that tell which stream it is.
        anonymous: bool,
        /// Without the record nothing tells of the stream.
        creates: bool,
    },
    /// A mark in the journal.
    Mark,
    /// Messages of a stream in a filed segment.
    Run(StreamId),
    /// What tells of a whole filed segment.
    Segment,
    /// Something that nobody needs.
    Nothing,
}

/// A bit that changed.
#[derive(Debug)]
pub(super) struct Struck {
    path: PathBuf,
    offset: u64,
    right: u8,
    /// The checksum of the whole file as it was.
    whole: u32,
    pub(super) place: Place,
}

impl Struck {
    pub(super) fn flip(&self, world: &World) {
        world.env.flip_bit(&self.path, self.offset).expect("there is such a byte");
    }

    /// Puts the byte right, if the file is still there. A filed segment may be another one of the same
    /// name by now: if the power was lost before its name was durable, it was filed once more.
    pub(super) fn mend(&self, world: &World) {
        if let Ok(mut bytes) = world.env.read_file(&self.path) {
            let Some(byte) = bytes.get_mut(self.offset as usize) else { return };
            *byte = self.right;
            let is_filed = self.path.extension().is_some_and(|extension| extension == "filed");
            if is_filed && crc32c::of(&bytes) != self.whole {
                return;
            }
            world.env.write_file(&self.path, &bytes).expect("it is written");
        }
    }

    /// The stream whose record it is.
    pub(super) fn stream(&self) -> Option<StreamId> {
        match self.place {
            Place::Record { id, .. } => Some(id),
            _ => None,
        }
    }

    /// Whether `Corrupt` is an answer to what is asked of a stream.
    pub(super) fn may_be_corrupt(&self, of: StreamId) -> bool {
        match self.place {
            Place::Record { id, .. } | Place::Run(id) => id == of,
            Place::Segment => true,
            Place::Mark | Place::Nothing => false,
        }
    }

    /// Whether a stream may lack its last records: if nothing tells whose record is damaged.
    pub(super) fn may_be_stale(&self, of: StreamId) -> bool {
        matches!(self.place, Place::Record { id, anonymous: true, .. } if id == of)
    }

    /// Whether a stream may not be there at all: if nothing else tells of it.
    pub(super) fn may_be_absent(&self, of: StreamId) -> bool {
        matches!(self.place, Place::Record { id, creates: true, .. } if id == of)
            || self.place == Place::Segment
    }
}

/// Draws a bit of a file of the log; `None` if there is none that may change.
pub(super) fn draw(world: &mut World) -> Option<Struck> {
    let of_log = |path: &PathBuf| path.extension().is_some_and(|e| e == "journal" || e == "filed");
    let paths: Vec<PathBuf> = world.env.paths().into_iter().filter(of_log).collect();
    let written =
        paths.iter().filter(|path| path.extension().is_some_and(|e| e == "journal")).max();
    for _ in 0..4 {
        let path = paths.get(world.chance.below(paths.len() as u64) as usize)?;
        let bytes = world.env.read_file(path).ok()?;
        let is_filed = path.extension().is_some_and(|e| e == "filed");
        let least = if is_filed { 0 } else { SEGMENT_HEADER_BYTES };
        // Zeros at the end of the journal were written ahead.
        let last = match is_filed {
            true => bytes.len().checked_sub(1),
            false => bytes.iter().rposition(|byte| *byte != 0),
        };
        let Some(last) = last.filter(|last| *last as u64 >= least) else { continue };
        let offset = world.chance.between(least, last as u64);
        let place = match is_filed {
            true => place_in_filed(world, path, &bytes, offset),
            false => place_in_journal(world, path, &bytes, offset, Some(path) == written),
        };
        if let Some(place) = place {
            return Some(Struck {
                path: path.clone(),
                offset,
                right: bytes[offset as usize],
                whole: crc32c::of(&bytes),
                place,
            });
        }
    }
    None
}

fn place_in_journal(
    world: &World,
    path: &Path,
    bytes: &[u8],
    offset: u64,
    is_last: bool,
) -> Option<Place> {
    let number = u64::from_str_radix(path.file_stem()?.to_str()?, 16).ok()?;
    let opened = journal::open(&world.env, &dir().join("journal"), number).ok()?;
    let Opened::Segment(segment) = opened else { return None };
    let mut at = SEGMENT_HEADER_BYTES as usize;
    let mut place = None;
    let mut last_mark = at;
    while let Some(header) = bytes.get(at..at + HEADER_BYTES) {
        let header = <[u8; HEADER_BYTES]>::try_from(header).ok()?;
        let Some(length) = frame::body_length(header) else { break };
        let Some(body) = bytes.get(at + HEADER_BYTES..at + HEADER_BYTES + length) else { break };
        if !frame::is_intact(header, body, segment.salt.at(at as u64)) {
            break;
        }
        let frame = frame::decode(&bytes::Bytes::copy_from_slice(body)).ok()?;
        let end = at + HEADER_BYTES + length;
        if matches!(frame, Frame::Mark(_)) {
            last_mark = at;
        }
        if (at..end).contains(&(offset as usize)) {
            place = Some(place_in_frame(frame, offset as usize - at));
        }
        at = end;
    }
    // The last batch, or a torn one.
    let excluded = is_last && offset as usize >= last_mark;
    place.filter(|_| !excluded)
}

fn place_in_frame(frame: Frame, offset: usize) -> Place {
    match frame {
        Frame::Mark(_) => Place::Mark,
        Frame::Record(frame) => Place::Record {
            id: frame.id,
            anonymous: (HEADER_BYTES..HEADER_BYTES + 17).contains(&offset),
            creates: matches!(frame.record, Record::Created { .. }),
        },
    }
}

fn place_in_filed(world: &World, path: &Path, bytes: &[u8], offset: u64) -> Option<Place> {
    let cover = Cover::parse(path.file_name()?.to_str()?)?;
    let reader = FiledReader { cover, file: world.env.open(path).ok()? };
    let footer = reader.footer().ok()?;
    let trailer = bytes.len() - 16;
    let footer_at = u64::from_le_bytes(bytes[trailer..trailer + 8].try_into().ok()?);
    match offset {
        0..8 => return Some(Place::Segment),
        8..32 => return Some(Place::Nothing),
        _ if offset >= footer_at => return Some(Place::Segment),
        _ => {}
    }
    // An index follows the blocks of its run.
    let runs = footer.into_iter().filter_map(|entry| Some((entry.id, entry.live?.2)));
    let runs = runs.flat_map(|(id, runs)| runs.into_iter().map(move |run| (id, run.offset)));
    let run = runs.filter(|(_, begin)| *begin <= offset).max_by_key(|(_, begin)| *begin);
    run.map(|(id, _)| Place::Run(id))
}
