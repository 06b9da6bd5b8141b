//! Every kind of damage is found, and a repair leaves all other streams as they were.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::fixture::{Fixture, contents_in, flip};
use super::{CheckReport, Repair, check, check_in};
use crate::env::{Env, SimEnv};
use crate::{LogOptions, LogStorage, OpenError};

/// Two streams that take turns, in the journal. Still open, for opening it again would file them.
fn two() -> Fixture {
    let mut log = Fixture::new();
    log.create("a", 1, &["a-first"]).create("b", 2, &["b-first"]);
    log.append("a", &["a-second"]).append("b", &["b-second"]);
    log.append("a", &["a-third"]).append("b", &["b-third"]);
    log
}

fn has(report: &CheckReport, stream: Option<&str>, what: &str) {
    let found = report.findings.iter().any(|finding| {
        finding.what.contains(what) && stream.is_none_or(|s| finding.stream.as_deref() == Some(s))
    });
    assert!(found, "{stream:?} {what:?} is not in {report:#?}");
}

fn is_corrupt(content: &Result<String, String>) -> bool {
    content.as_ref().is_err_and(|error| error.contains("corrupt"))
}

#[test]
fn a_sound_log_is_clean_however_it_is_stored() {
    let mut log = Fixture::many_kinds();
    for filed in [false, true] {
        if filed {
            log.file();
        }
        let before = log.files("filed").len() + log.files("journal").len();
        let report = log.check(Repair::Mark);
        assert!(report.is_clean() && report.repaired.is_none(), "{report:#?}");
        assert_eq!(report.streams, 10);
        assert_eq!(log.files("filed").len() + log.files("journal").len(), before);
    }
}

#[test]
fn a_log_that_is_open_or_not_there_is_not_looked_at() {
    let mut log = two();
    log.close();
    let (_open, _) = LogStorage::open(&log.path(), LogOptions::default()).unwrap();
    let checked = check(&log.path(), Repair::Nothing, &mut |_, _| {});
    assert!(matches!(checked, Err(OpenError::InUse)));
    let nowhere = log.close().sibling("nowhere");
    let checked = check(&nowhere, Repair::Nothing, &mut |_, _| {});
    assert!(matches!(checked, Err(OpenError::Io(_))) && !nowhere.exists());
    fs::create_dir(&nowhere).unwrap();
    let checked = check(&nowhere, Repair::Nothing, &mut |_, _| {});
    assert!(matches!(checked, Err(OpenError::Io(_))));
    assert_eq!(fs::read_dir(&nowhere).unwrap().count(), 0);
}

#[test]
fn damage_in_the_journal_names_its_stream_and_spares_the_others() {
    let mut log = two();
    let before = two().contents();
    log.damage("journal", "a-second");
    let report = log.check(Repair::Nothing);
    has(&report, Some("a"), "a record is damaged");
    has(&report, Some("a"), "records 1 to 1 are missing");
    assert!(log.check(Repair::Nothing) == report, "looking changes nothing");
    let repaired = log.check(Repair::Mark).repaired.unwrap();
    assert_eq!((repaired.marked.len(), repaired.quarantined.len()), (1, 1));
    assert!(log.path().join(&repaired.quarantined[0]).exists());
    let after = log.contents();
    assert_eq!(after["b"], before["b"]);
    assert!(is_corrupt(&after["a"]), "{after:?}");
    // The mark outlives filing and another look.
    log.append_nothing();
    has(&log.check(Repair::Nothing), Some("a"), "has marked it");
    assert_eq!(log.check(Repair::Truncate).repaired.unwrap().truncated.len(), 1);
    assert!(log.check(Repair::Nothing).is_clean());
    let after = log.contents();
    assert!(after["a"].as_ref().unwrap().ends_with("a-first"), "{after:?}");
    assert_eq!(after["b"], before["b"]);
}

#[test]
fn the_last_record_of_a_stream_is_missed_too() {
    let mut log = two();
    log.create("c", 3, &["c"]).close();
    log.damage("journal", "a-third");
    has(&log.check(Repair::Truncate), Some("a"), "a record is damaged");
    let after = log.contents();
    assert!(after["a"].as_ref().unwrap().ends_with("a-firsta-second"), "{after:?}");
    assert!(log.check(Repair::Nothing).is_clean());
}

#[test]
fn a_damaged_stream_can_be_dropped() {
    let mut log = two();
    let before = two().contents();
    log.file().damage("filed", "a-second");
    let report = log.check(Repair::Drop);
    assert_eq!(report.repaired.unwrap().dropped.len(), 1);
    let after = log.contents();
    assert_eq!(after.keys().collect::<Vec<_>>(), ["b"]);
    assert_eq!(after["b"], before["b"]);
    assert!(log.check(Repair::Nothing).is_clean());
}

