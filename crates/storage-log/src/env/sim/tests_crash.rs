//! What a power loss leaves, against models that are too simple to be wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::content::SECTOR;
use crate::env::{Env, File, SimEnv};

const SEEDS: u64 = 300;

fn path(name: &str) -> &Path {
    Path::new(name)
}

#[derive(Debug, Clone)]
enum Op {
    Write(usize, u64, usize),
    SetLen(usize, u64),
    Sync(usize),
    Crash,
    Restart,
}

const FILES: [&str; 2] = ["/0", "/1"];

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let file = 0..FILES.len();
    let op = prop_oneof![
        8 => (file.clone(), 0..3_000_u64, 1..1_500_usize).prop_map(|(f, o, l)| Op::Write(f, o, l)),
        2 => (file.clone(), 0..4_000_u64).prop_map(|(f, l)| Op::SetLen(f, l)),
        2 => file.prop_map(Op::Sync),
        2 => Just(Op::Crash),
        1 => Just(Op::Restart),
    ];
    prop::collection::vec(op, 1..40)
}

/// A sector of a file, with zeros beyond its end, cut at a length.
fn sector(bytes: &[u8], number: usize, length: usize) -> Vec<u8> {
    let (start, end) = (number * SECTOR as usize, (number + 1) * SECTOR as usize);
    (start..end.min(length)).map(|at| bytes.get(at).copied().unwrap_or(0)).collect()
}

