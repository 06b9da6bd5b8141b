//! What is merged, and how fast.

use std::path::Path;
use std::time::Duration;

use super::faults::Stream;
use super::*;
use crate::env::SimEnv;

const SEGMENT_BYTES: u64 = 4096;

fn options() -> LogOptions {
    LogOptions { segment_bytes: SEGMENT_BYTES, merge_width: 2, ..LogOptions::default() }
}

fn open(env: &SimEnv, options: LogOptions) -> LogStorage {
    LogStorage::open_in(Arc::new(env.process()), Path::new("/log"), options).unwrap().0
}

/// The sizes of the filed segments.
fn filed(env: &SimEnv) -> Vec<usize> {
    let files = env.files();
    let filed = files.iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "filed"));
    filed.map(|(_, bytes)| bytes.len()).collect()
}

#[tokio::test]
async fn short_runs_are_merged_early_and_long_ones_late() {
    let (env, long) = (SimEnv::new(1), SimEnv::new(2));
    let log = open(&env, options());
    Stream::new(1).append_many(&log, 40).await;
    log.settle();
    assert!(filed(&env).len() <= 5, "{:?}", filed(&env));

    let segment_bytes = 2 << 20;
    let log = open(&long, LogOptions { segment_bytes, ..options() });
    let mut stream = Stream::new(1);
    for segments in 1..=9 {
        while stream.size() < segments * segment_bytes {
            stream.append_many(&log, 100).await;
        }
        log.settle();
        let expected = if segments < 8 { segments } else { segments - 7 };
        assert_eq!(filed(&long).len() as u64, expected);
    }
    assert_eq!(stream.bytes(&log).await, stream.size());
}

#[tokio::test]
async fn merging_is_gentle_while_nothing_waits_to_be_filed() {
    let env = SimEnv::new(1);
    let fast = 1 << 40;
    let bound =
        LogOptions { filing_bytes_per_second: fast, merging_bytes_per_second: 1000, ..options() };
    let log = open(&env, bound);
    let mut stream = Stream::new(1);
    stream.append_many(&log, 5).await;
    log.settle();
    assert_eq!(filed(&env).len(), 1);
    assert!(env.paused() < Duration::from_secs(1), "filing is not bound: {:?}", env.paused());
    stream.append_many(&log, 5).await;
    log.settle();
    let [merged] = filed(&env)[..] else { panic!("merged: {:?}", filed(&env)) };
    assert!(env.paused() >= Duration::from_millis(merged as u64 - 1), "{:?}", env.paused());
}