#[test]
fn a_damaged_header_of_the_journal_costs_nothing() {
    for places in [&[3][..], &[35], &[3, 35], &[8, 60]] {
        let before = two().contents();
        let mut log = two();
        let file = log.close().files("journal").remove(0);
        places.iter().for_each(|at| flip(&file, *at));
        has(&log.check(Repair::Mark), None, "header");
        assert_eq!(log.contents(), before);
        assert!(log.check(Repair::Nothing).is_clean());
    }
}

#[test]
fn a_journal_that_is_cut_short_is_found() {
    let before = two().contents();
    let mut log = two();
    log.create("c", 3, &["c"]).close();
    let file = log.files("journal").remove(0);
    let length = fs::metadata(&file).unwrap().len();
    // Another segment follows, so all of it was durable.
    fs::write(log.path().join("journal/0000000000000001.journal"), vec![0; 64]).unwrap();
    fs::File::options().write(true).open(&file).unwrap().set_len(length - 3).unwrap();
    let report = log.check(Repair::Mark);
    assert!(!report.is_clean());
    let after = log.contents();
    assert_eq!((&after["a"], &after["b"]), (&before["a"], &before["b"]));
    assert!(after.get("c").is_none_or(is_corrupt));
}

#[test]
fn damage_in_a_filed_block_names_its_stream_and_spares_the_others() {
    let mut log = Fixture::many_kinds();
    log.file();
    let before = log.contents();
    log.damage("filed", "hello world");
    has(&log.check(Repair::Nothing), Some("bytes"), "a block is damaged");
    log.check(Repair::Mark);
    let after = log.contents();
    assert!(is_corrupt(&after["bytes"]));
    let others = |contents: &std::collections::BTreeMap<_, _>| {
        contents.clone().into_iter().filter(|(name, _)| name != "bytes").collect::<Vec<_>>()
    };
    assert_eq!(others(&after), others(&before));
    assert_eq!(log.check(Repair::Nothing).findings.len(), 1, "only the mark is left");
}

#[test]
fn forks_of_what_is_lost_are_told() {
    let mut log = Fixture::many_kinds();
    log.file().damage("filed", "0123456789");
    let report = log.check(Repair::Truncate);
    has(&report, Some("source"), "a block is damaged");
    has(&report, Some("b/fork"), "inherits from `source`");
    has(&report, Some("b/grandchild"), "inherits from `source`");
    let repaired = report.repaired.unwrap();
    assert_eq!((repaired.truncated.len(), repaired.marked.len()), (1, 2));
    assert!(is_corrupt(&log.contents()["b/fork"]));
}

#[test]
fn header_trailer_and_index_of_a_filed_segment_are_restored() {
    let mut log = Fixture::many_kinds();
    let before = log.file().contents();
    let file = log.files("filed").into_iter().max_by_key(|f| fs::metadata(f).unwrap().len());
    let file = file.unwrap();
    let intact = fs::read(&file).unwrap();
    let index = {
        let catalog = super::Catalog::load(
            std::sync::Arc::new(crate::env::RealEnv),
            &log.path(),
            false,
            &mut |_, _| {},
        );
        let catalog = catalog.unwrap();
        let stream = catalog.stream(super::fixture::id(61)).unwrap();
        stream.places.iter().find_map(|place| match place {
            super::fold::Place::Filed(_, run) if run.index > 0 => Some(run.index as usize),
            _ => None,
        })
    };
    let index = index.expect("a run of several blocks");
    let end = intact.len();
    for at in [0, 9, 31, end - 16, end - 6, end - 1, index, index + 9] {
        flip(&file, at);
        let report = log.check(Repair::Mark);
        has(&report, None, "damaged");
        assert_eq!(log.contents(), before, "byte {at} of {end}");
        assert!(log.check(Repair::Nothing).is_clean(), "byte {at} of {end}");
    }
}

#[test]
fn a_lost_footer_costs_its_segment_alone() {
    for cut in [false, true] {
        let mut log = two();
        log.file();
        log.create("later", 9, &["later"]).file();
        let before = log.contents();
        let file = log.files("filed").remove(0);
        let length = fs::metadata(&file).unwrap().len();
        match cut {
            true => {
                let file = fs::File::options().write(true).open(&file).unwrap();
                file.set_len(length - 20).unwrap();
            }
            false => flip(&file, length as usize - 30),
        }
        has(&log.check(Repair::Mark), None, "which streams it held is lost");
        let after = log.contents();
        assert_eq!(after.keys().collect::<Vec<_>>(), ["later"]);
        assert_eq!(after["later"], before["later"]);
        assert_eq!(log.files("quarantine").len(), 1);
    }
}

