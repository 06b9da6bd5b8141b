//! Merging: adjacent filed segments become one, without what nobody needs any more.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use streamkeeper_protocol::stream::StreamId;
use streamkeeper_storage::StorageError;

use super::{Engine, Filed, Installed};
use crate::filed::{Cover, FiledReader, FiledWriter, Run};

/// Segments are of a like size if none is this many times smaller than another.
const LIKE_SIZE_FACTOR: u64 = 8;
/// Less garbage than this is not worth a rewrite.
const MIN_GARBAGE_BYTES: u64 = 64 * 1024;
/// How much of a run is in memory at once.
const COPY_BYTES: u64 = 1 << 20;

impl Engine {
    /// The filed segments that are to be merged next, if any: neighbours of a like size, or one that
    /// is more garbage than not.
    pub(crate) fn merge_candidates(&self) -> Option<Vec<Cover>> {
        let width = self.options.merge_width.max(2);
        let filed = self.filed.read();
        let sizes: Vec<(Cover, u64)> = filed.iter().map(|(at, filed)| (*at, filed.size)).collect();
        let alike = sizes.windows(width).find(|group| {
            let largest = group.iter().map(|(_, size)| *size).max().unwrap_or(0);
            let total: u64 = group.iter().map(|(_, size)| *size).sum();
            let alike = |size: u64| size.saturating_mul(LIKE_SIZE_FACTOR) >= largest;
            total <= self.options.max_filed_bytes && group.iter().all(|(_, size)| alike(*size))
        });
        if let Some(group) = alike {
            return Some(group.iter().map(|(cover, _)| *cover).collect());
        }
        let garbage = filed.iter().find(|(_, filed)| {
            let dead = filed.dead.load(Ordering::Relaxed);
            dead > filed.runs / 2 && dead > MIN_GARBAGE_BYTES
        });
        garbage.map(|(cover, _)| vec![*cover])
    }

    /// Merges adjacent filed segments. Safe to be cut short.
    pub(crate) fn merge(&self, covers: &[Cover]) -> Result<(), StorageError> {
        let (Some(first), Some(last)) = (covers.first(), covers.last()) else { return Ok(()) };
        let generation = covers.iter().map(|cover| cover.generation).max().unwrap_or(0) + 1;
        let merged = Cover { first: first.first, last: last.last, generation };
        let readers: Vec<FiledReader> = {
            let filed = self.filed.read();
            covers.iter().filter_map(|cover| filed.get(cover).map(|f| f.reader.clone())).collect()
        };
        let is_oldest = self.filed.read().keys().next() == Some(first);
        let mut ids = BTreeSet::new();
        for reader in &readers {
            ids.extend(reader.footer()?.into_iter().map(|entry| entry.id));
        }
        let installed = self.write_merged(merged, covers, &readers, &ids, is_oldest)?;
        self.install_merged(merged, covers, installed);
        Ok(())
    }

    fn write_merged(
        &self,
        merged: Cover,
        covers: &[Cover],
        readers: &[FiledReader],
        ids: &BTreeSet<StreamId>,
        is_oldest: bool,
    ) -> Result<Installed, StorageError> {
        let failed = |error: std::io::Error| self.filing_failed(&error);
        let mut writer =
            FiledWriter::create(&*self.env, &self.filed_dir, merged).map_err(failed)?;
        let mut installed = Vec::new();
        for id in ids {
            let Some(stream) = self.index.get(*id) else {
                // Segments before the merged ones may still tell of it.
                if !is_oldest {
                    writer.tombstone(*id);
                }
                continue;
            };
            let (state, runs, earliest) = stream.look(|slot| {
                let earliest = slot.state().map_or(0, |state| state.earliest);
                let runs: Vec<(Cover, Run)> =
                    slot.filed.iter().filter(|(at, _)| covers.contains(at)).copied().collect();
                (slot.filed_state(), runs, earliest)
            });
            for (cover, run) in runs {
                let Some(reader) = readers.iter().find(|reader| reader.cover == cover) else {
                    continue;
                };
                // What retention has dropped is left out, but for the rest of a block.
                let mut from = run.first.max(earliest);
                while from < run.end {
                    let chunks = reader.read(&run, from, COPY_BYTES)?;
                    let Some(end) = chunks.last().map(|chunk| chunk.end()) else { break };
                    for chunk in &chunks {
                        writer.add(chunk).map_err(failed)?;
                    }
                    from = end;
                }
            }
            let runs = writer.end_stream(*id, &stream.name, &state).map_err(failed)?;
            installed.push((*id, runs));
        }
        let file = writer.finish().map_err(failed)?;
        Ok((FiledReader { cover: merged, file }, installed))
    }

    fn install_merged(&self, merged: Cover, covers: &[Cover], (reader, installed): Installed) {
        let size = reader.file.len().unwrap_or(0);
        let runs = installed.iter().flat_map(|(_, runs)| runs);
        let runs = runs.map(|run| u64::from(run.size)).sum();
        let dead = AtomicU64::new(0);
        self.filed.write().insert(merged, Filed { reader, size, runs, dead });
        for (id, runs) in installed {
            let Some(stream) = self.index.get(id) else {
                self.add_dead(merged, &runs);
                continue;
            };
            stream.edit(|slot| {
                let earliest = slot.state().map_or(0, |state| state.earliest);
                let at = slot.filed.iter().position(|(at, _)| covers.contains(at)).unwrap_or(0);
                slot.filed.retain(|(at, _)| !covers.contains(at));
                let at = at.min(slot.filed.len());
                let kept = runs.into_iter().filter(|run| run.end > earliest);
                slot.filed.splice(at..at, kept.map(|run| (merged, run)));
            });
        }
        let mut filed = self.filed.write();
        for cover in covers {
            filed.remove(cover);
            // If the removal is lost in a crash, the next opening does it.
            if let Err(error) = self.env.remove(&cover.path(&self.filed_dir)) {
                tracing::warn!(%error, ?cover, "a merged segment was not removed");
            }
        }
    }
}
