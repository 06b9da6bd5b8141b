//! The seam to the disk: all that the log asks of a file system.
//!
//! The log calls nothing else, so that a simulated disk can stand in for the real one and lose, tear,
//! reorder and fail what a real one may.

pub mod real;
pub mod sim;

use std::io;
use std::path::Path;
use std::sync::Arc;

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

    /// Takes the lock on a file, which is created if need be, until the guard is dropped or the process
    /// ends. Fails with [`io::ErrorKind::WouldBlock`] if somebody else has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>>;
}

/// An open file. Reads and writes name their place, so there is no cursor to share.
pub trait File: Send + Sync {
    /// Reads at most `buffer.len()` bytes at an offset; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

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
