//! The names and files of the simulated disk: what is durable of them, and what a power loss leaves.
//!
//! Here nothing fails but what the caller got wrong and a full disk; the faults are dealt above.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

use super::content::Content;
use super::rng::Rng;

/// Names a file for as long as it has a name or a handle.
pub(super) type FileId = u64;

/// A file, whatever names it has.
#[derive(Debug, Default)]
struct Inode {
    content: Content,
    /// The last name it had: for people, and for faults that ask for names.
    label: PathBuf,
    handles: usize,
}

/// A change of names since the last sync of its directory.
#[derive(Debug, Clone)]
enum Change {
    Create(PathBuf, FileId),
    Rename(PathBuf, PathBuf, FileId),
    Remove(PathBuf),
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<PathBuf, FileId>) {
        match self {
            Self::Create(path, id) => {
                names.insert(path.clone(), *id);
            }
            Self::Rename(from, to, id) => {
                names.remove(from);
                names.insert(to.clone(), *id);
            }
            Self::Remove(path) => {
                names.remove(path);
            }
        }
    }

    fn directories(&self) -> impl Iterator<Item = PathBuf> {
        let (one, other) = match self {
            Self::Create(path, _) | Self::Remove(path) => (path, None),
            Self::Rename(from, to, _) => (from, Some(to)),
        };
        std::iter::once(one).chain(other).map(|path| directory_of(path))
    }
}

/// The disk and the cache above it.
#[derive(Debug, Default)]
pub(super) struct Disk {
    /// Directories are durable at once, as `Env::create_dir_all` has them.
    directories: BTreeSet<PathBuf>,
    durable: BTreeMap<PathBuf, FileId>,
    names: BTreeMap<PathBuf, FileId>,
    pending: Vec<Change>,
    files: BTreeMap<FileId, Inode>,
    locks: BTreeSet<FileId>,
    next: FileId,
    /// Bytes that all files together may take; none: no limit.
    pub(super) capacity: Option<u64>,
}

