//! The world of a run: the disk, the engine, the model, and what may go wrong just now.

use std::path::Path;
use std::sync::Arc;

use streamkeeper_storage::{Commit, Entry, Range, StorageError};

use super::busy::{Meanwhile, Work};
use super::chance::Chance;
use super::check::Tolerance;
use super::model::Model;
use super::stats::Stats;
use crate::engine::{Engine, LogOptions, Submission};
use crate::env::SimEnv;
use crate::env::sim::Syscall;

/// The directory of the log.
pub(super) const DIR: &str = "/data";

/// Everything of one run.
pub(super) struct World {
    pub(super) env: SimEnv,
    pub(super) engine: Option<Arc<Engine>>,
    /// What happens while the log files or merges.
    pub(super) meanwhile: Arc<Meanwhile>,
    pub(super) model: Model,
    /// Commits whose outcome nobody was told: the first so many of them may be in the log.
    pub(super) unacked: Vec<Entry>,
    pub(super) options: LogOptions,
    pub(super) chance: Chance,
    pub(super) stats: Stats,
    /// A fault is to strike, or did, in the current operation.
    pub(super) fault: bool,
    /// A fault has struck since the log was opened.
    pub(super) faulted: bool,
    /// Space is short.
    pub(super) tight: bool,
    /// Something on the disk has rotted.
    pub(super) rotten: bool,
    pub(super) short_writes: u64,
    /// The operations so far, if somebody is to read them.
    pub(super) trace: Option<Vec<String>>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            env: SimEnv::new(seed),
            engine: None,
            meanwhile: Arc::default(),
            model: Model::default(),
            unacked: Vec::new(),
            options: LogOptions {
                segment_bytes: 4096,
                merge_width: 2,
                max_filed_bytes: 1 << 20,
                max_awake_streams: 3,
                prepared_bytes: 64 << 10,
                ..LogOptions::default()
            },
            chance: Chance::new(seed ^ 0xdead_beef),
            stats: Stats { runs: 1, ..Stats::default() },
            fault: false,
            faulted: false,
            tight: false,
            rotten: false,
            short_writes: 0,
            trace: None,
        }
    }

    pub(super) fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("call {}: {}", self.env.syscalls(), what()));
        }
    }

    /// Whether there is an engine and power, so that an operation makes sense.
    pub(super) fn is_up(&self) -> bool {
        self.engine.is_some() && !self.env.is_down()
    }

    /// Whether an operation may fail now.
    pub(super) fn may_fail(&self) -> bool {
        self.fault || self.tight || self.rotten || self.env.is_down()
    }

    /// Submits a batch of commits and compares their outcomes with the model's.
    pub(super) fn commit(&mut self, entries: Vec<Entry>) {
        self.note(|| entries.iter().map(describe).collect::<Vec<_>>().join("; "));
        let Some(engine) = self.engine.as_ref().filter(|_| !self.env.is_down()) else { return };
        let poisoned = engine.health().is_err();
        let (mut submissions, commits) = submissions(&entries);
        engine.commit(&mut submissions);
        self.judge(entries, commits, poisoned);
    }

    /// Files or merges, while somebody reads, and then commits.
    pub(super) fn commit_meanwhile(
        &mut self,
        ranges: Vec<Range>,
        entries: Vec<Entry>,
        operate: impl FnOnce(&mut Self),
    ) {
        let Some(engine) = self.engine.clone().filter(|_| !self.env.is_down()) else { return };
        let at = self.chance.below(12);
        self.note(|| entries.iter().map(describe).collect::<Vec<_>>().join("; "));
        self.note(|| format!("  meanwhile, at {at}:"));
        let poisoned = engine.health().is_err();
        let (submissions, commits) = submissions(&entries);
        self.meanwhile.plan(Work { engine, at, ranges, submissions });
        operate(self);
        let Some(reads) = self.meanwhile.finish() else { return };
        self.stats.meanwhile += 1;
        for (range, read) in reads {
            self.check_page(range, read, Tolerance::None);
        }
        self.judge(entries, commits, poisoned);
    }

    /// Compares the outcomes of a batch with the model's.
    fn judge(&mut self, entries: Vec<Entry>, commits: Vec<Commit>, poisoned: bool) {
        let mut ahead = self.model.states.clone();
        let mut fate = None;
        let mut valid = Vec::new();
        for (entry, commit) in entries.into_iter().zip(commits) {
            let expected = ahead.apply(&entry);
            let outcome = commit.try_outcome().expect("a commit has an outcome");
            if poisoned {
                assert!(matches!(outcome, Err(StorageError::Unavailable(_))), "{outcome:?}");
                continue;
            }
            match expected {
                Err(error) => {
                    self.stats.refused += 1;
                    assert_eq!(outcome, Err(error), "of {}", describe(&entry));
                }
                Ok(()) => {
                    let fate = fate.get_or_insert_with(|| outcome.clone());
                    assert_eq!(outcome, *fate, "a batch is done as one: {}", describe(&entry));
                    valid.push(entry);
                }
            }
        }
        self.stats.commits += 1;
        self.settle(fate, valid);
        self.check_health();
    }

    /// Takes note of what became of the valid commits of a batch.
    fn settle(&mut self, fate: Option<Result<(), StorageError>>, valid: Vec<Entry>) {
        match fate {
            None => {}
            Some(Ok(())) => {
                self.stats.acknowledged += valid.len() as u64;
                valid.iter().for_each(|entry| self.model.adopt(entry));
            }
            Some(Err(StorageError::Full)) => {
                self.note(|| "  full".into());
                self.stats.full_commits += 1;
                assert!(self.tight, "full, although there is space");
            }
            Some(Err(StorageError::Unavailable(error))) => {
                self.note(|| format!("  unavailable: {error}"));
                assert!(self.fault || self.env.is_down(), "a commit fails: {error}");
                assert!(self.health().is_err(), "a failed write poisons the log: {error}");
                assert!(self.unacked.is_empty(), "a poisoned log has written");
                self.unacked = valid;
            }
            Some(Err(error)) => panic!("a valid commit is refused: {error}"),
        }
    }

    pub(super) fn seal(&mut self) {
        self.note(|| "seal".into());
        let Some(engine) = self.engine.as_ref().filter(|_| !self.env.is_down()) else { return };
        if engine.health().is_ok() {
            let sealed = engine.seal().is_some();
            assert!(sealed || self.may_fail(), "a segment is not sealed");
            self.stats.seals += u64::from(sealed);
        }
        self.check_health();
    }

    /// Files the oldest sealed segment; whether there was one and it was.
    pub(super) fn file(&mut self) -> bool {
        self.note(|| "file".into());
        let Some(engine) = self.engine.as_ref().filter(|_| !self.env.is_down()) else {
            return false;
        };
        let waiting = engine.sealed().len();
        let filed = engine.file_oldest();
        let left = engine.sealed().len();
        match &filed {
            Ok(filed) => {
                assert_eq!(*filed, waiting > 0, "of {waiting} segments one is filed");
                assert!(left + 1 >= waiting, "one segment is filed");
                self.stats.filings += u64::from(*filed);
            }
            Err(error) => self.failed("filing", &error.clone()),
        }
        self.check_health();
        filed.is_ok_and(|filed| filed)
    }

    /// Merges what is to be merged next; whether there was something and it was.
    pub(super) fn merge(&mut self) -> bool {
        let Some(engine) = self.engine.as_ref().filter(|_| !self.env.is_down()) else {
            return false;
        };
        let Some(covers) = engine.merge_candidates() else { return false };
        let merged = engine.merge(&covers);
        self.note(|| format!("merge {covers:?}"));
        match &merged {
            Ok(()) => self.stats.merges += 1,
            Err(error) => self.failed("merging", error),
        }
        self.check_health();
        merged.is_ok()
    }

    /// Files and merges until there is nothing left to do.
    pub(super) fn tidy(&mut self) {
        let mut steps = 0;
        while self.file() || self.merge() {
            steps += 1;
            assert!(steps < 1000, "filing and merging come to an end");
        }
    }

    fn failed(&mut self, what: &str, error: &StorageError) {
        self.note(|| format!("  {what} fails: {error}"));
        assert!(self.may_fail(), "{what} fails: {error}");
        self.stats.failed_steps += 1;
        if *error == StorageError::Full {
            self.stats.full_steps += 1;
            assert!(self.tight, "{what}: full, although there is space");
        }
    }

    /// Lets the `nth` such call fail while an operation runs.
    pub(super) fn with_fault(&mut self, call: Syscall, nth: u64, operate: impl FnOnce(&mut Self)) {
        self.note(|| format!("fault: {call:?} {nth}"));
        self.env.fail(call, nth);
        (self.fault, self.faulted) = (true, true);
        self.stats.faults += 1;
        operate(self);
        self.env.clear_faults();
        self.env.set_short_writes(self.short_writes);
        self.fault = false;
    }

    /// Leaves so much space; none: as much as there is need for.
    pub(super) fn space(&mut self, bytes: Option<u64>) {
        self.note(|| format!("space: {bytes:?}"));
        self.env.set_capacity(bytes.map(|bytes| self.env.used() + bytes));
        self.tight = bytes.is_some();
    }

    pub(super) fn health(&self) -> Result<(), StorageError> {
        self.engine.as_ref().map_or(Ok(()), |engine| engine.health())
    }

    fn check_health(&mut self) {
        if let Err(error) = self.health() {
            assert!(self.faulted || self.env.is_down(), "poisoned without a fault: {error}");
            self.stats.poisoned += u64::from(!self.env.is_down());
        }
    }
}

pub(super) fn dir() -> &'static Path {
    Path::new(DIR)
}

fn submissions(entries: &[Entry]) -> (Vec<Submission>, Vec<Commit>) {
    let submit = |entry: &Entry| {
        let (completer, commit) = Commit::pending();
        (Submission { entry: entry.clone(), completer }, commit)
    };
    entries.iter().map(submit).unzip()
}

/// A commit in few words.
pub(super) fn describe(entry: &Entry) -> String {
    let kind = format!("{:?}", entry.record);
    let kind = kind.split([' ', '{']).next().unwrap_or_default();
    let size = entry.record.batch().map_or(0, |batch| batch.size());
    let id = entry.id.to_string();
    format!("{kind} {} {} follows {} bytes {size}", entry.name, &id[..6], entry.follows)
}
