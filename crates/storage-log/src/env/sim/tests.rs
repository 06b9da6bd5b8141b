//! What the simulated disk fails with when it is told to.

use std::io::ErrorKind;
use std::path::Path;

use crate::env::sim::Syscall;
use crate::env::{Env, SimEnv};

const SEEDS: u64 = 200;

fn path(name: &str) -> &Path {
    Path::new(name)
}

fn message<T>(result: std::io::Result<T>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn a_full_disk_takes_a_prefix() {
    let env = SimEnv::new(1);
    let file = env.create(path("/file")).unwrap();
    env.set_capacity(Some(10));
    assert_eq!(file.write_at(b"12345678", 0).unwrap(), 8);
    assert_eq!(file.write_at(b"abcd", 8).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(env.read_file(path("/file")).unwrap(), b"12345678ab");
    assert_eq!(file.write_at(b"x", 10).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(file.write_at(b"over", 0).unwrap(), 4);
    file.set_len(1_000).unwrap();
    assert_eq!(file.write_at(b"hole", 500).unwrap_err().kind(), ErrorKind::StorageFull);
    file.sync().unwrap();
    env.set_capacity(Some(14));
    assert_eq!(file.write_at(b"hole", 500).unwrap(), 4);
    assert_eq!(env.used(), 14);
}

#[test]
fn a_removed_file_gives_its_space_back_when_it_is_closed() {
    let env = SimEnv::new(1);
    let file = env.create(path("/file")).unwrap();
    file.write_at(&[1; 100], 0).unwrap();
    env.remove(path("/file")).unwrap();
    assert_eq!(env.used(), 100);
    drop(file);
    assert_eq!(env.used(), 0);
    env.write_file(path("/other"), &[1; 50]).unwrap();
    env.open(path("/other")).unwrap().set_len(20).unwrap();
    assert_eq!(env.used(), 20);
}

#[test]
fn a_failed_sync_may_drop_what_later_syncs_say_they_have() {
    let (mut dropped, mut kept, mut forgotten) = (0, 0, 0);
    for seed in 0..SEEDS {
        let env = SimEnv::new(seed);
        env.write_file(path("/file"), &[1; 1_024]).unwrap();
        let file = env.open(path("/file")).unwrap();
        env.fail(Syscall::Sync, 2);
        file.write_at(&[2; 512], 0).unwrap();
        file.sync().unwrap();
        file.write_at(&[3; 512], 512).unwrap();
        assert_eq!(file.sync().unwrap_err().kind(), ErrorKind::Other);
        forgotten += usize::from(env.read_file(path("/file")).unwrap()[512] == 1);
        file.sync().unwrap();
        env.crash();
        let bytes = env.read_file(path("/file")).unwrap();
        assert_eq!(bytes[..512], [2; 512], "seed {seed}");
        match bytes[512] {
            1 => dropped += 1,
            3 => kept += 1,
            other => panic!("seed {seed}: {other}"),
        }
    }
    assert!(dropped > 20 && kept > 20 && forgotten > 10, "{dropped} {kept} {forgotten}");
}

#[test]
fn calls_fail_by_script_and_on_paths() {
    let env = SimEnv::new(1);
    env.fail(Syscall::Create, 2);
    let file = env.create(path("/one")).unwrap();
    assert_eq!(message(env.create(path("/two"))), "simulated input/output error");
    env.create(path("/two")).unwrap();

    env.fail_on(Syscall::Rename, "/three", 1, ErrorKind::PermissionDenied);
    env.rename(path("/two"), path("/2")).unwrap();
    let failed = env.rename(path("/2"), path("/three")).unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::PermissionDenied);
    assert_eq!(env.list(path("/")).unwrap(), ["2", "one"]);
    env.rename(path("/2"), path("/three")).unwrap();

    file.write_at(b"bytes", 0).unwrap();
    env.fail(Syscall::Read, 1);
    assert!(file.read_at(&mut [0; 5], 0).is_err());
    assert_eq!(file.read_at(&mut [0; 5], 0).unwrap(), 5);

    env.set_rate(Syscall::Read, 1);
    assert!(file.read_at(&mut [0; 5], 0).is_err());
    assert!(file.read_at(&mut [0; 5], 0).is_err());
    env.clear_faults();
    assert_eq!(file.read_at(&mut [0; 5], 0).unwrap(), 5);
}

#[test]
fn a_failed_write_is_done_in_part() {
    let mut lengths = std::collections::BTreeSet::new();
    for seed in 0..SEEDS {
        let env = SimEnv::new(seed);
        let file = env.create(path("/file")).unwrap();
        env.fail(Syscall::Write, 1);
        assert!(file.write_at(b"abc", 0).is_err());
        let bytes = env.read_file(path("/file")).unwrap();
        assert!(b"abc".starts_with(&bytes));
        lengths.insert(bytes.len());
    }
    assert_eq!(lengths.len(), 4);
}

#[test]
fn short_writes_take_some_bytes() {
    let env = SimEnv::new(3);
    let file = env.create(path("/file")).unwrap();
    env.set_short_writes(2);
    let written: Vec<usize> = (0..100).map(|_| file.write_at(&[1; 10], 0).unwrap()).collect();
    assert!(written.iter().all(|written| (1..=10).contains(written)));
    let short = written.iter().filter(|written| **written < 10).count();
    assert!((25..75).contains(&short), "{short}");
    env.set_short_writes(1);
    assert_eq!(file.write_at(b"x", 0).unwrap(), 1);
    assert_eq!(file.write_at(b"xy", 0).unwrap(), 1);
}

#[test]
fn bits_rot() {
    let env = SimEnv::new(5);
    env.write_file(path("/file"), &[0; 100]).unwrap();
    env.flip_bit(path("/file"), 42).unwrap();
    let bytes = env.read_file(path("/file")).unwrap();
    assert_eq!(bytes[42].count_ones(), 1);
    env.crash();
    assert_eq!(env.read_file(path("/file")).unwrap(), bytes);
    let offset = env.rot(path("/file")).unwrap();
    let ones = |bytes: &[u8]| bytes.iter().map(|byte| byte.count_ones()).sum::<u32>();
    assert_ne!(env.read_file(path("/file")).unwrap()[offset as usize], bytes[offset as usize]);
    assert!(ones(&env.read_file(path("/file")).unwrap()) <= 2);
    assert_eq!(env.flip_bit(path("/file"), 100).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(env.flip_bit(path("/none"), 0).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn the_dead_do_not_go_on() {
    for restart in [false, true] {
        let env = SimEnv::new(1);
        let process = env.process();
        let file = process.create(path("/file")).unwrap();
        process.sync_dir(path("/")).unwrap();
        let lock = process.lock(path("/LOCK")).unwrap();
        if restart {
            env.restart()
        } else {
            env.crash()
        }
        assert!(file.write_at(b"x", 0).is_err());
        assert!(file.read_at(&mut [0], 0).is_err());
        assert!(file.sync().is_err() && file.set_len(1).is_err() && file.len().is_err());
        assert!(process.open(path("/file")).is_err() && process.list(path("/")).is_err());
        assert!(process.create_dir_all(path("/")).is_err());

        let again = env.process();
        let taken = again.lock(path("/LOCK")).unwrap();
        drop((lock, file));
        assert_eq!(again.lock(path("/LOCK")).err().unwrap().kind(), ErrorKind::WouldBlock);
        drop(taken);
        again.lock(path("/LOCK")).unwrap();
        again.open(path("/file")).unwrap().write_at(b"x", 0).unwrap();
    }
}

#[test]
fn a_restart_loses_nothing() {
    for seed in 0..20 {
        let env = SimEnv::new(seed);
        env.create(path("/file")).unwrap().write_at(&[7; 5_000], 0).unwrap();
        env.restart();
        assert_eq!(env.read_file(path("/file")).unwrap(), [7; 5_000]);
    }
}

#[test]
fn a_dump_tells_the_state() {
    let env = SimEnv::new(1);
    env.write_file(path("/a"), b"123456789").unwrap();
    env.open(path("/a")).unwrap().write_at(b"x", 9).unwrap();
    let dump = env.dump();
    assert!(dump.contains("process 0, 1 mutating calls, power on"), "{dump}");
    assert!(dump.contains("/a: 10 bytes, crc32c "), "{dump}");
    assert!(dump.contains("durable 9 bytes, crc32c e3069283; 1 changes pending"), "{dump}");
    assert!(dump.contains("call 1: Write \"/a\""), "{dump}");
    assert_eq!(env.paths(), [path("/a")]);
}

#[test]
fn a_file_too_long_is_refused() {
    let env = SimEnv::new(1);
    let file = env.create(path("/file")).unwrap();
    assert_eq!(file.set_len(1 << 40).unwrap_err().kind(), ErrorKind::FileTooLarge);
    assert_eq!(file.write_at(b"x", u64::MAX).unwrap_err().kind(), ErrorKind::FileTooLarge);
    env.set_capacity(Some(10));
    assert_eq!(file.write_at(b"x", u64::MAX).unwrap_err().kind(), ErrorKind::FileTooLarge);
    assert!(file.is_empty().unwrap());
}