impl Disk {
    /// Creates a directory. Its name and those above it are durable.
    pub(super) fn create_dir_all(&mut self, path: &Path) -> io::Result<()> {
        let path = normal(path);
        if self.names.contains_key(&path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        if path.ancestors().any(|above| self.names.contains_key(above)) {
            return Err(ErrorKind::NotADirectory.into());
        }
        self.directories.extend(path.ancestors().map(Path::to_path_buf));
        Ok(())
    }

    pub(super) fn has_dir(&self, path: &Path) -> bool {
        let path = normal(path);
        path.parent().is_none() || self.directories.contains(&path)
    }

    pub(super) fn has_file(&self, path: &Path) -> bool {
        self.names.contains_key(&normal(path))
    }

    /// The file of that name; the error if there is none.
    pub(super) fn find(&self, path: &Path) -> io::Result<FileId> {
        if self.has_dir(path) {
            return Err(ErrorKind::IsADirectory.into());
        }
        let path = normal(path);
        self.must_have_dir(&directory_of(&path))?;
        self.names.get(&path).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<FileId> {
        let path = normal(path);
        if self.has_dir(&path) || self.names.contains_key(&path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        self.must_have_dir(&directory_of(&path))?;
        let id = self.add(path.clone(), Content::default());
        self.change(Change::Create(path, id));
        Ok(id)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let id = self.find(from)?;
        let (from, to) = (normal(from), normal(to));
        if self.has_dir(&to) {
            return Err(ErrorKind::IsADirectory.into());
        }
        self.must_have_dir(&directory_of(&to))?;
        if from != to {
            if let Some(inode) = self.files.get_mut(&id) {
                inode.label.clone_from(&to);
            }
            self.change(Change::Rename(from, to, id));
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.find(path)?;
        self.change(Change::Remove(normal(path)));
        Ok(())
    }

    /// Makes durable what was done in a directory, and what was done before in those that a rename
    /// joins it with.
    pub(super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        self.must_have_dir(&normal(path))?;
        let mut wanted = BTreeSet::from([normal(path)]);
        let mut synced = vec![false; self.pending.len()];
        for (change, synced) in self.pending.iter().zip(&mut synced).rev() {
            if change.directories().any(|directory| wanted.contains(&directory)) {
                wanted.extend(change.directories());
                *synced = true;
            }
        }
        let mut synced = synced.into_iter();
        self.pending.retain(|change| {
            let synced = synced.next().unwrap_or(false);
            if synced {
                change.apply(&mut self.durable);
            }
            !synced
        });
        self.forget();
        Ok(())
    }

    /// The names of the files in a directory, sorted.
    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let directory = normal(path);
        self.must_have_dir(&directory)?;
        let inside = self.names.keys().filter(|name| directory_of(name) == directory);
        Ok(inside.filter_map(|name| Some(name.file_name()?.to_str()?.to_owned())).collect())
    }

    /// Writes what fits; fails with `StorageFull` after that if it is not all.
    pub(super) fn write(&mut self, id: FileId, bytes: &[u8], offset: u64) -> io::Result<()> {
        let free = self.capacity.map(|capacity| capacity.saturating_sub(self.used()));
        let content = self.content_mut(id)?;
        let length = bytes.len() as u64;
        let fits = match free {
            Some(free) if offset.checked_add(length).is_some() => {
                content.fitting(offset, length, free)
            }
            _ => length,
        };
        content.write(&bytes[..fits as usize], offset)?;
        if fits < length { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    /// Bytes of space that files take which have a name or a handle.
    pub(super) fn used(&self) -> u64 {
        let named: BTreeSet<FileId> = self.names.values().copied().collect();
        let counted = self.files.iter().filter(|(id, file)| file.handles > 0 || named.contains(id));
        counted.map(|(_, file)| file.content.space()).sum()
    }

    /// Puts a durable file there, in place of what has its name.
    pub(super) fn put(&mut self, path: &Path, bytes: Vec<u8>) -> io::Result<()> {
        let path = normal(path);
        let directory = directory_of(&path);
        self.create_dir_all(&directory)?;
        if self.has_dir(&path) {
            return Err(ErrorKind::IsADirectory.into());
        }
        let id = self.add(path.clone(), Content::durable(bytes));
        self.change(Change::Create(path, id));
        self.sync_dir(&directory)
    }

    pub(super) fn take_lock(&mut self, id: FileId) -> bool {
        self.locks.insert(id)
    }

    pub(super) fn give_lock_back(&mut self, id: FileId) {
        self.locks.remove(&id);
    }

    pub(super) fn opened(&mut self, id: FileId) {
        if let Some(inode) = self.files.get_mut(&id) {
            inode.handles += 1;
        }
    }

    pub(super) fn closed(&mut self, id: FileId) {
        if let Some(inode) = self.files.get_mut(&id) {
            inode.handles = inode.handles.saturating_sub(1);
            if inode.handles == 0 {
                self.forget();
            }
        }
    }

    pub(super) fn content(&self, id: FileId) -> io::Result<&Content> {
        self.files.get(&id).map(|file| &file.content).ok_or_else(|| ErrorKind::NotFound.into())
    }

    pub(super) fn content_mut(&mut self, id: FileId) -> io::Result<&mut Content> {
        let file = self.files.get_mut(&id).map(|file| &mut file.content);
        file.ok_or_else(|| ErrorKind::NotFound.into())
    }

    pub(super) fn label(&self, id: FileId) -> PathBuf {
        self.files.get(&id).map(|file| file.label.clone()).unwrap_or_default()
    }

    /// All names and what is behind them, sorted.
    pub(super) fn files(&self) -> impl Iterator<Item = (&Path, &Content)> {
        let behind = |(path, id)| Some((PathBuf::as_path(path), &self.files.get(id)?.content));
        self.names.iter().filter_map(behind)
    }

    /// The process ends: its handles close and its locks are free.
    pub(super) fn end_process(&mut self) {
        self.locks.clear();
        for file in self.files.values_mut() {
            file.handles = 0;
        }
        self.forget();
    }

    /// Power loss. Of the changes in each directory the first so many survive; a rename between two
    /// survives in both or in none.
    pub(super) fn crash(&mut self, rng: &mut Rng) {
        self.end_process();
        let count = self.pending.len();
        // All, none, or how likely the next change of a directory is the first that is lost.
        let (all, none) = (rng.below(4) == 0, rng.below(4) == 0);
        let length = rng.up_to(count) as u64 + 1;
        let mut lost: BTreeSet<PathBuf> = BTreeSet::new();
        for change in std::mem::take(&mut self.pending) {
            let ends = !all && (none || rng.below(length) == 0);
            if ends || change.directories().any(|directory| lost.contains(&directory)) {
                lost.extend(change.directories());
            } else {
                change.apply(&mut self.durable);
            }
        }
        self.names.clone_from(&self.durable);
        for (path, id) in &self.names {
            if let Some(file) = self.files.get_mut(id) {
                file.label.clone_from(path);
            }
        }
        self.forget();
        for file in self.files.values_mut() {
            file.content.crash(rng);
        }
    }

    fn must_have_dir(&self, path: &Path) -> io::Result<()> {
        if self.has_dir(path) {
            Ok(())
        } else if path.ancestors().any(|above| self.names.contains_key(above)) {
            Err(ErrorKind::NotADirectory.into())
        } else {
            Err(ErrorKind::NotFound.into())
        }
    }

    fn add(&mut self, label: PathBuf, content: Content) -> FileId {
        self.next += 1;
        self.files.insert(self.next, Inode { content, label, handles: 0 });
        self.next
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.pending.push(change);
        self.forget();
    }

    /// Drops the files that nothing can reach any more.
    fn forget(&mut self) {
        let mut reachable: BTreeSet<FileId> = self.names.values().copied().collect();
        reachable.extend(self.durable.values());
        reachable.extend(self.pending.iter().filter_map(|change| match change {
            Change::Create(_, id) | Change::Rename(_, _, id) => Some(*id),
            Change::Remove(_) => None,
        }));
        self.files.retain(|id, file| file.handles > 0 || reachable.contains(id));
    }
}

/// The path without `.` and doubled slashes. Links and `..` are not for the simulation.
pub(super) fn normal(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

/// The directory of a normal path; the root is its own.
fn directory_of(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).to_path_buf()
}
