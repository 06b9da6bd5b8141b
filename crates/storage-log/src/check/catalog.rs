//! A log as its files tell it, read without changing any of them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use streamkeeper_protocol::stream::StreamId;
use streamkeeper_storage::{Chunk, StorageError};

use super::fold::{Fold, Place, Stream};
use super::journal_segment;
use super::report::Finding;
use super::segment::{self, Block};
use crate::OpenError;
use crate::engine::{FORMAT, LOCK, check_format};
use crate::env::{Env, LockGuard};
use crate::filed::{BlockCache, Cover, FiledReader};
use crate::frame::Salt;
use crate::journal::{self, Opened, Scan, Segment};

/// How much of a run is in memory at once.
const READ_BYTES: u64 = 1 << 20;

/// A journal segment.
pub(crate) struct JournalFile {
    pub(crate) segment: Segment,
    /// Whether something that was durable is unreadable.
    pub(crate) damaged: bool,
}

/// A filed segment whose footer is known.
pub(crate) struct FiledFile {
    pub(crate) reader: FiledReader,
    pub(crate) damaged: bool,
}

/// What the files of a log say.
pub(crate) struct Catalog {
    pub(crate) env: Arc<dyn Env>,
    pub(crate) dir: PathBuf,
    pub(crate) journals: BTreeMap<u64, JournalFile>,
    pub(crate) filed: BTreeMap<Cover, FiledFile>,
    /// Filed segments whose footer is lost.
    pub(crate) unreadable: Vec<Cover>,
    pub(crate) fold: Fold,
    /// Messages that are in damaged blocks.
    pub(crate) bad: BTreeMap<StreamId, Vec<(u64, u64)>>,
    /// How many messages of each stream are in intact blocks.
    pub(crate) counted: BTreeMap<StreamId, u64>,
    pub(crate) notes: Vec<String>,
    pub(crate) file_bytes: u64,
    /// The size of all runs, of streams that have ended too.
    pub(crate) run_bytes: u64,
    /// Whether blocks were read.
    pub(crate) deep: bool,
    _lock: Box<dyn LockGuard>,
}

/// What is told of how far a reading is: bytes done, bytes of all.
pub(crate) type Progress<'a> = &'a mut dyn FnMut(u64, u64);

impl Catalog {
    /// Reads a log. `deep`: every block of every filed segment too.
    pub(crate) fn load(
        env: Arc<dyn Env>,
        dir: &Path,
        deep: bool,
        progress: Progress<'_>,
    ) -> Result<Self, OpenError> {
        let lock = lock(&*env, dir)?;
        let mut catalog = Self {
            env,
            dir: dir.to_owned(),
            journals: BTreeMap::new(),
            filed: BTreeMap::new(),
            unreadable: Vec::new(),
            fold: Fold::default(),
            bad: BTreeMap::new(),
            counted: BTreeMap::new(),
            notes: Vec::new(),
            file_bytes: 0,
            run_bytes: 0,
            deep,
            _lock: lock,
        };
        catalog.measure()?;
        let mut done = 0;
        catalog.read_filed(deep, &mut done, progress)?;
        catalog.read_journals(&mut done, progress)?;
        catalog.fold.finish();
        Ok(catalog)
    }

    fn measure(&mut self) -> io::Result<()> {
        for folder in ["journal", "filed"] {
            let folder = self.dir.join(folder);
            for name in names(&*self.env, &folder)? {
                self.file_bytes += self.env.open(&folder.join(name))?.len()?;
            }
        }
        Ok(())
    }

