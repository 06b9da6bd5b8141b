//! The disk of this machine, through `std::fs`: [`RealEnv`]. For Unix.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{Env, File, LockGuard};

/// The file system of this machine.
///
/// Calls that a signal interrupts are made again. Nothing is buffered in the process: what
/// [`File::write_at`] took, the kernel has, and a crash of the process alone does not lose it.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealEnv;

impl Env for RealEnv {
    /// What is created is durable on return. So is the name of the deepest directory that was there,
    /// for whoever created that may have died before it was made durable.
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut missing = Vec::new();
        let mut there = path;
        while !there.as_os_str().is_empty() && !exists(there)? {
            missing.push(there);
            there = parent(there);
        }
        match sync_directory(parent(there)) {
            // The directory above ours need not be ours to read; then it was not ours to create in.
            Err(error) if error.kind() != ErrorKind::PermissionDenied => return Err(error),
            _ => {}
        }
        for directory in missing.into_iter().rev() {
            match uninterrupted(|| fs::create_dir(directory)) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                _ => sync_directory(parent(directory))?,
            }
        }
        if uninterrupted(|| fs::metadata(or_here(path)))?.is_dir() {
            Ok(())
        } else {
            Err(ErrorKind::AlreadyExists.into())
        }
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let file = uninterrupted(|| {
            fs::File::options().read(true).write(true).create_new(true).open(path)
        })?;
        Ok(Arc::new(RealFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let file = uninterrupted(|| fs::File::options().read(true).write(true).open(path))?;
        Ok(Arc::new(RealFile(file)))
    }

    /// Regular files only: directories, links and names that are not UTF-8 are not ours.
    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in uninterrupted(|| fs::read_dir(or_here(path)))? {
            let entry = entry?;
            match entry.file_type() {
                Ok(kind) if kind.is_file() => names.extend(entry.file_name().into_string().ok()),
                Ok(_) => {}
                // Removed since it was listed, where the kind takes a call of its own.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        uninterrupted(|| fs::rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        uninterrupted(|| fs::remove_file(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        sync_directory(or_here(path))
    }

    /// The standard library keys its hashers with such.
    fn draw(&self) -> u64 {
        RandomState::new().hash_one(0u8)
    }

    fn pause(&self, duration: Duration) {
        std::thread::sleep(duration);
    }

    /// An advisory lock (`flock`) on the open file: the kernel gives it back when the process ends,
    /// however it ends.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        let file = uninterrupted(|| {
            fs::File::options().read(true).write(true).create(true).truncate(false).open(path)
        })?;
        uninterrupted(|| file.try_lock().map_err(io::Error::from))?;
        Ok(Box::new(RealLock { _file: file }))
    }
}

struct RealFile(fs::File);

impl File for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < buffer.len() {
            let rest = &mut buffer[read..];
            match uninterrupted(|| self.0.read_at(rest, offset + read as u64))? {
                0 => break,
                more => read += more,
            }
        }
        Ok(read)
    }

    /// Into memory that is not cleared before.
    fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let at = offset + bytes.len() as u64;
            let read = uninterrupted(|| {
                Ok(rustix::io::pread(&self.0, rustix::buffer::spare_capacity(&mut bytes), at)?)
            })?;
            if read == 0 {
                break;
            }
        }
        // There may be more capacity than was asked for.
        bytes.truncate(length);
        Ok(bytes)
    }

    #[cfg(target_os = "linux")]
    fn read_cached_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < buffer.len() {
            let (rest, at) = (&mut buffer[read..], offset + read as u64);
            match uninterrupted(|| no_wait::pread(&self.0, rest, at))? {
                0 => break,
                more => read += more,
            }
        }
        Ok(read)
    }

    fn will_read(&self, offset: u64, length: u64) {
        // It is advice: what comes of it does not matter.
        #[cfg(target_os = "linux")]
        let _ = rustix::fs::fadvise(
            &self.0,
            offset,
            std::num::NonZero::new(length),
            rustix::fs::Advice::WillNeed,
        );
        #[cfg(not(target_os = "linux"))]
        let _ = (offset, length);
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        uninterrupted(|| self.0.write_at(bytes, offset))
    }

    /// `sync_data`. On Linux that is `fdatasync`, which leaves out the times of a file but not what is
    /// needed to read it back: a changed length and newly allocated blocks are durable too. On Apple
    /// systems std makes it `F_FULLFSYNC`, as it does `sync_all`, for their `fsync` stops at the cache
    /// of the drive.
    fn sync(&self) -> io::Result<()> {
        // Not made again after any error but an interruption: see `File::sync`.
        uninterrupted(|| self.0.sync_data())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        uninterrupted(|| self.0.set_len(length))
    }

    fn len(&self) -> io::Result<u64> {
        Ok(uninterrupted(|| self.0.metadata())?.len())
    }
}

#[cfg(target_os = "linux")]
mod no_wait {
    use std::fs::File;
    use std::io::{self, ErrorKind, IoSliceMut};

    use rustix::io::{Errno, ReadWriteFlags, preadv2};

    /// Reads what is in the page cache. File systems that cannot tell count as ones that would wait.
    pub(super) fn pread(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let buffers = &mut [IoSliceMut::new(buffer)];
        preadv2(file, buffers, offset, ReadWriteFlags::NOWAIT).map_err(|error| match error {
            Errno::OPNOTSUPP | Errno::NOSYS => ErrorKind::WouldBlock.into(),
            error => error.into(),
        })
    }
}

/// Closing the file gives the lock back.
struct RealLock {
    _file: fs::File,
}

impl LockGuard for RealLock {}

/// Makes a call again for as long as signals interrupt it.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn exists(path: &Path) -> io::Result<bool> {
    uninterrupted(|| fs::exists(path))
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = uninterrupted(|| fs::File::open(path))?;
    uninterrupted(|| directory.sync_all())
}

/// The directory that holds the name of `path`.
fn parent(path: &Path) -> &Path {
    or_here(path.parent().unwrap_or(path))
}

/// The empty path means the working directory.
fn or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}