/// A bit anywhere: it is found, and every stream reads as before, or is corrupt, or the report says that
/// it cannot know.
#[test]
fn every_changed_bit_is_found_and_none_goes_unnoticed_by_readers() {
    for filed in [false, true] {
        let [mut log, mut other] = [two(), two()];
        let before = other.create("c", 3, &["c"]).contents();
        log.create("c", 3, &["c"]).close();
        let folder = if filed { "filed" } else { "journal" };
        if filed {
            log.file();
        }
        let file = log.files(folder).remove(0);
        let intact = fs::read(&file).unwrap();
        let length = intact.len();
        // The last batch of the journal cannot be told from one that a crash cut short.
        let end = if filed { length } else { length - 100 };
        for at in (0..end).step_by(5) {
            let copy = log.sibling(&format!("copy-{at}"));
            let _ = fs::remove_dir_all(&copy);
            copy_dir(&log.path(), &copy);
            flip(&copy.join(folder).join(file.file_name().unwrap()), at);
            let report = check(&copy, Repair::Mark, &mut |_, _| {}).unwrap();
            assert!(!report.is_clean(), "{folder} byte {at} of {length}");
            let unknown = report.findings.iter().any(|f| {
                f.what.contains("not known")
                    || f.what.contains("is lost")
                    || f.what.contains("creation is unreadable")
            });
            let after = super::fixture::contents(&copy);
            for (name, content) in &before {
                let right = match after.get(name) {
                    Some(Ok(read)) => Ok(read) == content.as_ref() || unknown,
                    Some(Err(_)) => is_corrupt(&after[name]),
                    None => unknown,
                };
                assert!(right, "{folder} byte {at} of {length}: {name}: {after:?} {report:#?}");
            }
            fs::remove_dir_all(&copy).unwrap();
        }
    }
}

/// The power goes at every call of a repair; a second one finishes it, and loses nothing more.
#[test]
fn a_repair_that_is_cut_short_is_done_again() {
    let mut log = two();
    log.create("c", 3, &["c-first"]).append("c", &["c-second"]).file();
    log.create("d", 4, &["d-first"]).append("d", &["d-second"]);
    log.append("c", &["c-third"]).append("b", &["b-fourth"]).append("c", &["c-fourth"]);
    log.append("d", &["d-third"]).close();
    log.damage("filed", "a-second").damage("journal", "c-third");
    let dir = Path::new("/log");
    let mut last = None;
    for nth in 1.. {
        let disk = SimEnv::new(nth);
        for folder in ["", "journal", "filed"] {
            for file in log.files(folder).into_iter().filter(|file| file.is_file()) {
                let name = dir.join(folder).join(file.file_name().unwrap());
                disk.write_file(&name, &fs::read(&file).unwrap()).unwrap();
            }
        }
        let env: Arc<dyn Env> = Arc::new(disk.clone());
        disk.crash_at(nth);
        let repaired = check_in(env.clone(), dir, Repair::Truncate, &mut |_, _| {});
        let whole = !disk.is_down();
        assert_eq!(repaired.is_ok(), whole, "call {nth}: {repaired:?}");
        disk.crash();
        let again = check_in(env.clone(), dir, Repair::Truncate, &mut |_, _| {}).unwrap();
        assert!(!whole || again.is_clean(), "call {nth}: {again:#?}");
        let clean = check_in(env.clone(), dir, Repair::Nothing, &mut |_, _| {}).unwrap();
        assert!(clean.is_clean(), "call {nth}: {clean:#?}");
        let after = contents_in(env, dir);
        let ends = |name: &str, end: &str| after[name].as_ref().unwrap().ends_with(end);
        assert!(after["a"].is_ok() && ends("c", "c-firstc-second"), "call {nth}: {after:?}");
        assert!(ends("b", "b-thirdb-fourth") && ends("d", "d-firstd-secondd-third"), "call {nth}");
        assert!(last.replace(after.clone()).is_none_or(|last| last == after), "call {nth}");
        if whole {
            assert!(nth > 10, "only {nth} calls");
            return;
        }
    }
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_dir(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

impl Fixture {
    /// Opens the log, lets it file, and closes it.
    fn append_nothing(&mut self) {
        self.file();
    }
}