    fn read_filed(
        &mut self,
        deep: bool,
        done: &mut u64,
        progress: Progress<'_>,
    ) -> Result<(), OpenError> {
        let folder = self.dir.join("filed");
        let mut footers = BTreeMap::new();
        for name in names(&*self.env, &folder)? {
            let Some(cover) = Cover::parse(&name) else {
                self.notes.push(format!("filed/{name} is no segment; opening removes it"));
                continue;
            };
            let file = self.env.open(&cover.path(&folder))?;
            let footer = segment::read_footer(cover, &file)?;
            let damaged = !footer.damage.is_empty();
            for (byte, what) in footer.damage {
                self.fold.findings.push(Finding::of_file(filed_path(cover), byte, what));
            }
            match footer.entries {
                Some(entries) => {
                    let reader = FiledReader { cover, file };
                    footers.insert(cover, (FiledFile { reader, damaged }, entries));
                }
                None => self.unreadable.push(cover),
            }
        }
        let covers: Vec<Cover> = footers.keys().copied().collect();
        for (cover, (mut filed, entries)) in footers {
            if covers.iter().any(|other| other.supersedes(&cover)) {
                let file = filed_path(cover);
                self.notes.push(format!("{} is superseded; opening removes it", file.display()));
                continue;
            }
            for (entry, run) in entries.iter().flat_map(|entry| {
                let runs = entry.live.iter().flat_map(|(_, _, runs)| runs);
                runs.map(move |run| (entry, run))
            }) {
                self.run_bytes += u64::from(run.size);
                if deep {
                    let name = entry.live.as_ref().map(|(name, ..)| name.to_string());
                    filed.damaged |= self.read_run(&filed.reader, (entry.id, name), run)?;
                    *done += u64::from(run.size);
                    progress(*done, self.file_bytes);
                }
            }
            self.fold.footer(cover, &filed_path(cover), entries);
            self.filed.insert(cover, filed);
        }
        Ok(())
    }

    /// Checks a run; whether it is damaged.
    fn read_run(
        &mut self,
        reader: &FiledReader,
        (id, name): (StreamId, Option<String>),
        run: &crate::filed::Run,
    ) -> io::Result<bool> {
        let (mut damaged, mut count) = (false, 0);
        let file = filed_path(reader.cover);
        let index = segment::read_blocks(reader, run, |Block { first, end, offset, chunk }| {
            match chunk {
                Ok(chunk) => count += chunk.batch.count(),
                Err(what) => {
                    damaged = true;
                    self.bad.entry(id).or_default().push((first, end));
                    let finding = Finding::of_file(file.clone(), offset, what);
                    self.fold.findings.push(finding.with_stream(name.clone()));
                }
            }
            Ok(())
        })?;
        *self.counted.entry(id).or_default() += count;
        if let Some((byte, what)) = index {
            damaged = true;
            self.fold.findings.push(Finding::of_file(file, byte, what).with_stream(name));
        }
        Ok(damaged)
    }

    fn read_journals(&mut self, done: &mut u64, progress: Progress<'_>) -> Result<(), OpenError> {
        let folder = self.dir.join("journal");
        let filed_to = self.filed.keys().map(|cover| cover.last).max();
        let mut numbers = match names(&*self.env, &folder)?.is_empty() {
            true => Vec::new(),
            false => journal::list(&*self.env, &folder)?,
        };
        for number in numbers.iter().filter(|number| Some(**number) <= filed_to) {
            let file = journal_path(*number);
            self.notes.push(format!("{} is filed already; opening removes it", file.display()));
        }
        numbers.retain(|number| Some(*number) > filed_to);
        for number in &numbers {
            let sealed = Some(number) != numbers.last();
            let path = journal_path(*number);
            let file = self.env.open(&self.dir.join(&path))?;
            let length = file.len()?;
            let opened = journal::open(&*self.env, &folder, *number)?;
            if matches!(opened, Opened::Unfinished) && !sealed {
                let file = path.display();
                self.notes.push(format!("{file} was being created in a crash; it is empty"));
                continue;
            }
            let (segment, damage) = journal_segment::open(*number, file, opened)?;
            let scan =
                segment.as_ref().map(|segment| journal::scan(segment, sealed)).transpose()?;
            let mut damaged = damage.is_some();
            let header = damage.map(|what| Finding::of_file(path.clone(), 0, what));
            self.fold.findings.extend(header);
            if let Some(scan) = scan {
                damaged |= !scan.corrupt.is_empty();
                self.note_torn(&path, &scan);
                self.fold.journal(*number, &path, scan);
            }
            // What cannot be read has no salt that matters.
            let segment = match segment {
                Some(segment) => segment,
                None => {
                    let file = self.env.open(&self.dir.join(&path))?;
                    Segment { number: *number, salt: Salt(0), file }
                }
            };
            self.journals.insert(*number, JournalFile { segment, damaged });
            *done += length;
            progress(*done, self.file_bytes);
        }
        Ok(())
    }

