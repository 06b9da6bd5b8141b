//! Losing the power, or the process, and coming back: perhaps only after some attempts.

use std::path::PathBuf;
use std::sync::Arc;

use super::busy::BusyEnv;
use super::world::{World, dir};
use crate::engine::{Engine, OpenReport};
use crate::env::sim::Syscall;

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The power goes, and with it what was not synced.
    PowerLoss,
    /// SIGKILL: what was written stays, synced or not.
    Kill,
}

/// The calls that opening makes and that may fail.
const CALLS: [Syscall; 10] = [
    Syscall::Create,
    Syscall::Open,
    Syscall::List,
    Syscall::Rename,
    Syscall::Remove,
    Syscall::SyncDir,
    Syscall::Read,
    Syscall::Write,
    Syscall::Sync,
    Syscall::SetLen,
];

impl World {
    /// Ends the process.
    pub(super) fn end(&mut self, end: End) {
        self.note(|| format!("{end:?}"));
        match end {
            End::PowerLoss => {
                self.stats.power_losses += 1;
                self.env.crash();
            }
            End::Kill => {
                self.stats.kills += 1;
                self.env.restart();
            }
        }
        self.engine = None;
        self.faulted = false;
    }

    pub(super) fn draw_end(&mut self) -> End {
        self.chance.pick(&[End::PowerLoss, End::PowerLoss, End::Kill])
    }

    /// Opens the log; the report, or `None` if that failed, as it may.
    pub(super) fn open(&mut self) -> Option<OpenReport> {
        self.engine = None;
        let ends_with_zeros = self.last_journal().is_some_and(|bytes| bytes.ends_with(&[0; 64]));
        let env = BusyEnv { env: self.env.process(), meanwhile: self.meanwhile.clone() };
        match Engine::open(Arc::new(env), dir(), self.options) {
            Ok((engine, report)) => {
                self.note(|| format!("opened: {report:?}"));
                self.engine = Some(Arc::new(engine));
                self.stats.recoveries += 1;
                self.stats.torn_tails += u64::from(report.torn_bytes > 0);
                self.stats.zero_tails += u64::from(ends_with_zeros);
                Some(report)
            }
            Err(error) => {
                self.note(|| format!("not opened: {error}"));
                assert!(self.may_fail(), "the log does not open: {error}");
                match self.env.is_down() {
                    true => self.stats.broken_recoveries += 1,
                    false => self.stats.failed_opens += 1,
                }
                None
            }
        }
    }

    /// The journal segment that is written.
    pub(super) fn last_journal(&self) -> Option<Vec<u8>> {
        let is_journal = |path: &&PathBuf| path.extension().is_some_and(|e| e == "journal");
        let paths = self.env.paths();
        self.env.read_file(paths.iter().rfind(is_journal)?).ok()
    }

    /// Opens the log, which has no reason not to, and checks everything.
    pub(super) fn open_and_check(&mut self) -> OpenReport {
        let report = self.open().expect("the log opens");
        assert_eq!(report.damage, Vec::<String>::new(), "there is no damage to report");
        let unfinished = |path: &std::path::PathBuf| path.extension().is_some_and(|e| e == "tmp");
        assert!(!self.env.paths().iter().any(unfinished), "something half-written is left");
        self.check_states();
        self.check_bytes();
        report
    }

    /// Ends the process and opens the log, over crashes and faults on the way, and checks everything.
    pub(super) fn recover(&mut self) {
        let end = self.draw_end();
        self.end(end);
        for _ in 0..self.chance.below(4) {
            self.fail_to_open();
        }
        if self.tight {
            let room = self.chance.one_in(2).then_some(200);
            self.space(room);
        }
        if self.tight && self.open().is_none() {
            self.space(None);
        }
        if self.engine.is_none() {
            self.open_and_check();
        } else {
            self.check_states();
            self.check_bytes();
        }
        if self.chance.one_in(3) {
            self.open_again();
        }
        self.redraw_options();
    }

    /// An attempt to open that may be cut short.
    fn fail_to_open(&mut self) {
        let nth = self.chance.between(1, 14);
        if self.chance.one_in(3) {
            let call = self.chance.pick(&CALLS);
            let nth = nth.min(4);
            self.with_fault(call, nth, |world| {
                world.open();
            });
        } else {
            self.note(|| format!("power loss at {nth}"));
            self.env.crash_at(nth);
            self.open();
            self.env.crash_at(0);
        }
        if self.engine.is_some() {
            self.check_states();
        }
        let end = self.draw_end();
        self.end(end);
    }

    /// Opens once more: nothing is different.
    pub(super) fn open_again(&mut self) {
        assert!(self.unacked.is_empty(), "nothing is in flight");
        let end = self.draw_end();
        self.end(end);
        if self.tight {
            self.space(None);
        }
        let report = self.open_and_check();
        assert_eq!(report.torn_bytes, 0, "a torn batch is cut off once");
    }

    fn redraw_options(&mut self) {
        let most = self.chance.pick(&[8 << 10, 8 << 10, 64 << 10]);
        self.options.segment_bytes = self.chance.between(1 << 10, most);
        self.options.prepared_bytes = self.chance.pick(&[0, 3 << 10, 10 << 10, 50 << 10, 1 << 20]);
        self.options.merge_width = self.chance.between(2, 3) as usize;
        self.options.max_filed_bytes = self.chance.pick(&[8 << 10, 64 << 10, 1 << 20]);
        self.options.cache_bytes = self.chance.pick(&[0, 1 << 10, 1 << 20]);
    }
}
