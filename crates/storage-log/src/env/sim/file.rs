//! An open file and a held lock of the simulated disk.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::disk::FileId;
use super::fault::Syscall;
use super::machine::{Machine, Process};
use crate::env::{File, LockGuard};

/// A file that a process has open. It ends with the process.
#[derive(Debug)]
pub(super) struct SimFile {
    machine: Arc<Mutex<Machine>>,
    process: Process,
    id: FileId,
}

impl SimFile {
    /// Opens a file for the process that runs.
    pub(super) fn open(machine: &Arc<Mutex<Machine>>, state: &mut Machine, id: FileId) -> Self {
        state.disk.opened(id);
        Self { machine: Arc::clone(machine), process: state.process, id }
    }
}

impl File for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut machine = self.machine.lock();
        let path = machine.disk.label(self.id);
        machine.look(Some(self.process), Syscall::Read, &path, |disk| {
            Ok(disk.content(self.id)?.read(buffer, offset))
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.machine.lock().write(Some(self.process), self.id, bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.machine.lock().sync(Some(self.process), self.id)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut machine = self.machine.lock();
        let path = machine.disk.label(self.id);
        machine.change(Some(self.process), Syscall::SetLen, &path, |disk| {
            disk.content_mut(self.id)?.set_len(length)
        })
    }

    fn len(&self) -> io::Result<u64> {
        let machine = self.machine.lock();
        machine.must_live(Some(self.process))?;
        Ok(machine.disk.content(self.id)?.cached().len() as u64)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut machine = self.machine.lock();
        if machine.process == self.process {
            machine.disk.closed(self.id);
        }
    }
}

/// A lock that a process has. It ends with the process.
#[derive(Debug)]
pub(super) struct SimLock {
    file: SimFile,
}

impl SimLock {
    pub(super) fn new(file: SimFile) -> Self {
        Self { file }
    }
}

impl LockGuard for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut machine = self.file.machine.lock();
        if machine.process == self.file.process {
            machine.disk.give_lock_back(self.file.id);
        }
    }
}
