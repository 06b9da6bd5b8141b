//! Merging: adjacent filed segments become one, without what nobody needs any more.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use streamkeeper_protocol::stream::StreamId;
use streamkeeper_storage::StorageError;

use super::{Engine, Filed, Installed, Runs};
use crate::filed::{BlockCache, Cover, FiledReader, FiledWriter, Run};

/// Segments are of a like size if none is this many times smaller than another.
const LIKE_SIZE_FACTOR: u64 = 8;
/// Where runs are as long as this, on average, a merge makes no read quicker: it only makes files fewer.
const LONG_RUN_BYTES: u64 = 1 << 20;
/// How many times more segments with such runs it takes for a merge.
const LONG_WIDTH_FACTOR: usize = 4;
/// Less garbage than this is not worth a rewrite.
const MIN_GARBAGE_BYTES: u64 = 64 * 1024;
/// How much of a run is in memory at once.
const COPY_BYTES: u64 = 1 << 20;

impl Filed {
    fn is_rotten(&self) -> bool {
        self.rotten.load(Ordering::Relaxed)
    }

    fn is_mostly_garbage(&self) -> bool {
        let dead = self.dead.load(Ordering::Relaxed);
        !self.is_rotten() && dead > self.runs.bytes / 2 && dead > MIN_GARBAGE_BYTES
    }
}

impl Engine {
    /// The filed segments that are to be merged next, if any: neighbours of a like size, or one that
    /// is more garbage than not.
    pub(crate) fn merge_candidates(&self) -> Option<Vec<Cover>> {
        if self.merging_is_over.load(Ordering::Relaxed) {
            return None;
        }
        let filed = self.filed.read();
        let all: Vec<(Cover, &Filed)> =
            filed.iter().map(|(cover, filed)| (*cover, filed)).collect();
        let width = self.options.merge_width.max(2);
        // Neighbours only: what is merged must cover segments without a gap.
        let alike = |width: usize| all.windows(width).filter(|group| self.are_alike(group));
        let group = alike(width).find(|group| !has_long_runs(group));
        let group = group.or_else(|| alike(width * LONG_WIDTH_FACTOR).next());
        let group = group.or_else(|| all.chunks(1).find(|alone| alone[0].1.is_mostly_garbage()));
        group.map(|group| group.iter().map(|(cover, _)| *cover).collect())
    }

    /// Whether segments are whole, of a like size, and not too large together.
    fn are_alike(&self, group: &[(Cover, &Filed)]) -> bool {
        let largest = group.iter().map(|(_, filed)| filed.size).max().unwrap_or(0);
        let total: u64 = group.iter().map(|(_, filed)| filed.size).sum();
        let alike = |filed: &Filed| filed.size.saturating_mul(LIKE_SIZE_FACTOR) >= largest;
        total <= self.options.max_filed_bytes
            && group.iter().all(|(_, filed)| alike(filed) && !filed.is_rotten())
    }

    /// How fast to merge, in bytes a second: gently, but for a filing that waits.
    fn merging_rate(&self) -> u64 {
        match self.segments.read().len() > 1 {
            true => self.options.filing_bytes_per_second,
            false => self.options.merging_bytes_per_second,
        }
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
            let told = reader.streams();
            ids.extend(told.inspect_err(|error| self.found(reader.cover, error))?);
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
        let pace = |bytes| self.pace.wrote(&*self.env, bytes, self.merging_rate());
        let mut writer = FiledWriter::create(&*self.env, &self.filed_dir, merged, Some(&pace))
            .map_err(failed)?;
        let mut installed = Vec::new();
        for id in ids {
            let Some(stream) = self.index.get(*id) else {
                // Segments before the merged ones may still tell of it.
                if !is_oldest {
                    writer.tombstone(*id);
                }
                continue;
            };
            let (state, runs, kept) = stream.look(|slot| {
                let runs: Vec<(Cover, Run)> =
                    slot.filed.iter().filter(|(at, _)| covers.contains(at)).copied().collect();
                (slot.filed_state(), runs, slot.kept())
            });
            for (cover, run) in runs {
                let Some(reader) = readers.iter().find(|reader| reader.cover == cover) else {
                    continue;
                };
                // What retention has dropped is left out, but for the rest of a block.
                let mut from = run.first.max(kept);
                while from < run.end {
                    let chunks = reader.read(&run, from, COPY_BYTES, &BlockCache::NONE);
                    let chunks = chunks.inspect_err(|error| self.found(cover, error))?;
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
        let file = writer.finish().map_err(|error| {
            self.merge_is_adrift(merged);
            failed(error)
        })?;
        Ok((FiledReader { cover: merged, file }, installed))
    }

    /// A merge has failed at its end. If the merged segment has its name already, it may be there or not
    /// when the log is opened, and no other merge may come between: until then there is none.
    fn merge_is_adrift(&self, merged: Cover) {
        let name = merged.path(std::path::Path::new(""));
        let names = self.env.list(&self.filed_dir);
        let is_named =
            names.map_or(true, |names| names.iter().any(|at| name.as_os_str() == at.as_str()));
        if is_named {
            tracing::error!(?merged, "nothing is merged until the log is opened anew");
            self.merging_is_over.store(true, Ordering::Relaxed);
        }
    }

    /// Takes note of damage, so that other segments are merged without this one: what is damaged must
    /// stay where a repair can find it.
    fn found(&self, cover: Cover, error: &StorageError) {
        if let (StorageError::Corrupt(_), Some(filed)) = (error, self.filed.read().get(&cover)) {
            filed.rotten.store(true, Ordering::Relaxed);
        }
    }

    fn install_merged(&self, merged: Cover, covers: &[Cover], (reader, installed): Installed) {
        let size = reader.file.len().unwrap_or(0);
        self.filed.write().insert(merged, Filed::new(reader, size, Runs::of(&installed)));
        for (id, runs) in installed {
            let Some(stream) = self.index.get(id) else {
                self.add_dead(merged, &runs);
                continue;
            };
            let dead = stream.edit(|slot| {
                if slot.ended {
                    return runs;
                }
                let needed = slot.kept();
                let at = slot.filed.iter().position(|(at, _)| covers.contains(at)).unwrap_or(0);
                slot.filed.retain(|(at, _)| !covers.contains(at));
                let at = at.min(slot.filed.len());
                let (kept, dead): (Vec<Run>, _) =
                    runs.into_iter().partition(|run| run.end > needed);
                slot.filed.splice(at..at, kept.into_iter().map(|run| (merged, run)));
                dead
            });
            self.add_dead(merged, &dead);
        }
        self.filed.write().retain(|cover, _| !covers.contains(cover));
        for cover in covers {
            // If the removal is lost in a crash, the next opening does it.
            if let Err(error) = self.env.remove(&cover.path(&self.filed_dir)) {
                tracing::warn!(%error, ?cover, "a merged segment was not removed");
            }
        }
    }
}

fn has_long_runs(group: &[(Cover, &Filed)]) -> bool {
    let bytes: u64 = group.iter().map(|(_, filed)| filed.runs.bytes).sum();
    let runs: u64 = group.iter().map(|(_, filed)| filed.runs.count).sum();
    runs > 0 && bytes >= runs * LONG_RUN_BYTES
}
