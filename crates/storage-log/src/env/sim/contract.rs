//! What every disk does, asked of the real one and of the simulated one.

use std::io::ErrorKind;
use std::path::Path;

use crate::env::{Env, File, RealEnv, SimEnv};

/// Asks both disks, each in a directory of its own.
fn both(ask: impl Fn(&dyn Env, &Path)) {
    let directory = tempfile::tempdir().unwrap();
    ask(&RealEnv, directory.path());

    let sim = SimEnv::new(7);
    sim.create_dir_all(Path::new("/disk")).unwrap();
    ask(&sim, Path::new("/disk"));
}

#[track_caller]
fn refused<T>(result: std::io::Result<T>, kind: ErrorKind) {
    match result {
        Ok(_) => panic!("not refused; wanted {kind:?}"),
        Err(error) => assert_eq!(error.kind(), kind, "{error}"),
    }
}

fn write_all(file: &dyn File, mut bytes: &[u8], mut offset: u64) {
    while !bytes.is_empty() {
        let written = file.write_at(bytes, offset).unwrap();
        assert!(written > 0);
        bytes = &bytes[written..];
        offset += written as u64;
    }
}

fn read_all(file: &dyn File) -> Vec<u8> {
    let mut bytes = vec![0; file.len().unwrap() as usize + 10];
    let read = file.read_at(&mut bytes, 0).unwrap();
    bytes.truncate(read);
    assert_eq!(read as u64, file.len().unwrap());
    bytes
}

#[test]
fn directories_may_be_there() {
    both(|env, root| {
        let deep = root.join("a/b/c");
        env.create_dir_all(&deep).unwrap();
        env.create_dir_all(&deep).unwrap();
        env.create_dir_all(&root.join("a/d")).unwrap();
        env.sync_dir(&deep).unwrap();
        assert!(env.list(&deep).unwrap().is_empty());
        env.create(&deep.join("file")).unwrap();
        refused(env.create_dir_all(&deep.join("file")), ErrorKind::AlreadyExists);
        refused(env.create_dir_all(&deep.join("file/below")), ErrorKind::NotADirectory);
    });
}

#[test]
fn a_file_is_created_once() {
    both(|env, root| {
        let file = env.create(&root.join("one")).unwrap();
        assert!(file.is_empty().unwrap());
        refused(env.create(&root.join("one")), ErrorKind::AlreadyExists);
        refused(env.create(root), ErrorKind::AlreadyExists);
        refused(env.create(&root.join("none/one")), ErrorKind::NotFound);
        refused(env.create(&root.join("one/one")), ErrorKind::NotADirectory);
    });
}

#[test]
fn only_what_is_there_is_opened() {
    both(|env, root| {
        refused(env.open(&root.join("one")), ErrorKind::NotFound);
        refused(env.open(&root.join("none/one")), ErrorKind::NotFound);
        refused(env.open(root), ErrorKind::IsADirectory);
        write_all(&*env.create(&root.join("one")).unwrap(), b"bytes", 0);
        refused(env.open(&root.join("one/one")), ErrorKind::NotADirectory);
        let again = env.open(&root.join("./one")).unwrap();
        assert_eq!(read_all(&*again), b"bytes");
        write_all(&*again, b"more", 5);
        assert_eq!(read_all(&*env.open(&root.join("one")).unwrap()), b"bytesmore");
    });
}

#[test]
fn a_list_has_files_sorted_and_no_directories() {
    both(|env, root| {
        for name in ["b", "a", "c.tmp", "B"] {
            env.create(&root.join(name)).unwrap();
        }
        env.create_dir_all(&root.join("dir")).unwrap();
        env.create(&root.join("dir/inner")).unwrap();
        assert_eq!(env.list(root).unwrap(), ["B", "a", "b", "c.tmp"]);
        assert_eq!(env.list(&root.join("dir")).unwrap(), ["inner"]);
        refused(env.list(&root.join("none")), ErrorKind::NotFound);
        refused(env.list(&root.join("a")), ErrorKind::NotADirectory);
    });
}

