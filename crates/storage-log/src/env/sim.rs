//! A disk in memory that fails as real ones do, by seed: [`SimEnv`].
//!
//! Calls are counted, so that a test can cut the power at each of them. What a power loss leaves:
//!
//! - Of a file: what was synced, and of each 512-byte sector written since any state it had since, each
//!   sector for itself; so writes are kept, lost, torn and reordered. The length is any it had since
//!   the sync, or on the way of an append. A cut by `set_len` goes with the length.
//! - Of a directory: the names that were synced, and some of the changes since, from the first on. A
//!   rename is done or not. A removed file may be back. Syncing a file does not make its name durable.
//!
//! What it does not do: tear a sector; show bytes of another file; lose what was synced, but for
//! [`SimEnv::flip_bit`]; lose a directory, for `create_dir_all` of [`RealEnv`] syncs the one above.
//!
//! The same seed and the same calls in the same order give the same bytes. The order of calls from
//! several threads is theirs.
//!
//! [`RealEnv`]: super::real::RealEnv

mod content;
#[cfg(test)]
mod contract;
mod disk;
mod extents;
mod fault;
mod file;
mod machine;
mod rng;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_crash;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use self::content::Content;
pub use self::fault::Syscall;
use self::file::{SimFile, SimLock};
use self::machine::{Machine, Process};
use super::{Env, File, LockGuard};
use crate::crc32c;

/// A simulated disk; clones share it.
#[derive(Debug, Clone)]
pub struct SimEnv {
    machine: Arc<Mutex<Machine>>,
    /// The process that this is for; none: whichever runs.
    process: Option<Process>,
}

impl SimEnv {
    /// An empty disk. It has the directories `/` and the working directory.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { machine: Arc::new(Mutex::new(Machine::new(seed))), process: None }
    }

    /// The same disk as the running process has it: after [`SimEnv::crash`] or [`SimEnv::restart`] every
    /// call of [`Env`] on it fails. Give this to what may leave threads behind.
    #[must_use]
    pub fn process(&self) -> Self {
        let process = Some(self.machine.lock().process);
        Self { machine: Arc::clone(&self.machine), process }
    }

    /// Cuts the power and brings it back: what was not durable is kept, lost or torn by the seed. Open
    /// files fail from now on, locks are free, and a pending crash point is off. Faults stay.
    pub fn crash(&self) {
        self.machine.lock().crash();
    }

    /// Ends the process alone, as SIGKILL does: like [`SimEnv::crash`], but all that was written stays,
    /// durable or not.
    pub fn restart(&self) {
        self.machine.lock().restart();
    }

    /// Cuts the power in the `nth` mutating call from now: 1 is the next, 0 is never. That call is done
    /// in part, whole or not at all, and fails, as does every call after it, with "simulated power
    /// loss", until [`SimEnv::crash`]; or [`SimEnv::restart`], to take it for a SIGKILL instead.
    pub fn crash_at(&self, nth: u64) {
        self.machine.lock().crash_in = nth;
    }

    /// Whether the power is gone, from [`SimEnv::crash_at`].
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.machine.lock().down
    }

    /// How many mutating calls there were: create, write, sync, set_len, rename, remove and sync_dir,
    /// also those that failed; create_dir_all and lock if they created something.
    #[must_use]
    pub fn syscalls(&self) -> u64 {
        self.machine.lock().syscalls
    }

    /// How long all pauses together were, [`Env::pause`].
    #[must_use]
    pub fn paused(&self) -> Duration {
        self.machine.lock().paused
    }

    /// The bytes that all files together may take; none: no limit. A write beyond it writes what fits
    /// and fails with [`ErrorKind::StorageFull`]. Holes take no space, so that `set_len` reserves none;
    /// overwriting takes none either. A removed file gives its space back once nobody has it open.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.machine.lock().disk.capacity = bytes;
    }

    /// The bytes that all files together take.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.machine.lock().disk.used()
    }

    /// Fails the `nth` such call from now, 1 being the next, with an input/output error of kind `Other`.
    ///
    /// A failed write is done in part. After a failed sync what was not durable may be dropped, although
    /// later syncs succeed, and may read as new or as old. A failed sync_dir is done or not. All others
    /// are not done.
    pub fn fail(&self, call: Syscall, nth: u64) {
        self.fail_on(call, "", nth, ErrorKind::Other);
    }

    /// [`SimEnv::fail`] of the `nth` such call on a path that contains `part`, with an error of a kind.
    /// Scripts add up.
    pub fn fail_on(&self, call: Syscall, part: &str, nth: u64, kind: ErrorKind) {
        self.machine.lock().faults.script(call, part, nth, kind);
    }

    /// Fails one in so many of such calls, by the seed, as [`SimEnv::fail`] does; 1 fails each, 0 none.
    pub fn set_rate(&self, call: Syscall, one_in: u64) {
        self.machine.lock().faults.set_rate(call, one_in);
    }

    /// Makes one in so many writes short, by the seed: at least one byte, but not all; 0 makes none.
    pub fn set_short_writes(&self, one_in: u64) {
        self.machine.lock().faults.set_short_writes(one_in);
    }

    /// No more faults, by script or by rate. The capacity stays.
    pub fn clear_faults(&self) {
        self.machine.lock().faults.clear();
    }

    /// Bit rot: flips a bit of the byte at an offset, on the disk and in the cache. Fails with
    /// `NotFound` if there is no such file, and `UnexpectedEof` if it has no such byte.
    pub fn flip_bit(&self, path: &Path, offset: u64) -> io::Result<()> {
        let mut machine = self.machine.lock();
        let bit = machine.rng.below(8) as u8;
        let id = machine.disk.find(path)?;
        let flipped = machine.disk.content_mut(id)?.flip(offset, bit);
        if flipped { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    /// [`SimEnv::flip_bit`] somewhere in a file; the offset.
    pub fn rot(&self, path: &Path) -> io::Result<u64> {
        let offset = {
            let mut machine = self.machine.lock();
            let id = machine.disk.find(path)?;
            let length = machine.disk.content(id)?.cached().len();
            machine.rng.below(length as u64)
        };
        self.flip_bit(path, offset)?;
        Ok(offset)
    }

    /// The names of all files, sorted. This and those below see what processes see, but meet no fault,
    /// are not counted, and work without power.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.machine.lock().disk.files().map(|(path, _)| path.to_path_buf()).collect()
    }

    /// All files by name.
    #[must_use]
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let owned =
            |(path, content): (&Path, &Content)| (path.to_path_buf(), content.cached().to_vec());
        self.machine.lock().disk.files().map(owned).collect()
    }

    /// The bytes of a file.
    pub fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let machine = self.machine.lock();
        let id = machine.disk.find(path)?;
        Ok(machine.disk.content(id)?.cached().to_vec())
    }

    /// Puts a file there, in place of what has its name, with the directories above it. It is durable,
    /// and so are the names in its directory.
    pub fn write_file(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.machine.lock().disk.put(path, bytes.to_vec())
    }

    /// The state of the disk and its latest calls, for the message of a failing test: a line a file
    /// with its length, the checksum (CRC32C) of its bytes, and what of it is durable.
    #[must_use]
    pub fn dump(&self) -> String {
        let machine = self.machine.lock();
        let mut text = format!(
            "process {}, {} mutating calls, power {}\n",
            machine.process,
            machine.syscalls,
            if machine.down { "gone" } else { "on" }
        );
        for (path, content) in machine.disk.files() {
            let (cached, synced) = (content.cached(), content.synced());
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "{}: {} bytes, crc32c {:08x}; durable {} bytes, crc32c {:08x}; {} changes pending",
                path.display(),
                cached.len(),
                crc32c::of(cached),
                synced.len(),
                crc32c::of(synced),
                content.pending()
            );
        }
        for (number, call, path) in &machine.recent {
            let _ = writeln!(text, "call {number}: {call:?} {path:?}");
        }
        text
    }
}

