//! Filing: a sealed journal segment is rewritten sorted by stream, and then removed.

use std::collections::BTreeMap;

use streamkeeper_protocol::stream::StreamId;
use streamkeeper_storage::{Chunk, StorageError};

use super::{Engine, Filed, Installed, Runs};
use crate::filed::{self, Cover, FiledReader, FiledWriter, Run};
use crate::journal;

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
        let scan = journal::scan(&segment, true).map_err(|error| self.filing_failed(&error))?;
        let mut streams: BTreeMap<StreamId, Vec<Chunk>> = BTreeMap::new();
        for (_, _, frame) in scan.records {
            let chunks = streams.entry(frame.id).or_default();
            if let Some(batch) = frame.record.batch() {
                chunks.push(Chunk { position: frame.position, batch: batch.clone() });
            }
        }
        if !scan.corrupt.is_empty() || scan.torn > 0 {
            // What is damaged must stay where a repair can find it.
            let what = format!("journal segment {number:x} is damaged and is not filed");
            return Err(StorageError::Corrupt(what));
        }
        let cover = Cover { first: number, last: number, generation: 0 };
        let filed =
            self.write_filed(cover, &streams).map_err(|error| self.filing_failed(&error))?;
        self.install(cover, filed, number);
        Ok(true)
    }

    fn write_filed(
        &self,
        cover: Cover,
        streams: &BTreeMap<StreamId, Vec<Chunk>>,
    ) -> std::io::Result<Installed> {
        let pace = |bytes| self.pace.wrote(&*self.env, bytes, self.options.filing_bytes_per_second);
        let mut writer = FiledWriter::create(&*self.env, &self.filed_dir, cover, Some(&pace))?;
        let mut installed = Vec::new();
        for (id, chunks) in streams {
            let Some(stream) = self.index.get(*id) else {
                writer.tombstone(*id);
                continue;
            };
            let (state, kept) = stream.look(|slot| (slot.filed_state(), slot.kept()));
            for chunk in chunks.iter().filter(|chunk| chunk.end() > kept) {
                writer.add(chunk)?;
            }
            installed.push((*id, writer.end_stream(*id, &stream.name, &state)?));
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
    pub(super) fn filing_failed(&self, error: &std::io::Error) -> StorageError {
        // What was begun only takes space; if it cannot be removed now, the next filing does it.
        if let Err(error) = filed::discard(&*self.env, &self.filed_dir) {
            tracing::debug!(%error, "an unfinished filed segment was not removed");
        }
        match error.kind() {
            std::io::ErrorKind::StorageFull => StorageError::Full,
            _ => StorageError::Unavailable(format!("filing failed: {error}")),
        }
    }
}