#[test]
fn a_rename_replaces_and_open_files_stay() {
    both(|env, root| {
        let (old, new) = (root.join("old"), root.join("new"));
        refused(env.rename(&old, &new), ErrorKind::NotFound);
        let replaced = env.create(&new).unwrap();
        write_all(&*replaced, b"replaced", 0);
        let renamed = env.create(&old).unwrap();
        write_all(&*renamed, b"renamed", 0);
        env.rename(&old, &new).unwrap();
        assert_eq!(env.list(root).unwrap(), ["new"]);
        assert_eq!(read_all(&*env.open(&new).unwrap()), b"renamed");
        assert_eq!(read_all(&*renamed), b"renamed");
        assert_eq!(read_all(&*replaced), b"replaced");
        env.rename(&new, &new).unwrap();
        env.create_dir_all(&root.join("dir")).unwrap();
        refused(env.rename(&new, &root.join("dir")), ErrorKind::IsADirectory);
        refused(env.rename(&new, &root.join("none/new")), ErrorKind::NotFound);
        env.rename(&new, &root.join("dir/new")).unwrap();
        assert!(env.list(root).unwrap().is_empty());
        assert_eq!(read_all(&*env.open(&root.join("dir/new")).unwrap()), b"renamed");
    });
}

#[test]
fn a_removed_file_is_read_on() {
    both(|env, root| {
        let path = root.join("one");
        let file = env.create(&path).unwrap();
        write_all(&*file, b"bytes", 0);
        env.remove(&path).unwrap();
        refused(env.remove(&path), ErrorKind::NotFound);
        refused(env.open(&path), ErrorKind::NotFound);
        write_all(&*file, b"!", 5);
        file.sync().unwrap();
        assert_eq!(read_all(&*file), b"bytes!");
        let other = env.create(&path).unwrap();
        assert!(other.is_empty().unwrap());
        assert_eq!(read_all(&*file), b"bytes!");
        env.sync_dir(root).unwrap();
        refused(env.sync_dir(&root.join("none")), ErrorKind::NotFound);
    });
}

#[test]
fn holes_read_as_zeros_and_reads_end_with_the_file() {
    both(|env, root| {
        let file = env.create(&root.join("one")).unwrap();
        let mut buffer = [9; 8];
        assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 0);
        write_all(&*file, b"end", 1_000);
        assert_eq!(file.len().unwrap(), 1_003);
        assert_eq!(file.read_at(&mut buffer, 998).unwrap(), 5);
        assert_eq!(buffer, *b"\0\0end\x09\x09\x09");
        assert_eq!(file.read_at(&mut buffer, 1_003).unwrap(), 0);
        assert_eq!(file.read_at(&mut buffer, 1 << 40).unwrap(), 0);
        assert_eq!(file.read_at(&mut [], 0).unwrap(), 0);
        assert_eq!(file.write_at(b"", 5_000).unwrap(), 0);
        assert_eq!(file.len().unwrap(), 1_003);
        write_all(&*file, b"mid", 500);
        assert_eq!(file.len().unwrap(), 1_003);
        assert_eq!(read_all(&*file)[499..504], *b"\0mid\0");
    });
}

#[test]
fn a_length_cuts_and_extends_with_zeros() {
    both(|env, root| {
        let file = env.create(&root.join("one")).unwrap();
        write_all(&*file, b"0123456789", 0);
        file.set_len(4).unwrap();
        assert_eq!(read_all(&*file), b"0123");
        file.set_len(8).unwrap();
        assert_eq!(read_all(&*file), b"0123\0\0\0\0");
        write_all(&*file, b"xy", 9);
        assert_eq!(read_all(&*file), b"0123\0\0\0\0\0xy");
        file.set_len(0).unwrap();
        assert!(file.is_empty().unwrap());
        file.sync().unwrap();
    });
}

#[test]
fn a_lock_is_had_once() {
    both(|env, root| {
        let path = root.join("LOCK");
        let guard = env.lock(&path).unwrap();
        assert_eq!(env.list(root).unwrap(), ["LOCK"]);
        refused(env.lock(&path), ErrorKind::WouldBlock);
        let other = env.lock(&root.join("OTHER")).unwrap();
        drop(guard);
        let guard = env.lock(&path).unwrap();
        refused(env.lock(&path), ErrorKind::WouldBlock);
        drop((guard, other));
        drop(env.lock(&path).unwrap());
        refused(env.lock(&root.join("none/LOCK")), ErrorKind::NotFound);
        refused(env.lock(root), ErrorKind::IsADirectory);
    });
}

#[test]
fn files_are_shared_between_threads() {
    both(|env, root| {
        let file = env.create(&root.join("one")).unwrap();
        std::thread::scope(|scope| {
            for part in 0..8_u8 {
                let file = &file;
                scope.spawn(move || write_all(&**file, &[part; 700], u64::from(part) * 700));
            }
        });
        let bytes = read_all(&*file);
        let wanted: Vec<u8> = (0..8_u8).flat_map(|part| [part; 700]).collect();
        assert!(bytes == wanted);
    });
}
