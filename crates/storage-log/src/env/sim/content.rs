//! The bytes of one file: what is durable, what is in the cache, and what a power loss makes of both.

use std::collections::BTreeMap;
use std::io;

use super::extents::Extents;
use super::rng::Rng;

/// What a disk writes whole or not at all, in bytes.
pub(super) const SECTOR: u64 = 512;

/// The longest file, in bytes: a wrong offset must not take all memory.
pub(super) const LONGEST: u64 = 1 << 32;

/// A change since the last sync.
#[derive(Debug)]
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    SetLen(u64),
}

impl Change {
    fn length_after(&self, length: u64) -> u64 {
        match self {
            Self::Write { offset, bytes } => length.max(offset + bytes.len() as u64),
            Self::SetLen(length) => *length,
        }
    }
}

/// The content of a file.
#[derive(Debug, Default)]
pub(super) struct Content {
    durable: Vec<u8>,
    /// What reads see. The durable bytes with all pending changes, unless a sync failed.
    cached: Vec<u8>,
    pending: Vec<Change>,
    allocated: Extents,
}

/// How a power loss treats the pending writes of a file. All that a real disk may do is in
/// `Sectors`, but chance would hardly ever get to the ends of it, where bugs are.
enum Mode {
    Lost,
    Kept,
    /// Up to one write, which is torn.
    InOrder(usize),
    /// Each write is kept, lost or torn.
    Writes,
    /// Each sector of each write is kept or lost.
    Sectors,
}

impl Content {
    /// A file with durable bytes.
    pub(super) fn durable(bytes: Vec<u8>) -> Self {
        let mut allocated = Extents::default();
        allocated.insert(0, bytes.len() as u64);
        Self { cached: bytes.clone(), durable: bytes, pending: Vec::new(), allocated }
    }

    pub(super) fn cached(&self) -> &[u8] {
        &self.cached
    }

    pub(super) fn synced(&self) -> &[u8] {
        &self.durable
    }

    /// Changes since the last sync.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Bytes of space that the file takes.
    pub(super) fn space(&self) -> u64 {
        self.allocated.total()
    }

