//! What was exported is imported, to the byte; what is not whole is refused, and leaves nothing behind.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::{ImportError, import, import_in};
use crate::check::fixture::{Fixture, contents};
use crate::env::{Env, SimEnv};
use crate::{ExportReport, export, export_in};

fn exported(dir: &Path, prefix: &str) -> (String, ExportReport) {
    let mut lines = Vec::new();
    let report = export(dir, prefix, &mut lines, &mut |_, _| {}).unwrap();
    (String::from_utf8(lines).unwrap(), report)
}

fn refused(text: &str, dir: &Path) -> String {
    let imported = import(&mut text.as_bytes(), dir, false, &mut |_, _| {});
    let error = imported.expect_err("the import is refused").to_string();
    assert!(!dir.exists() && !dir.with_extension("importing").exists(), "something is left");
    error
}

#[test]
fn streams_of_every_kind_are_imported_as_they_were_exported() {
    let mut log = Fixture::many_kinds();
    let (text, report) = exported(&log.path(), "");
    assert_eq!((report.streams, report.ancestors.len()), (10, 0));
    assert!(text.lines().all(|line| line.len() < 1_600_000), "lines are short");
    let before = log.file().contents();
    assert_eq!(exported(&log.path(), "").0, text, "filed or not");
    let dir = log.sibling("imported");
    let imported = import(&mut text.as_bytes(), &dir, false, &mut |_, _| {}).unwrap();
    assert_eq!((imported.streams, imported.bytes), (report.streams, report.bytes));
    assert_eq!(exported(&dir, "").0, text);
    assert_eq!(contents(&dir), before);
    assert_eq!(exported(&dir, "").0, text, "after it was opened");
    // And once more.
    let again = log.sibling("again");
    import(&mut text.as_bytes(), &again, false, &mut |_, _| {}).unwrap();
    assert_eq!(exported(&again, "").0, text);
}

#[test]
fn a_prefix_brings_the_ancestors_along() {
    let log = Fixture::many_kinds();
    let (text, report) = exported(&log.path(), "b/");
    assert_eq!((report.streams, report.ancestors), (3, vec!["source".to_owned()]));
    let dir = log.sibling("imported");
    import(&mut text.as_bytes(), &dir, false, &mut |_, _| {}).unwrap();
    assert_eq!(exported(&dir, "").0, text);
    assert_eq!(exported(&log.path(), "no such").1, ExportReport::default());
}

#[test]
fn an_empty_log_is_exported_and_imported() {
    let mut log = Fixture::new();
    log.file();
    let (text, _) = exported(&log.path(), "");
    assert_eq!(text.lines().count(), 2);
    let dir = log.sibling("imported");
    fs::create_dir(&dir).unwrap();
    import(&mut text.as_bytes(), &dir, false, &mut |_, _| {}).unwrap();
    assert_eq!(exported(&dir, "").0, text);
}

#[test]
fn what_is_not_whole_is_refused_and_leaves_nothing_behind() {
    let mut log = Fixture::new();
    log.create("a", 1, &["one", "two"]).create("b", 2, &["three"]).close();
    let (text, _) = exported(&log.path(), "");
    let dir = log.sibling("imported");
    for cut in (0..text.len()).step_by(7) {
        let error = refused(&text[..cut], &dir);
        assert!(error.contains("it was cut") && error.starts_with("line "), "{cut}: {error}");
    }
    for at in (0..text.len()).step_by(5).filter(|at| text.as_bytes()[*at].is_ascii_alphanumeric()) {
        let mut changed = text.clone().into_bytes();
        changed[at] = if changed[at] == b'1' { b'2' } else { b'1' };
        refused(&String::from_utf8(changed).unwrap(), &dir);
    }
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let cases = [
        (
            text.replace("\"version\":1,\"streams\"", "\"version\":2,\"new\""),
            "line 1: its version is 2",
        ),
        ([&lines[..], &lines[4..5]].concat().concat(), "something follows the last line"),
        (
            [&lines[..1], &lines[3..5], &lines[1..3], &lines[5..]].concat().concat(),
            "line 4: the ids",
        ),
        ([&lines[..2], &lines[3..]].concat().concat(), "line 3: the messages of `a`"),
        (lines[1..].concat(), "line 1: the file does not begin"),
        (text.replace("\"b\"", "\"a\""), "line 4: a second stream `a`"),
        (text.replacen("\"closed\"", "\"shut\"", 1), "line 2: `closed`"),
    ];
    for (text, expected) in cases {
        let error = refused(&text, &dir);
        assert!(error.contains(expected), "{error} is not {expected}");
    }
}

#[test]
fn a_directory_that_is_taken_is_refused_or_replaced() {
    let mut log = Fixture::new();
    log.create("old", 1, &["old"]).close();
    let (old, _) = exported(&log.path(), "");
    let text = {
        let mut other = Fixture::new();
        other.create("new", 2, &["new"]).close();
        exported(&other.path(), "").0
    };
    let import = |replace| import(&mut text.as_bytes(), &log.path(), replace, &mut |_, _| {});
    assert!(matches!(import(false), Err(ImportError::Occupied(_))));
    let open = crate::LogStorage::open(&log.path(), crate::LogOptions::default()).unwrap();
    assert!(matches!(import(true), Err(ImportError::Open(crate::OpenError::InUse))));
    drop(open);
    for n in 1..3 {
        let replaced = import(true).unwrap().replaced.unwrap();
        assert!(replaced.ends_with(format!("log.replaced-{n}")), "{replaced:?}");
        assert_eq!(exported(&log.path(), "").0, text);
    }
    assert_eq!(exported(&log.sibling("log.replaced-1"), "").0, old);
    let other = log.sibling("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("file"), "mine").unwrap();
    let refused = super::import(&mut text.as_bytes(), &other, true, &mut |_, _| {});
    assert!(matches!(refused, Err(ImportError::NotALog(_))));
    // What a cut import left behind is no obstacle; what else is there is not touched.
    let dir = log.sibling("dir");
    fs::create_dir_all(log.sibling("dir.importing/filed")).unwrap();
    super::import(&mut text.as_bytes(), &dir, false, &mut |_, _| {}).unwrap();
    fs::create_dir_all(log.sibling("dir2.importing/mine")).unwrap();
    let refused = super::import(&mut text.as_bytes(), &log.sibling("dir2"), false, &mut |_, _| {});
    assert!(matches!(refused, Err(ImportError::InTheWay(_))));
    assert!(log.sibling("dir2.importing/mine").exists());
}

#[test]
fn a_damaged_log_is_not_exported() {
    let mut log = Fixture::new();
    log.create("a", 1, &["some message"]).create("b", 2, &["b"]).close();
    log.damage("journal", "some message");
    let exported = export(&log.path(), "", &mut Vec::new(), &mut |_, _| {});
    assert!(exported.is_err_and(|error| error.to_string().contains("damaged")));
}

#[test]
fn a_simulated_disk_does_as_well() {
    let log = Fixture::many_kinds();
    let (text, _) = exported(&log.path(), "");
    let disk = SimEnv::new(7);
    let env: Arc<dyn Env> = Arc::new(disk.clone());
    import_in(&env, &mut text.as_bytes(), Path::new("/log")).unwrap();
    disk.crash();
    let mut lines = Vec::new();
    export_in(env, Path::new("/log"), "", &mut lines, &mut |_, _| {}).unwrap();
    assert_eq!(String::from_utf8(lines).unwrap(), text);
}
