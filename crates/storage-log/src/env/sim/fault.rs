//! Which calls fail: by script, or by chance from the seed.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::rng::Rng;

/// A call to the disk, as faults and traces name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Syscall {
    /// `Env::create_dir_all`. It mutates if the directory is not there.
    CreateDir,
    /// `Env::create`.
    Create,
    /// `Env::open`.
    Open,
    /// `Env::list`.
    List,
    /// `Env::rename`. Its path is the old name, a line feed, and the new name.
    Rename,
    /// `Env::remove`.
    Remove,
    /// `Env::sync_dir`.
    SyncDir,
    /// `Env::lock`. It mutates if the file is not there.
    Lock,
    /// `File::read_at`.
    Read,
    /// `File::write_at`.
    Write,
    /// `File::sync`.
    Sync,
    /// `File::set_len`.
    SetLen,
}

/// A call that is to fail.
#[derive(Debug)]
struct Script {
    call: Syscall,
    /// A part of the path.
    needle: String,
    /// Which such call from now: 1 is the next.
    nth: u64,
    kind: ErrorKind,
}

/// The faults to come.
#[derive(Debug, Default)]
pub(super) struct Faults {
    scripts: Vec<Script>,
    /// One call in so many fails.
    rates: BTreeMap<Syscall, u64>,
    /// One write in so many is short; 0: none.
    short_writes: u64,
}

impl Faults {
    pub(super) fn script(&mut self, call: Syscall, needle: &str, nth: u64, kind: ErrorKind) {
        self.scripts.push(Script { call, needle: needle.to_owned(), nth: nth.max(1), kind });
    }

    pub(super) fn set_rate(&mut self, call: Syscall, one_in: u64) {
        if one_in == 0 {
            self.rates.remove(&call);
        } else {
            self.rates.insert(call, one_in);
        }
    }

    pub(super) fn set_short_writes(&mut self, one_in: u64) {
        self.short_writes = one_in;
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The error of this call, if it is to fail.
    pub(super) fn strike(
        &mut self,
        call: Syscall,
        path: &Path,
        rng: &mut Rng,
    ) -> Option<io::Error> {
        let mut struck = None;
        if !self.scripts.is_empty() {
            let path = path.to_string_lossy();
            self.scripts.retain_mut(|script| {
                if script.call != call || !path.contains(&script.needle) {
                    return true;
                }
                script.nth -= 1;
                if script.nth == 0 {
                    struck.get_or_insert(script.kind);
                }
                script.nth > 0
            });
        }
        if let Some(&one_in) = self.rates.get(&call)
            && rng.below(one_in) == 0
        {
            struck.get_or_insert(ErrorKind::Other);
        }
        struck.map(|kind| match kind {
            ErrorKind::Other => io::Error::other("simulated input/output error"),
            kind => kind.into(),
        })
    }

    /// How many of so many bytes a write takes: at least one of them.
    pub(super) fn shorten(&self, length: usize, rng: &mut Rng) -> usize {
        if self.short_writes == 0 || length < 2 || rng.below(self.short_writes) != 0 {
            length
        } else {
            1 + rng.up_to(length - 2)
        }
    }
}