    /// How many of `length` bytes at `offset` can be written into `free` bytes of space.
    pub(super) fn fitting(&self, offset: u64, length: u64, free: u64) -> u64 {
        self.allocated.fitting(offset, length, free)
    }

    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.cached.len());
        let rest = &self.cached[start..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        length
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let end = within(offset.checked_add(bytes.len() as u64))?;
        put(&mut self.cached, offset, bytes);
        self.allocated.insert(offset, end);
        self.pending.push(Change::Write { offset, bytes: bytes.to_vec() });
        Ok(())
    }

    pub(super) fn set_len(&mut self, length: u64) -> io::Result<()> {
        within(Some(length))?;
        self.cached.resize(length as usize, 0);
        self.allocated.cut(length);
        self.pending.push(Change::SetLen(length));
        Ok(())
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            match change {
                Change::Write { offset, bytes } => put(&mut self.durable, offset, &bytes),
                Change::SetLen(length) => self.durable.resize(length as usize, 0),
            }
        }
    }

    /// A sync that fails. Some of the changes may be durable. Two times of three the rest is dropped
    /// ("fsyncgate"): the cache takes it for clean, so that later syncs succeed without it; and half
    /// of those times the cache forgets it too, so that it reads as before. The length in the cache
    /// stays, for that is metadata.
    pub(super) fn fail_sync(&mut self, rng: &mut Rng) {
        self.durable = self.survivor(rng);
        if rng.below(3) == 0 {
            return;
        }
        self.pending.clear();
        if self.durable.len() != self.cached.len() {
            self.pending.push(Change::SetLen(self.cached.len() as u64));
        }
        if rng.coin() {
            let length = self.cached.len();
            self.cached.clone_from(&self.durable);
            self.cached.resize(length, 0);
        }
    }

    /// A power loss.
    pub(super) fn crash(&mut self, rng: &mut Rng) {
        if !self.pending.is_empty() {
            self.durable = self.survivor(rng);
            self.pending.clear();
        }
        self.cached.clone_from(&self.durable);
        self.allocated.cut(self.durable.len() as u64);
    }

    /// Flips a bit of a byte, on the disk and in the cache. False if there is no such byte.
    pub(super) fn flip(&mut self, offset: u64, bit: u8) -> bool {
        let Ok(at) = usize::try_from(offset) else { return false };
        let mut found = false;
        for copy in [&mut self.durable, &mut self.cached] {
            if let Some(byte) = copy.get_mut(at) {
                *byte ^= 1 << (bit % 8);
                found = true;
            }
        }
        found
    }

    /// What may be on the disk if the power goes now.
    ///
    /// A sector is as it was after some pending change (the cache writes sectors back as they are
    /// then), each sector after another one. The length is as it was after some pending change, or
    /// on the way to the next if that appends; sectors below it that were never written read as
    /// zeros. A cut goes with the length: the bytes that it cut are gone if and only if the length
    /// survives, and what was written over them after it only then survives too.
    fn survivor(&self, rng: &mut Rng) -> Vec<u8> {
        let count = self.pending.len();
        let mode = match rng.below(6) {
            0 => Mode::Lost,
            1 => Mode::Kept,
            2 => Mode::InOrder(rng.up_to(count)),
            3 | 4 => Mode::Writes,
            _ => Mode::Sectors,
        };
        // Changes before this one have the length that survives.
        let lengths_kept = match mode {
            Mode::Lost => 0,
            Mode::Kept => count,
            Mode::InOrder(torn) => torn,
            Mode::Writes | Mode::Sectors if rng.coin() => count,
            Mode::Writes | Mode::Sectors => rng.up_to(count),
        };
        let length = self.surviving_length(lengths_kept, !matches!(mode, Mode::Lost), rng);
        let kept = self.surviving_sectors(&mode, lengths_kept, rng);

        let mut image = self.durable.clone();
        for (index, change) in self.pending.iter().enumerate() {
            match change {
                Change::Write { offset, bytes } => {
                    for (sector, start, piece) in pieces(*offset, bytes) {
                        if kept.get(&sector).is_some_and(|&kept| index < kept) {
                            put(&mut image, start, piece);
                        }
                    }
                }
                Change::SetLen(length) if index < lengths_kept => {
                    image.truncate(*length as usize);
                }
                Change::SetLen(_) => {}
            }
        }
        image.resize(length as usize, 0);
        image
    }

    /// The length after so many pending changes; perhaps part of the way to the next.
    fn surviving_length(&self, changes: usize, may_tear: bool, rng: &mut Rng) -> u64 {
        let length = self.pending[..changes]
            .iter()
            .fold(self.durable.len() as u64, |length, change| change.length_after(length));
        match self.pending.get(changes) {
            Some(next @ Change::Write { .. }) if may_tear && rng.coin() => {
                let most = next.length_after(length);
                let sectors = (most - length).div_ceil(SECTOR);
                let grown = (length / SECTOR + rng.below(sectors + 1)) * SECTOR;
                grown.clamp(length, most)
            }
            _ => length,
        }
    }

    /// Of each sector, the number of pending changes that it has seen.
    fn surviving_sectors(
        &self,
        mode: &Mode,
        lengths_kept: usize,
        rng: &mut Rng,
    ) -> BTreeMap<u64, usize> {
        let mut kept = BTreeMap::new();
        // What was written beyond this lies in space that a lost cut has not given.
        let mut floor = u64::MAX;
        let mut length = self.durable.len() as u64;
        for (index, change) in self.pending.iter().enumerate() {
            let before = length;
            length = change.length_after(length);
            match change {
                Change::SetLen(_) if length >= before => {}
                Change::SetLen(_) if index >= lengths_kept => floor = floor.min(length),
                Change::SetLen(_) => {
                    // The sector across the new end is written with its rest zeroed.
                    if !length.is_multiple_of(SECTOR) {
                        kept.insert(length / SECTOR, index + 1);
                    }
                }
                Change::Write { offset, bytes } => {
                    let fate = match mode {
                        Mode::Lost => 0,
                        Mode::Kept => 1,
                        Mode::InOrder(torn) if index == *torn => 2,
                        Mode::InOrder(torn) => u64::from(index < *torn),
                        Mode::Writes => rng.below(3),
                        Mode::Sectors => 2,
                    };
                    for (sector, _, _) in pieces(*offset, bytes) {
                        let survives = fate == 1 || fate == 2 && rng.coin();
                        if survives && (sector + 1) * SECTOR <= floor {
                            kept.insert(sector, index + 1);
                        }
                    }
                }
            }
        }
        kept
    }
}

/// A write by sector: the number of the sector, the offset in the file, and the bytes.
fn pieces(offset: u64, bytes: &[u8]) -> impl Iterator<Item = (u64, u64, &[u8])> {
    let mut at = offset;
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let room = (SECTOR - at % SECTOR) as usize;
        let (piece, after) = rest.split_at(room.min(rest.len()));
        let item = (at / SECTOR, at, piece);
        at += piece.len() as u64;
        rest = after;
        Some(item)
    })
}

/// Writes into bytes, which grow with zeros if need be.
fn put(target: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let start = offset as usize;
    let end = start + bytes.len();
    if target.len() < end {
        target.resize(end, 0);
    }
    target[start..end].copy_from_slice(bytes);
}

fn within(end: Option<u64>) -> io::Result<u64> {
    end.filter(|end| *end <= LONGEST).ok_or_else(|| io::ErrorKind::FileTooLarge.into())
}
