//! The machine around the disk: it counts the calls, deals the faults and loses power.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::disk::{Disk, FileId};
use super::fault::{Faults, Syscall};
use super::rng::Rng;

/// How many calls a dump shows.
const RECENT: usize = 24;

/// Which process: a crash or a restart ends one, and the next begins.
pub(super) type Process = u64;

/// The state behind a `SimEnv`.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) disk: Disk,
    pub(super) faults: Faults,
    pub(super) rng: Rng,
    pub(super) paused: Duration,
    pub(super) process: Process,
    /// Mutating calls so far.
    pub(super) syscalls: u64,
    /// Mutating calls until the power goes; 0: it stays.
    pub(super) crash_in: u64,
    /// Whether the power is gone.
    pub(super) down: bool,
    pub(super) recent: VecDeque<(u64, Syscall, PathBuf)>,
}

/// What becomes of a call.
enum Turn {
    Goes,
    Fails(io::Error),
    LosesPower,
}

impl Machine {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            disk: Disk::default(),
            faults: Faults::default(),
            rng: Rng::new(seed),
            paused: Duration::ZERO,
            process: 0,
            syscalls: 0,
            crash_in: 0,
            down: false,
            recent: VecDeque::new(),
        }
    }

    /// Power loss, and the power is back.
    pub(super) fn crash(&mut self) {
        self.disk.crash(&mut self.rng);
        self.boot();
    }

    /// The end of the process alone: the cache lives.
    pub(super) fn restart(&mut self) {
        self.disk.end_process();
        self.boot();
    }

    fn boot(&mut self) {
        self.process += 1;
        self.down = false;
        self.crash_in = 0;
    }

    /// Fails if the power is gone, or the process that asks has ended.
    pub(super) fn must_live(&self, process: Option<Process>) -> io::Result<()> {
        if self.down {
            Err(power_loss())
        } else if process.is_some_and(|process| process != self.process) {
            Err(io::Error::other("simulated end of the process"))
        } else {
            Ok(())
        }
    }

    fn turn(
        &mut self,
        process: Option<Process>,
        call: Syscall,
        path: &Path,
        mutates: bool,
    ) -> io::Result<Turn> {
        self.must_live(process)?;
        if mutates {
            self.syscalls += 1;
            if self.recent.len() == RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back((self.syscalls, call, path.to_path_buf()));
            if self.crash_in > 0 {
                self.crash_in -= 1;
                if self.crash_in == 0 {
                    self.down = true;
                    return Ok(Turn::LosesPower);
                }
            }
        }
        Ok(self.faults.strike(call, path, &mut self.rng).map_or(Turn::Goes, Turn::Fails))
    }

    /// A call that changes nothing.
    pub(super) fn look<T>(
        &mut self,
        process: Option<Process>,
        call: Syscall,
        path: &Path,
        look: impl FnOnce(&Disk) -> io::Result<T>,
    ) -> io::Result<T> {
        match self.turn(process, call, path, false)? {
            Turn::Fails(error) => Err(error),
            Turn::Goes | Turn::LosesPower => look(&self.disk),
        }
    }

    /// A call that is done whole or not at all. One that fails is not done, except a `SyncDir`: of
    /// that nothing is known.
    pub(super) fn change<T>(
        &mut self,
        process: Option<Process>,
        call: Syscall,
        path: &Path,
        change: impl FnOnce(&mut Disk) -> io::Result<T>,
    ) -> io::Result<T> {
        match self.turn(process, call, path, true)? {
            Turn::Goes => change(&mut self.disk),
            Turn::Fails(error) => {
                if call == Syscall::SyncDir && self.rng.coin() {
                    change(&mut self.disk).ok();
                }
                Err(error)
            }
            Turn::LosesPower => {
                // Whether it could have been done is not told any more.
                if self.rng.coin() {
                    change(&mut self.disk).ok();
                }
                Err(power_loss())
            }
        }
    }

    /// A write that fails is done in part, from its beginning.
    pub(super) fn write(
        &mut self,
        process: Option<Process>,
        id: FileId,
        bytes: &[u8],
        offset: u64,
    ) -> io::Result<usize> {
        let error = match self.turn(process, Syscall::Write, &self.disk.label(id), true)? {
            Turn::Goes => {
                let length = self.faults.shorten(bytes.len(), &mut self.rng);
                self.disk.write(id, &bytes[..length], offset)?;
                return Ok(length);
            }
            Turn::Fails(error) => error,
            Turn::LosesPower => power_loss(),
        };
        let length = self.rng.up_to(bytes.len());
        // The fault comes first: whether that part fits is not told.
        self.disk.write(id, &bytes[..length], offset).ok();
        Err(error)
    }

    /// A sync that the power loss cuts off is done, or left to what the power loss does anyhow.
    pub(super) fn sync(&mut self, process: Option<Process>, id: FileId) -> io::Result<()> {
        let turn = self.turn(process, Syscall::Sync, &self.disk.label(id), true)?;
        let content = self.disk.content_mut(id)?;
        match turn {
            Turn::Goes => {
                content.sync();
                Ok(())
            }
            Turn::Fails(error) => {
                content.fail_sync(&mut self.rng);
                Err(error)
            }
            Turn::LosesPower => {
                if self.rng.coin() {
                    content.sync();
                }
                Err(power_loss())
            }
        }
    }
}

fn power_loss() -> io::Error {
    io::Error::other("simulated power loss")
}
