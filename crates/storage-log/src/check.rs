//! Checking a log that no server has open, and repairing what is damaged.
//!
//! A check reads every frame of the journal and every footer, index and block of the filed segments,
//! folds the streams from them, and sees that each stream has its messages without a gap, that states
//! can be read, and that forks and sources know of each other. It changes no file.
//!
//! A repair copies the files that are damaged into `quarantine/` first, as they are. Then it files: all
//! that is intact in the journal becomes one filed segment, with the states as they are known, and
//! damaged filed segments are written anew without their damaged blocks. Every file is written under
//! another name, synced and renamed, in an order in which a crash leaves a log that can be checked and
//! repaired again.
//!
//! A stream that has lost something keeps what lies before its first gap. It is marked: the log serves
//! no byte of it (`storage_corrupt`) until somebody chooses to have it so ([`Repair::Truncate`]) or to
//! drop it ([`Repair::Drop`]). What cannot be known: streams whose last records, or whose only records,
//! were in a part that is unreadable as a whole, such as a lost footer, are told of by nothing.

mod catalog;
mod coverage;
#[cfg(test)]
pub(crate) mod fixture;
mod fold;
mod journal_segment;
mod mark;
mod repair;
mod report;
mod segment;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

pub(crate) use self::catalog::Catalog;
pub(crate) use self::coverage::start;
pub use self::report::{CheckReport, Finding, Repair, Repaired};
use crate::OpenError;
use crate::env::{Env, RealEnv};

/// Checks the log in a directory, and repairs it if asked to. Tells how far it is: bytes read, and
/// bytes there are.
///
/// Fails if it could not look: no log is there, a server has it open, or the disk fails.
pub fn check(
    dir: &Path,
    repair: Repair,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<CheckReport, OpenError> {
    check_in(Arc::new(RealEnv), dir, repair, progress)
}

/// [`check`] on another file system.
pub fn check_in(
    env: Arc<dyn Env>,
    dir: &Path,
    repair: Repair,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<CheckReport, OpenError> {
    let mut catalog = Catalog::load(env, dir, true, progress)?;
    let kept = coverage::judge(&mut catalog);
    let mut report = report(&catalog);
    if repair != Repair::Nothing && !report.is_clean() {
        report.repaired = Some(repair::repair(&catalog, &kept, repair)?);
    }
    Ok(report)
}

/// Judges a log that was read already.
pub(crate) fn check_loaded(catalog: &mut Catalog) -> CheckReport {
    coverage::judge(catalog);
    report(catalog)
}

fn report(catalog: &Catalog) -> CheckReport {
    let streams = &catalog.fold.streams;
    let states = || streams.values().filter_map(|stream| stream.state.as_ref());
    let places = streams.values().flat_map(|stream| &stream.places);
    let used: u64 = places.map(fold::Place::filed_bytes).sum();
    let count = |places: &[fold::Place]| places.iter().map(fold::Place::count).sum::<u64>();
    let journaled: u64 = streams.values().map(|stream| count(&stream.places)).sum();
    let filed: u64 = streams.keys().filter_map(|id| catalog.counted.get(id)).sum();
    CheckReport {
        streams: streams.len() as u64,
        messages: journaled + filed,
        message_bytes: states().map(|state| state.tail.saturating_sub(start(state))).sum(),
        journal_segments: catalog.journals.len() as u64,
        filed_segments: (catalog.filed.len() + catalog.unreadable.len()) as u64,
        file_bytes: catalog.file_bytes,
        garbage_bytes: catalog.run_bytes.saturating_sub(used),
        findings: catalog.fold.findings.clone(),
        notes: catalog.notes.clone(),
        repaired: None,
    }
}
