//! Filing: a sealed journal segment is rewritten sorted by stream, and then removed.

use std::io::{self, ErrorKind};

use streamkeeper_storage::{Chunk, StorageError};

use super::{Engine, Filed, Installed, Runs};
use crate::filed::{self, Cover, FiledReader, FiledWriter, Run};
use crate::frame::RecordFrame;
use crate::journal::{self, Sorted};

impl Engine {
    /// Files the oldest sealed journal segment; `false` if there is none. Safe to be cut short.
    ///
    /// In order only: what is filed is taken to be all that was before it.
    pub(crate) fn file_oldest(&self) -> Result<bool, StorageError> {
        if let Some(number) = self.damaged {
            let what = format!("journal segment {number:x} is damaged, so nothing is filed");
            return Err(StorageError::Corrupt(what));
        }
        let Some(number) = self.sealed().first().copied() else { return Ok(false) };
        let segment = self.segments.read().get(&number).cloned();
        let Some(segment) = segment else { return Ok(false) };
        let damaged = || {
            // What is damaged must stay where a repair can find it.
            let what = format!("journal segment {number:x} is damaged and is not filed");
            StorageError::Corrupt(what)
        };
        let sorted = journal::sort(&segment).map_err(|error| self.filing_failed(&error))?;
        let sorted = sorted.ok_or_else(damaged)?;
        let cover = Cover { first: number, last: number, generation: 0 };
        let filed = self.write_filed(cover, &sorted).map_err(|error| {
            let failed = self.filing_failed(&error);
            if error.kind() == ErrorKind::InvalidData { damaged() } else { failed }
        })?;
        self.install(cover, filed, number);
        Ok(true)
    }

    /// Fails with [`ErrorKind::InvalidData`] if a record makes no sense.
    fn write_filed(&self, cover: Cover, sorted: &Sorted) -> io::Result<Installed> {
        let pace = |bytes| self.pace.wrote(&*self.env, bytes, self.options.filing_bytes_per_second);
        let mut writer = FiledWriter::create(&*self.env, &self.filed_dir, cover, Some(&pace))?;
        let mut installed = Vec::new();
        for (id, records) in sorted.streams() {
            let Some(stream) = self.index.get(id) else {
                writer.tombstone(id);
                continue;
            };
            let (state, kept) = stream.look(|slot| (slot.filed_state(), slot.kept()));
            for (_, at) in records {
                let frame = sorted.record(*at).ok_or(ErrorKind::InvalidData)?;
                let RecordFrame { position, record, .. } = frame;
                if let Some(batch) = record.into_batch() {
                    let chunk = Chunk { position, batch };
                    if chunk.end() > kept {
                        writer.add(&chunk)?;
                    }
                }
            }
            installed.push((id, writer.end_stream(id, &stream.name, &state)?));
        }
        let file = writer.finish()?;
        Ok((FiledReader { cover, file }, installed))
    }

    /// Lets reads find the messages where they are now, and removes the journal segment.
    fn install(&self, cover: Cover, (reader, installed): Installed, number: u64) {
        let size = reader.file.len().unwrap_or(0);
        self.filed.write().insert(cover, Filed::new(reader, size, Runs::of(&installed)));
        for (id, runs) in installed {
            let Some(stream) = self.index.get(id) else {
                // It has ended meanwhile; its run is garbage.
                self.add_dead(cover, &runs);
                continue;
            };
            let ended = stream.edit(|slot| {
                slot.journal.retain(|record| record.segment != number);
                // What a filing that was cut short has put there is replaced.
                slot.filed.retain(|(at, _)| *at != cover);
                if !slot.ended {
                    slot.filed.extend(runs.iter().map(|run| (cover, *run)));
                }
                slot.ended
            });
            if ended {
                self.add_dead(cover, &runs);
            }
        }
        self.segments.write().remove(&number);
        // If the removal is lost in a crash, the next opening does it.
        if let Err(error) = self.env.remove(&journal::path(&self.journal_dir, number)) {
            tracing::warn!(%error, segment = number, "a filed journal segment was not removed");
        }
    }

    pub(super) fn add_dead(&self, cover: Cover, runs: &[Run]) {
        let runs: Vec<(Cover, Run)> = runs.iter().map(|run| (cover, *run)).collect();
        self.count_dead(&runs);
    }

    /// A filing that fails leaves the journal as it is; it is tried again later.
    pub(super) fn filing_failed(&self, error: &io::Error) -> StorageError {
        // What was begun only takes space; if it cannot be removed now, the next filing does it.
        if let Err(error) = filed::discard(&*self.env, &self.filed_dir) {
            tracing::debug!(%error, "an unfinished filed segment was not removed");
        }
        match error.kind() {
            ErrorKind::StorageFull => StorageError::Full,
            _ => StorageError::Unavailable(format!("filing failed: {error}")),
        }
    }
}
