//! Repair: the damaged files are copied away, and written anew from what is intact.
//!
//! In this order, so that a crash leaves nothing that a second repair does not see: copies in
//! `quarantine/`; filed segments without damaged blocks and without what lies behind a gap; the journal,
//! filed, with the states of all streams that changed; then the removal of what has been replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::{StreamId, StreamState};
use streamkeeper_storage::StorageError;

use super::catalog::{Catalog, filed_path, journal_path, names};
use super::coverage::Kept;
use super::fold::{Place, Stream};
use super::report::{Repair, Repaired};
use super::{mark, segment};
use crate::OpenError;
use crate::codec;
use crate::filed::{Cover, FiledReader, FiledWriter, FooterEntry};
use crate::journal;

/// Where damaged files are kept, in the directory of the log.
const QUARANTINE: &str = "quarantine";
const COPY_BYTES: usize = 1 << 20;

/// What becomes of a stream.
enum Fate {
    /// It lives on with this state, encoded, up to this position.
    Lives {
        name: StreamName,
        state: Vec<u8>,
        end: u64,
    },
    Ends,
}

/// Repairs a log that has findings.
pub(super) fn repair(
    catalog: &Catalog,
    kept: &BTreeMap<StreamId, Kept>,
    how: Repair,
) -> Result<Repaired, OpenError> {
    let mut report = Repaired::default();
    let fates = fates(catalog, kept, how, &mut report);
    let rewritten = to_rewrite(catalog, &fates, kept);
    let damaged = catalog.journals.iter().any(|(_, journal)| journal.damaged);
    let file_journal = damaged || !fates.is_empty() || !catalog.fold.unfolded.is_empty();
    let journals = catalog.journals.iter().filter(|(number, journal)| {
        file_journal && (journal.damaged || catalog.fold.unfolded.contains(number))
    });
    let copied = journals.map(|(number, _)| journal_path(*number));
    let copied = copied.chain(rewritten.iter().chain(&catalog.unreadable).copied().map(filed_path));
    for file in copied.collect::<Vec<_>>() {
        report.quarantined.push(quarantine(catalog, &file)?);
    }
    for cover in &rewritten {
        rewrite(catalog, *cover, kept)?;
        report.written.push(filed_path(*cover));
    }
    if file_journal {
        let cover = write_journal(catalog, fates)?;
        report.written.push(filed_path(cover));
    }
    remove_replaced(catalog, file_journal)?;
    Ok(report)
}

/// What becomes of the streams that are not to stay as they are.
fn fates(
    catalog: &Catalog,
    kept: &BTreeMap<StreamId, Kept>,
    how: Repair,
    report: &mut Repaired,
) -> BTreeMap<StreamId, Fate> {
    let mut fates = BTreeMap::new();
    for (id, stream) in &catalog.fold.streams {
        let Some(reason) = stream.lost.as_ref().or(stream.marked.as_ref()) else { continue };
        let Some(name) = stream.name.clone() else { continue };
        let told = |what: &str| format!("`{name}`: {what}");
        if how == Repair::Drop {
            report.dropped.push(told(reason));
            fates.insert(*id, Fate::Ends);
            continue;
        }
        let (Some(state), Some(kept)) = (&stream.state, kept.get(id)) else {
            report.marked.push(told(reason));
            continue;
        };
        let end = kept.end;
        let state = cut(catalog, *id, stream, state, end);
        let marked = match how {
            Repair::Truncate => kept.inherits_gap.then_some(reason),
            _ => Some(reason),
        };
        let state = match marked {
            Some(reason) => {
                report.marked.push(told(reason));
                if stream.lost.is_none() {
                    continue;
                }
                mark::encode(reason, &state)
            }
            None => {
                report.truncated.push(told(&format!("{reason}; kept up to position {end}")));
                codec::encode_state(&state)
            }
        };
        fates.insert(*id, Fate::Lives { name, state, end });
    }
    adopt(catalog, &mut fates);
    fates
}