/// Each sector is one that the file had since its last sync, and so is the length, or between two.
fn check_file(bytes: &[u8], since_sync: &[Vec<u8>]) -> Result<(), TestCaseError> {
    let lengths: Vec<usize> = since_sync.iter().map(Vec::len).collect();
    prop_assert!(
        lengths.contains(&bytes.len())
            || lengths.windows(2).any(|two| two[0] < bytes.len() && bytes.len() < two[1]),
        "length {} of {lengths:?}",
        bytes.len()
    );
    for number in 0..bytes.len().div_ceil(SECTOR as usize) {
        let found = sector(bytes, number, bytes.len());
        prop_assert!(
            since_sync.iter().any(|state| sector(state, number, bytes.len()) == found),
            "sector {number} was never so"
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn synced_is_kept_and_the_rest_is_old_or_new(seed: u64, ops in ops()) {
        let env = SimEnv::new(seed);
        let mut since_sync = Vec::new();
        for name in FILES {
            env.write_file(path(name), b"the beginning").unwrap();
            since_sync.push(vec![b"the beginning".to_vec()]);
        }
        let open = || FILES.map(|name| env.open(path(name)).unwrap());
        let mut files = open();
        for (number, op) in ops.into_iter().enumerate() {
            match op {
                Op::Write(file, offset, length) => {
                    let bytes = vec![number as u8 + 1; length];
                    prop_assert_eq!(files[file].write_at(&bytes, offset).unwrap(), length);
                    let mut state = since_sync[file].last().unwrap().clone();
                    state.resize(state.len().max(offset as usize + length), 0);
                    state[offset as usize..][..length].copy_from_slice(&bytes);
                    since_sync[file].push(state);
                }
                Op::SetLen(file, length) => {
                    files[file].set_len(length).unwrap();
                    let mut state = since_sync[file].last().unwrap().clone();
                    state.resize(length as usize, 0);
                    since_sync[file].push(state);
                }
                Op::Sync(file) => {
                    files[file].sync().unwrap();
                    let state = since_sync[file].pop().unwrap();
                    since_sync[file] = vec![state];
                }
                Op::Crash => {
                    env.crash();
                    files = open();
                    for (states, name) in since_sync.iter_mut().zip(FILES) {
                        let bytes = env.read_file(path(name)).unwrap();
                        check_file(&bytes, states)?;
                        *states = vec![bytes];
                    }
                }
                Op::Restart => {
                    env.restart();
                    files = open();
                }
            }
            for (states, name) in since_sync.iter().zip(FILES) {
                prop_assert_eq!(&env.read_file(path(name)).unwrap(), states.last().unwrap());
            }
        }
    }
}

#[derive(Debug, Clone)]
enum NameOp {
    Create(usize),
    Rename(usize, usize),
    Remove(usize),
    SyncDir(usize),
    Crash,
}

const DIRS: [&str; 2] = ["/a", "/b"];
const NAMES: [&str; 6] = ["/a/1", "/a/2", "/a/3", "/b/1", "/b/2", "/b/3"];

fn name_ops() -> impl Strategy<Value = Vec<NameOp>> {
    let name = 0..NAMES.len();
    let op = prop_oneof![
        5 => name.clone().prop_map(NameOp::Create),
        5 => (name.clone(), name.clone()).prop_map(|(from, to)| NameOp::Rename(from, to)),
        2 => name.prop_map(NameOp::Remove),
        2 => (0..DIRS.len()).prop_map(NameOp::SyncDir),
        2 => Just(NameOp::Crash),
    ];
    prop::collection::vec(op, 1..40)
}

/// What a directory has: each file holds a number of its own, synced, to be known by.
fn names_in(env: &SimEnv, directory: &str) -> BTreeMap<String, Vec<u8>> {
    let read = |name: String| {
        let bytes = env.read_file(&path(directory).join(&name)).unwrap();
        (name, bytes)
    };
    env.list(path(directory)).unwrap().into_iter().map(read).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn of_a_directory_a_prefix_of_its_changes_survives(seed: u64, ops in name_ops()) {
        let env = SimEnv::new(seed);
        for directory in DIRS {
            env.create_dir_all(path(directory)).unwrap();
        }
        let mut since_sync = DIRS.map(|_| vec![BTreeMap::new()]);
        for (number, op) in ops.into_iter().enumerate() {
            match op {
                NameOp::Create(name) => {
                    if let Ok(file) = env.create(path(NAMES[name])) {
                        // It may be lost with its name, but not without.
                        file.write_at(&[number as u8], 0).unwrap();
                        file.sync().unwrap();
                    }
                }
                NameOp::Rename(from, to) => {
                    env.rename(path(NAMES[from]), path(NAMES[to])).ok();
                }
                NameOp::Remove(name) => {
                    env.remove(path(NAMES[name])).ok();
                }
                NameOp::SyncDir(directory) => {
                    env.sync_dir(path(DIRS[directory])).unwrap();
                    since_sync[directory].clear();
                }
                NameOp::Crash => {
                    env.crash();
                    let mut seen = BTreeSet::new();
                    for (states, directory) in since_sync.iter_mut().zip(DIRS) {
                        let now = names_in(&env, directory);
                        prop_assert!(states.contains(&now), "{now:?} of {states:?}");
                        states.clear();
                        for bytes in now.into_values() {
                            prop_assert!(seen.insert(bytes), "a file with two names");
                        }
                    }
                }
            }
            for (states, directory) in since_sync.iter_mut().zip(DIRS) {
                states.push(names_in(&env, directory));
            }
        }
    }
}

#[test]
fn writes_are_kept_lost_torn_and_reordered() {
    let mut seen: BTreeSet<Vec<u8>> = BTreeSet::new();
    let mut lengths = BTreeSet::new();
    for seed in 0..SEEDS * 4 {
        let env = SimEnv::new(seed);
        env.write_file(path("/file"), &[0; 1_024]).unwrap();
        let file = env.open(path("/file")).unwrap();
        file.write_at(&[1; 1_024], 0).unwrap();
        file.write_at(&[2; 2_000], 512).unwrap();
        env.crash();
        let bytes = env.read_file(path("/file")).unwrap();
        lengths.insert(bytes.len());
        // Of each sector the first byte is enough: they do not tear.
        seen.insert(bytes.iter().step_by(SECTOR as usize).copied().collect());
    }
    assert_eq!(lengths, BTreeSet::from([1_024, 1_536, 2_048, 2_512]));
    for wanted in [&[0, 0][..], &[1, 1], &[1, 0], &[0, 1], &[0, 2, 2, 2, 2], &[1, 2, 2, 2, 2]] {
        assert!(seen.contains(wanted), "{wanted:?} of {seen:?}");
    }
    // Bytes that the length reached but the write did not, and the other way round.
    assert!(seen.contains(&[1, 2, 0, 2, 2][..]) && seen.contains(&[0, 2][..]), "{seen:?}");
}

fn write_all(file: &Arc<dyn File>, bytes: &[u8]) -> io::Result<()> {
    let mut written = 0;
    while written < bytes.len() {
        written += file.write_at(&bytes[written..], written as u64)?;
    }
    Ok(())
}

/// The way to replace a file: write another, sync it, rename it, sync the directory.
fn replace(env: &dyn Env, bytes: &[u8], sync: bool, sync_dir: bool) -> io::Result<()> {
    let file = env.create(path("/file.new"))?;
    write_all(&file, bytes)?;
    if sync {
        file.sync()?;
    }
    env.rename(path("/file.new"), path("/file"))?;
    if sync_dir {
        env.sync_dir(path("/"))?;
    }
    Ok(())
}

#[test]
fn a_file_is_replaced_whole_at_every_crash_point() {
    let (old, new) = (vec![1; 1_000], vec![2; 3_000]);
    for seed in 0..SEEDS {
        for point in 1.. {
            let env = SimEnv::new(seed);
            env.write_file(path("/file"), &old).unwrap();
            let process = env.process();
            env.crash_at(point);
            let done = replace(&process, &new, true, true);
            assert_eq!(env.is_down(), done.is_err());
            if let Err(error) = &done {
                assert_eq!(error.kind(), io::ErrorKind::Other);
                assert_eq!(error.to_string(), "simulated power loss");
                assert_eq!(env.syscalls(), point);
                assert!(process.open(path("/file")).is_err());
                assert!(env.create(path("/other")).is_err(), "the power is gone");
                assert_eq!(env.syscalls(), point, "nothing happens without power");
            }
            env.crash();
            assert!(!env.is_down());
            let found = env.read_file(path("/file")).unwrap();
            assert!(
                found == new || done.is_err() && found == old,
                "seed {seed}, point {point}\n{}",
                env.dump()
            );
            if done.is_ok() {
                assert_eq!(point, 6);
                break;
            }
        }
    }
}

#[test]
fn a_crash_point_taken_for_a_kill_keeps_what_was_done() {
    let env = SimEnv::new(1);
    let file = env.create(path("/file")).unwrap();
    file.write_at(b"first", 0).unwrap();
    env.crash_at(1);
    assert!(file.write_at(b"second", 5).is_err());
    env.restart();
    let bytes = env.read_file(path("/file")).unwrap();
    assert!(bytes.starts_with(b"first") && b"firstsecond".starts_with(&bytes[..]));
    env.crash_at(1);
    env.crash_at(0);
    env.create(path("/other")).unwrap();
}

#[test]
fn what_is_not_synced_is_missed() {
    let (old, new) = (vec![1; 1_000], vec![2; 3_000]);
    let outcomes = |sync, sync_dir| {
        let outcome = |seed| {
            let env = SimEnv::new(seed);
            env.write_file(path("/file"), &old).unwrap();
            replace(&env, &new, sync, sync_dir).unwrap();
            env.crash();
            let found = env.read_file(path("/file")).unwrap();
            if found == new {
                "new"
            } else if found == old {
                "old"
            } else {
                "torn"
            }
        };
        (0..SEEDS).map(outcome).collect::<BTreeSet<_>>()
    };
    assert_eq!(outcomes(true, true), BTreeSet::from(["new"]));
    assert_eq!(outcomes(true, false), BTreeSet::from(["new", "old"]));
    assert_eq!(outcomes(false, true), BTreeSet::from(["new", "torn"]));
}

#[test]
fn a_removed_file_may_be_back_with_its_bytes() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..SEEDS {
        let env = SimEnv::new(seed);
        env.write_file(path("/file"), b"bytes").unwrap();
        env.remove(path("/file")).unwrap();
        env.crash();
        let found = env.read_file(path("/file")).ok();
        assert!(found.as_deref().is_none_or(|bytes| bytes == b"bytes"));
        outcomes.insert(found);
    }
    assert_eq!(outcomes.len(), 2);
}

#[test]
fn a_seed_means_the_same_every_time() {
    let run = |seed| {
        let env = SimEnv::new(seed);
        env.set_short_writes(3);
        env.set_rate(super::Syscall::Sync, 5);
        for round in 0..20_u8 {
            let name = format!("/{}", round % 3);
            let file = env.create(path(&name)).or_else(|_| env.open(path(&name)));
            if let Ok(file) = file {
                write_all(&file, &[round; 2_000]).unwrap();
                file.sync().ok();
            }
            env.rename(path("/1"), path("/2")).ok();
            if round % 7 == 6 {
                env.crash();
            }
        }
        (env.dump(), env.files())
    };
    let ends: BTreeSet<_> = (0..50).map(run).collect();
    assert!(ends.len() > 40);
    assert_eq!(ends, (0..50).map(run).collect());
}
