//! Space: what is deleted and truncated is given back to the disk.

use std::fs;
use std::path::Path;

use streamkeeper_protocol::stream::Record;

use super::faults::Stream;
use super::*;

const SEGMENT_BYTES: u64 = 64 << 10;
const STREAMS: u64 = 20;
/// 100 kB a stream.
const MESSAGES: u64 = 100;

/// The bytes of the files below a directory.
fn du(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let size = |entry: fs::DirEntry| match entry.file_type().unwrap().is_dir() {
        true => du(&entry.path()),
        false => entry.metadata().unwrap().len(),
    };
    entries.map(size).sum()
}

/// Fills a log, lets something become of its streams, and tells what it takes before and after; and
/// after it was opened anew.
async fn measure(change: impl AsyncFn(&LogStorage, &mut Stream)) -> (u64, u64, u64) {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { segment_bytes: SEGMENT_BYTES, ..LogOptions::default() };
    let (log, _) = LogStorage::open(dir.path(), options).unwrap();
    let mut streams: Vec<Stream> = (0..STREAMS).map(Stream::new).collect();
    for _ in 0..MESSAGES {
        for stream in &mut streams {
            stream.append(&log).await.unwrap();
        }
    }
    log.settle();
    let before = du(dir.path());
    for stream in &mut streams[1..] {
        change(&log, stream).await;
    }
    // One stream lives on, so that the journal goes on, too.
    streams[0].append_many(&log, MESSAGES).await;
    log.settle();
    let after = du(dir.path());
    assert_eq!(streams[0].bytes(&log).await, 2 * MESSAGES * 1000);
    drop(log);
    let (log, _) = LogStorage::open(dir.path(), options).unwrap();
    log.settle();
    assert_eq!(streams[0].bytes(&log).await, 2 * MESSAGES * 1000);
    (before, after, du(dir.path()))
}

/// What lives may come with as much garbage again, and a little for each file.
const BOUND: u64 = 2 * (2 * MESSAGES * 1100) + 4 * SEGMENT_BYTES;

#[tokio::test]
async fn deleted_streams_give_their_space_back() {
    let (before, after, reopened) = measure(async |log, stream| {
        stream.commit(log, Record::Deleted).await.unwrap();
    })
    .await;
    assert!(before > STREAMS * MESSAGES * 1000, "{before}");
    assert!(after < BOUND && reopened < BOUND, "{before} to {after}, then {reopened}");
}

#[tokio::test]
async fn truncated_streams_give_their_space_back() {
    let (before, after, reopened) = measure(async |log, stream| {
        let before = (MESSAGES - 5) * 1000;
        stream.commit(log, Record::Truncated { before, messages: MESSAGES - 5 }).await.unwrap();
        assert_eq!(stream.bytes(log).await, 5 * 1000);
    })
    .await;
    assert!(before > STREAMS * MESSAGES * 1000, "{before}");
    let bound = BOUND + 2 * STREAMS * 5 * 1100;
    assert!(after < bound && reopened < bound, "{before} to {after}, then {reopened}");
}