/// A state that ends at a position, with references for the forks that are there.
fn cut(
    catalog: &Catalog,
    id: StreamId,
    stream: &Stream,
    state: &StreamState,
    end: u64,
) -> StreamState {
    let mut state = state.clone();
    if end < state.tail {
        let counted = catalog.counted.get(&id).copied().unwrap_or(0);
        let journaled = stream.places.iter().filter(|place| place.span().1 <= end);
        let journaled: u64 = journaled.map(Place::count).sum();
        // Exact unless what was dropped or is damaged is counted too; nothing depends on it.
        state.messages = state.messages.min(counted + journaled);
        state.tail = end;
    }
    state.forks.extend(children(catalog, id));
    state
}

/// The forks of a stream, each with the position from which on it may read.
fn children(catalog: &Catalog, source: StreamId) -> impl Iterator<Item = (StreamId, u64)> + '_ {
    catalog.fold.streams.iter().filter_map(move |(fork, stream)| {
        let origin = stream.state.as_ref()?.origin.as_ref()?;
        (origin.source_id == source).then_some((*fork, origin.earliest))
    })
}

/// Gives forks the references that their sources lack.
fn adopt(catalog: &Catalog, fates: &mut BTreeMap<StreamId, Fate>) {
    for (fork, stream) in &catalog.fold.streams {
        let origin = stream.state.as_ref().and_then(|state| state.origin.as_ref());
        let Some(source_id) = origin.map(|origin| origin.source_id) else { continue };
        let Some(source) = catalog.stream(source_id) else { continue };
        let (Some(name), Some(state)) = (&source.name, &source.state) else { continue };
        let lacks = !state.forks.contains_key(fork) && source.marked.is_none();
        if lacks && !fates.contains_key(&source_id) {
            let mut state = state.clone();
            state.forks.extend(children(catalog, source_id));
            let (name, end) = (name.clone(), state.tail);
            let state = codec::encode_state(&state);
            fates.insert(source_id, Fate::Lives { name, state, end });
        }
    }
}

/// The filed segments that are damaged, or hold messages behind the end of a stream.
fn to_rewrite(
    catalog: &Catalog,
    fates: &BTreeMap<StreamId, Fate>,
    kept: &BTreeMap<StreamId, Kept>,
) -> BTreeSet<Cover> {
    let damaged = catalog.filed.iter().filter(|(_, filed)| filed.damaged);
    let mut covers: BTreeSet<Cover> = damaged.map(|(cover, _)| *cover).collect();
    for (id, stream) in &catalog.fold.streams {
        if matches!(fates.get(id), Some(Fate::Ends)) {
            continue;
        }
        let Some(kept) = kept.get(id) else { continue };
        covers.extend(stream.places.iter().filter_map(|place| match place {
            Place::Filed(cover, run) if run.end > kept.end => Some(*cover),
            _ => None,
        }));
    }
    covers
}

/// Writes a filed segment anew, without its damaged blocks and without what lies behind a gap.
fn rewrite(
    catalog: &Catalog,
    cover: Cover,
    kept: &BTreeMap<StreamId, Kept>,
) -> Result<(), OpenError> {
    let Some(filed) = catalog.filed.get(&cover) else { return Ok(()) };
    let footer = segment::read_footer(cover, &filed.reader.file)?;
    let mut writer = FiledWriter::create(&*catalog.env, &catalog.dir.join("filed"), cover, None)?;
    for FooterEntry { id, live } in footer.entries.unwrap_or_default() {
        let Some((name, state, runs)) = live else {
            writer.tombstone(id);
            continue;
        };
        let until = kept.get(&id).map_or(u64::MAX, |kept| kept.end);
        for run in &runs {
            segment::read_blocks(&filed.reader, run, |block| {
                let chunk = block.chunk.ok();
                match chunk.and_then(|chunk| chunk.slice(0, until, u64::MAX)) {
                    Some(chunk) => writer.add(&chunk),
                    None => Ok(()),
                }
            })?;
        }
        writer.end_stream(id, &name, &state)?;
    }
    let file = writer.finish()?;
    FiledReader { cover, file }.footer()?;
    Ok(())
}

