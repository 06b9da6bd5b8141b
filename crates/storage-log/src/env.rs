//! The seam to the disk: all that the log asks of a file system.
//!
//! The log calls nothing else, so that a simulated disk can stand in for the real one and lose, tear,
//! reorder and fail what a real one may.

mod no_wait;
pub mod real;
pub mod sim;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::no_wait::NoWait;
pub use self::real::RealEnv;
pub use self::sim::SimEnv;

/// A file system.
pub trait Env: Send + Sync + 'static {
    /// Creates a directory and those above it, durably; it may be there.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Creates a file, which must not be there. Its name is durable after [`Env::sync_dir`].
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Opens a file, which must be there, to be read and written.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// The names in a directory, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Renames a file, replacing what has the new name. Durable after [`Env::sync_dir`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Durable after [`Env::sync_dir`]; those who have it open read on.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// A number that nobody outside can know.
    fn draw(&self) -> u64;

    /// Lets so much time pass.
    fn pause(&self, duration: Duration);

    /// Takes the lock on a file, which is created if need be, until the guard is dropped or the process
    /// ends. Fails with [`io::ErrorKind::WouldBlock`] if somebody else has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>>;
}

/// An open file. Reads and writes name their place, so there is no cursor to share.
pub trait File: Send + Sync {
    /// Reads at most `buffer.len()` bytes at an offset; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Reads at most `length` bytes at an offset; fewer only at the end of the file.
    fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let mut read = 0;
        while read < length {
            match self.read_at(&mut bytes[read..], offset + read as u64)? {
                0 => break,
                more => read += more,
            }
        }
        bytes.truncate(read);
        Ok(bytes)
    }

    /// [`read_at`](File::read_at) of what is in memory already, so that the caller does not wait for the
    /// disk. Fails with [`io::ErrorKind::WouldBlock`] if not all of it is, or if that cannot be told.
    fn read_cached_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let _ = (buffer, offset);
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Tells that so many bytes will be read soon; does not wait for them.
    fn will_read(&self, offset: u64, length: u64) {
        let _ = (offset, length);
    }

    /// Writes at an offset, beyond the end too. May write less than asked; on an error nothing is known
    /// of what was written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Makes what was written durable, and the length. After an error nothing is known of what is.
    fn sync(&self) -> io::Result<()>;

    /// Cuts or extends (with zeros) the file. Durable after [`File::sync`].
    fn set_len(&self, length: u64) -> io::Result<()>;

    /// The length of the file, in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file is empty.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// Holds the lock of [`Env::lock`].
pub trait LockGuard: Send + Sync {}