    fn note_torn(&mut self, path: &Path, scan: &Scan) {
        if scan.torn > 0 {
            let (bytes, from) = (scan.torn, scan.end);
            self.notes.push(format!(
                "{}: the last {bytes} bytes, from byte {from} on, are no whole batch: a crash cut it \
                 short before anybody was told of it, or it was damaged since; opening cuts it off",
                path.display(),
            ));
        }
    }

    /// Reads the messages of some places of a stream from `from` until `until`, in order.
    pub(crate) fn read<E: From<StorageError>>(
        &self,
        places: impl IntoIterator<Item = Place>,
        (from, until): (u64, u64),
        mut take: impl FnMut(Chunk) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut at = from;
        for place in places {
            let (first, end) = place.span();
            while at.max(first) < end.min(until) {
                let before = at;
                for chunk in self.read_place(&place, at.max(first))? {
                    if let Some(slice) = chunk.slice(at, until, u64::MAX) {
                        at = slice.end();
                        take(slice)?;
                    }
                }
                if at == before {
                    return Err(E::from(StorageError::Corrupt("messages are missing".into())));
                }
            }
        }
        Ok(())
    }

    fn read_place(&self, place: &Place, from: u64) -> Result<Vec<Chunk>, StorageError> {
        let corrupt = |what: &str| StorageError::Corrupt(what.to_owned());
        match place {
            Place::Filed(cover, run) => {
                let filed = self.filed.get(cover).ok_or_else(|| corrupt("a file is missing"))?;
                filed.reader.read(run, from, READ_BYTES, &BlockCache::NONE)
            }
            Place::Journal { number, offset, length, .. } => {
                let journal = self.journals.get(number);
                let journal = journal.ok_or_else(|| corrupt("a file is missing"))?;
                journal_segment::read_record(&journal.segment, *offset, *length)
            }
        }
    }

    pub(crate) fn stream(&self, id: StreamId) -> Option<&Stream> {
        self.fold.streams.get(&id)
    }
}

/// The file of a filed segment, from the directory of the log on.
pub(crate) fn filed_path(cover: Cover) -> PathBuf {
    cover.path(Path::new("filed"))
}

/// The file of a journal segment, from the directory of the log on.
pub(crate) fn journal_path(number: u64) -> PathBuf {
    journal::path(Path::new("journal"), number)
}

/// Takes the lock of a log that is there, and sees whether this version reads it.
fn lock(env: &dyn Env, dir: &Path) -> Result<Box<dyn LockGuard>, OpenError> {
    if !env.list(dir)?.iter().any(|name| name == FORMAT) {
        let what = format!("there is no log: it has no file {FORMAT}");
        return Err(io::Error::new(io::ErrorKind::NotFound, what).into());
    }
    let lock = env.lock(&dir.join(LOCK)).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => OpenError::InUse,
        _ => OpenError::Io(error),
    })?;
    check_format(env, dir)?;
    Ok(lock)
}

/// The names in a directory, which need not be there.
pub(crate) fn names(env: &dyn Env, dir: &Path) -> io::Result<Vec<String>> {
    match env.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        names => names,
    }
}