impl Env for SimEnv {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut machine = self.machine.lock();
        if machine.disk.has_dir(path) {
            return machine.look(self.process, Syscall::CreateDir, path, |_| Ok(()));
        }
        machine.change(self.process, Syscall::CreateDir, path, |disk| disk.create_dir_all(path))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut machine = self.machine.lock();
        let id = machine.change(self.process, Syscall::Create, path, |disk| disk.create(path))?;
        Ok(Arc::new(SimFile::open(&self.machine, &mut machine, id)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut machine = self.machine.lock();
        let id = machine.look(self.process, Syscall::Open, path, |disk| disk.find(path))?;
        Ok(Arc::new(SimFile::open(&self.machine, &mut machine, id)))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.machine.lock().look(self.process, Syscall::List, path, |disk| disk.list(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let both = PathBuf::from(format!("{}\n{}", from.display(), to.display()));
        self.machine
            .lock()
            .change(self.process, Syscall::Rename, &both, |disk| disk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.machine.lock().change(self.process, Syscall::Remove, path, |disk| disk.remove(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.machine.lock().change(self.process, Syscall::SyncDir, path, |disk| disk.sync_dir(path))
    }

    /// By the seed, so that a run can be repeated.
    fn draw(&self) -> u64 {
        self.machine.lock().rng.below(u64::MAX)
    }

    /// Takes no time; see [`SimEnv::paused`].
    fn pause(&self, duration: Duration) {
        self.machine.lock().paused += duration;
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        let mut machine = self.machine.lock();
        let id = if machine.disk.has_file(path) || machine.disk.has_dir(path) {
            machine.look(self.process, Syscall::Lock, path, |disk| disk.find(path))?
        } else {
            machine.change(self.process, Syscall::Lock, path, |disk| disk.create(path))?
        };
        if !machine.disk.take_lock(id) {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimLock::new(SimFile::open(&self.machine, &mut machine, id))))
    }
}
