//! A file that is read only as far as it is in memory: [`NoWait`].

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::File;

/// To copy more than this is to wait, too.
const MAX_READ_BYTES: usize = 2 << 20;

/// A file whose reads fail rather than wait for the disk; remembers that one did.
pub(crate) struct NoWait {
    pub(crate) file: Arc<dyn File>,
    /// Set when a read would have had to wait; shared by the files of one operation.
    pub(crate) would_wait: Arc<AtomicBool>,
}

impl File for NoWait {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = match buffer.len() > MAX_READ_BYTES {
            true => Err(ErrorKind::WouldBlock.into()),
            false => self.file.read_cached_at(buffer, offset),
        };
        if read.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
            self.would_wait.store(true, Ordering::Relaxed);
        }
        read
    }

    /// Nothing: what comes next is most likely in memory, as this was.
    fn will_read(&self, _: u64, _: u64) {}

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        Err(ErrorKind::Unsupported.into())
    }

    fn sync(&self) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}