/// Files the journal, together with the streams whose states have changed.
fn write_journal(
    catalog: &Catalog,
    mut fates: BTreeMap<StreamId, Fate>,
) -> Result<Cover, OpenError> {
    let covers = catalog.filed.keys().chain(&catalog.unreadable);
    let filed_to = covers.map(|cover| cover.last + 1).max().unwrap_or(0);
    let first = catalog.journals.keys().next().copied().unwrap_or(filed_to);
    let last = catalog.journals.keys().next_back().copied().unwrap_or(first);
    let cover = Cover { first, last, generation: 0 };
    for id in &catalog.fold.journaled {
        let stream = catalog.stream(*id);
        let known = stream.and_then(|stream| Some((stream.name.clone()?, stream.state.as_ref()?)));
        match known {
            Some((name, state)) if !fates.contains_key(id) => {
                let end = state.tail;
                let state = match stream.and_then(|stream| stream.marked.as_ref()) {
                    Some(reason) => mark::encode(reason, state),
                    None => codec::encode_state(state),
                };
                fates.insert(*id, Fate::Lives { name, state, end });
            }
            _ => {}
        }
    }
    for id in &catalog.fold.ended {
        fates.insert(*id, Fate::Ends);
    }
    let mut writer = FiledWriter::create(&*catalog.env, &catalog.dir.join("filed"), cover, None)?;
    for (id, fate) in fates {
        let Fate::Lives { name, state, end } = fate else {
            writer.tombstone(id);
            continue;
        };
        let places = catalog.stream(id).map_or(&[][..], |stream| &stream.places);
        let places = places.iter().filter(|place| matches!(place, Place::Journal { .. }));
        let first = places.clone().next().map_or(0, |place| place.span().0);
        catalog.read(places.copied(), (first, end), |chunk| {
            writer.add(&chunk).map_err(|error| StorageError::Unavailable(error.to_string()))
        })?;
        writer.end_stream(id, &name, &state)?;
    }
    let file = writer.finish()?;
    FiledReader { cover, file }.footer()?;
    Ok(cover)
}

fn remove_replaced(catalog: &Catalog, journal_filed: bool) -> io::Result<()> {
    let (filed_dir, journal_dir) = (catalog.dir.join("filed"), catalog.dir.join("journal"));
    for cover in &catalog.unreadable {
        catalog.env.remove(&cover.path(&filed_dir))?;
    }
    catalog.env.sync_dir(&filed_dir)?;
    if journal_filed && !catalog.journals.is_empty() {
        for number in catalog.journals.keys() {
            catalog.env.remove(&journal::path(&journal_dir, *number))?;
        }
        catalog.env.sync_dir(&journal_dir)?;
    }
    Ok(())
}

/// Copies a file into the quarantine, durably; returns its path there.
fn quarantine(catalog: &Catalog, file: &Path) -> io::Result<PathBuf> {
    let env = &*catalog.env;
    let dir = catalog.dir.join(QUARANTINE);
    env.create_dir_all(&dir)?;
    let there = names(env, &dir)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = (0u32..)
        .map(|n| if n == 0 { name.clone() } else { format!("{name}.{n}") })
        .find(|name| !there.contains(name))
        .unwrap_or(name.clone());
    let (from, to) = (env.open(&catalog.dir.join(file))?, env.create(&dir.join(&name))?);
    let mut buffer = vec![0; COPY_BYTES];
    let mut at = 0;
    loop {
        let read = journal::read_full(&*from, &mut buffer, at)?;
        if read == 0 {
            break;
        }
        journal::write_all(&*to, &buffer[..read], at)?;
        at += read as u64;
    }
    to.sync()?;
    env.sync_dir(&dir)?;
    Ok(Path::new(QUARANTINE).join(name))
}
