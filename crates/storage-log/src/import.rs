//! Import: a log from an [export](crate::export()), all of it or nothing.
//!
//! The lines are written to `DIR.importing` beside the directory, as one filed segment. That is synced,
//! checked and opened; only then is it renamed to the directory. Whatever goes wrong before leaves
//! nothing behind, and the directory as it was.

mod json;
mod line;
mod stage;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::{self, BufRead, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::OpenError;
use crate::engine::{FORMAT, LOCK};
use crate::env::{Env, LockGuard, RealEnv};

/// The names in the directory of a log.
const OURS: [&str; 4] = [LOCK, FORMAT, "journal", "filed"];

/// What was imported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// How many streams.
    pub streams: u64,
    /// How many bytes of messages.
    pub bytes: u64,
    /// Where the log is now that was in the directory before.
    pub replaced: Option<PathBuf>,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A log is there already.
    #[error("{0} holds a log already; --replace moves it out of the way")]
    Occupied(PathBuf),
    /// Something else is there.
    #[error("{0} is neither empty nor a log")]
    NotALog(PathBuf),
    /// What an earlier import seems to have left behind is something else.
    #[error("{0} is in the way")]
    InTheWay(PathBuf),
    /// The input is not a whole export of a version that is known.
    #[error("line {line}: {what}")]
    Line {
        /// Its number, from 1 on.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// The streams of the export do not fit together.
    #[error("the export does not make a sound log: {0}")]
    Unsound(String),
    /// The input cannot be read.
    #[error("cannot read: {0}")]
    Read(#[source] io::Error),
    /// The log cannot be written.
    #[error("cannot write: {0}")]
    Write(#[source] io::Error),
    /// The directory is in use, or what was written does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// Imports an export into a directory, which must not be there, or be empty; with `replace` it may hold
/// a log, which is moved out of the way. Tells how far it is: bytes of messages, and bytes there are.
///
/// The directory is replaced by renaming, so it cannot be the root of a file system.
pub fn import(
    input: &mut dyn BufRead,
    dir: &Path,
    replace: bool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<ImportReport, ImportError> {
    let dir = absolute(dir).map_err(ImportError::Write)?;
    let in_use = occupied(&dir, replace)?;
    let staging = beside(&dir, "importing");
    discard(&staging)?;
    let staged = stage::stage(&(Arc::new(RealEnv) as Arc<dyn Env>), input, &staging, progress);
    let swapped = staged.and_then(|report| {
        let replaced = swap(&dir, &staging, in_use.is_some()).map_err(ImportError::Write)?;
        Ok(ImportReport { replaced, ..report })
    });
    if swapped.is_err() {
        // What cannot be removed now is removed by the next import.
        drop(fs::remove_dir_all(&staging));
    }
    swapped
}

/// [`import`] into a directory of another file system that has nothing, without staging.
#[cfg(test)]
pub(crate) fn import_in(
    env: &Arc<dyn Env>,
    input: &mut dyn BufRead,
    dir: &Path,
) -> Result<ImportReport, ImportError> {
    stage::stage(env, input, dir, &mut |_, _| {})
}

/// The path of a directory that need not be there, without links. Its parent must be there.
fn absolute(dir: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let name = dir.file_name().ok_or(error)?;
            let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new("."));
            let found = fs::canonicalize(parent).map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", parent.display()))
            })?;
            Ok(found.join(name))
        }
        found => found,
    }
}

fn beside(dir: &Path, suffix: &str) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{suffix}"));
    dir.with_file_name(name)
}

fn names(dir: &Path) -> io::Result<Option<Vec<String>>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    let name = |entry: io::Result<fs::DirEntry>| {
        entry.map(|entry| entry.file_name().to_string_lossy().into_owned())
    };
    entries.map(name).collect::<io::Result<Vec<_>>>().map(Some)
}

/// Sees whether a directory may be taken; returns the lock of the log that is to make room.
fn occupied(dir: &Path, replace: bool) -> Result<Option<Box<dyn LockGuard>>, ImportError> {
    let names = names(dir).map_err(ImportError::Write)?.unwrap_or_default();
    let is_log = names.iter().any(|name| name == FORMAT || name == "filed" || name == "journal");
    match (names.is_empty(), is_log, replace) {
        (true, ..) => Ok(None),
        (false, false, _) => Err(ImportError::NotALog(dir.to_owned())),
        (false, true, false) => Err(ImportError::Occupied(dir.to_owned())),
        (false, true, true) => lock(dir).map(Some),
    }
}

/// Removes what an import left behind that was cut short; nothing else.
fn discard(staging: &Path) -> Result<(), ImportError> {
    let Some(names) = names(staging).map_err(ImportError::Write)? else { return Ok(()) };
    if names.iter().any(|name| !OURS.contains(&name.as_str()) && name != "FORMAT.tmp") {
        return Err(ImportError::InTheWay(staging.to_owned()));
    }
    let _lock = lock(staging)?;
    fs::remove_dir_all(staging).map_err(ImportError::Write)
}

fn lock(dir: &Path) -> Result<Box<dyn LockGuard>, ImportError> {
    RealEnv.lock(&dir.join(LOCK)).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => OpenError::InUse.into(),
        _ => ImportError::Write(error),
    })
}

/// Puts the staged log in its place; returns where the one before is now.
fn swap(dir: &Path, staging: &Path, replace: bool) -> io::Result<Option<PathBuf>> {
    let parent = dir.parent().unwrap_or(Path::new("/"));
    let mut replaced = None;
    if replace {
        let free = (1u32..).map(|n| beside(dir, &format!("replaced-{n}")));
        let mut free = free.filter(|path| !path.exists());
        let aside = free.next().ok_or(ErrorKind::AlreadyExists)?;
        fs::rename(dir, &aside)?;
        replaced = Some(aside);
    }
    if let Err(error) = fs::rename(staging, dir) {
        if let Some(aside) = &replaced {
            fs::rename(aside, dir)?;
        }
        return Err(error);
    }
    RealEnv.sync_dir(parent)?;
    Ok(replaced)
}
