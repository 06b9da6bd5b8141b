//! The workers of retention: as many as may be, and one that fails or crashes harms nobody.

use std::sync::Arc;
use std::time::Duration;

use streamkeeper::{Limits, StreamName, Streamkeeper, Unavailable};
use streamkeeper_storage::StorageError;
use tokio::sync::Semaphore;

use crate::kit::*;

/// Streams that each keep one of three messages.
async fn due(keeper: &Streamkeeper, count: usize) -> Vec<StreamName> {
    let names: Vec<_> = (0..count).map(|i| name(&format!("s{i:02}"))).collect();
    for s in &names {
        keeper.create(s, keeping(1)).await.unwrap();
        append_all(keeper, s, ["a;".into(), "b;".into(), "c;".into()]).await;
    }
    names
}

#[tokio::test(start_paused = true)]
async fn so_many_work_at_once() {
    for (limit, working) in [(Limits::default().compaction_workers, 5), (3, 3), (0, 1)] {
        let (storage, clock) = (Scripted::new(), TestClock::at(0));
        let limits = Limits { compaction_workers: limit, ..Default::default() };
        let keeper = keeper_with(&storage, &clock, limits).await;
        let names = due(&keeper, 20).await;
        let gate = Arc::new(Semaphore::new(0));
        storage.script_reads({
            let gate = gate.clone();
            move |_| ReadFault::Wait(gate.clone())
        });
        let retention = keeper.retention();
        let check = tokio::spawn(async move { retention.check_now().await });
        settle().await;
        let status = keeper.retention().status().await.unwrap();
        assert_eq!((status.running.len(), status.due), (working, 20 - working));
        assert_eq!(status.running, names[..working]);
        // The next look finds the same ones, and starts none of them twice.
        clock.pass(Duration::from_secs(31)).await;
        let status = keeper.retention().status().await.unwrap();
        assert_eq!((status.running.len(), status.due), (working, 20 - working));
        assert!(!check.is_finished());
        // Nobody who writes or reads at the tail waits for them.
        append_all(&keeper, &names[0], ["d;".into()]).await;

        gate.add_permits(1);
        check.await.unwrap().unwrap();
        let status = keeper.retention().status().await.unwrap();
        assert_eq!((status.compactions, status.failures), (20, 0));
        assert_eq!((status.running.len(), status.due), (0, 0));
        compacted(&keeper).await;
        for (i, s) in names.iter().enumerate() {
            assert_eq!(contents(&keeper, s).await, if i == 0 { "d;" } else { "c;" });
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_crashes_or_fails_harms_nobody_and_is_tried_again() {
    let unavailable = StorageError::Unavailable("scripted".into());
    for fault in [ReadFault::Panic, ReadFault::Fail(unavailable)] {
        let storage = Scripted::new();
        let keeper = keeper(&storage).await;
        let names = due(&keeper, 8).await;
        let bad = names[3].clone();
        let id = storage.state(&bad).unwrap().id;
        storage.script_reads(move |range| match range.id == id {
            true => fault.clone(),
            false => ReadFault::None,
        });
        let loads = storage.loads(&bad);
        let status = compacted(&keeper).await;
        assert_eq!((status.compactions, status.failures), (7, 1));
        let failure = status.last_failure.unwrap();
        assert_eq!(failure.stream, bad);
        assert!(failure.cause.contains("scripted"), "{}", failure.cause);
        assert_eq!(compacted(&keeper).await.failures, 2, "it is tried again");
        append_all(&keeper, &bad, ["d;".into()]).await;
        assert_eq!(storage.loads(&bad), loads, "its stream has not crashed");

        storage.script_reads(|_| ReadFault::None);
        let status = compacted(&keeper).await;
        assert_eq!((status.compactions, status.failures), (8, 2));
        assert_eq!(contents(&keeper, &bad).await, "d;");
    }
}

#[tokio::test(start_paused = true)]
async fn a_truncation_that_storage_refuses_or_fails_changes_nothing() {
    for fault in [
        Fault::Refuse(StorageError::Full),
        Fault::Fail(StorageError::Unavailable("scripted".into())),
        Fault::Panic,
    ] {
        let storage = Scripted::new();
        let keeper = keeper(&storage).await;
        let s = due(&keeper, 1).await.remove(0);
        storage.script(when("s00", "truncate", fault.clone()));
        let status = compacted(&keeper).await;
        assert_eq!((status.compactions, status.failures), (0, 1), "{fault:?}");
        storage.calm();
        assert_eq!(contents(&keeper, &s).await, "a;b;c;");
        let status = compacted(&keeper).await;
        assert_eq!((status.compactions, status.dropped_messages), (1, 2), "{fault:?}");
        assert_eq!(contents(&keeper, &s).await, "c;");
    }
}

/// The plan tells only of what is durable, and the cut is a record like any other.
#[tokio::test(start_paused = true)]
async fn what_is_not_durable_is_waited_for() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s00");
    keeper.create(&s, keeping(1)).await.unwrap();
    append_all(&keeper, &s, ["a;".into()]).await;
    storage.script(|_| Fault::Hold);
    let mut appends = Calls::new();
    for body in ["b;", "c;"] {
        appends.add(append(&keeper, &s, message(body))).await;
    }
    assert_eq!(contents(&keeper, &s).await, "a;");
    let check = tokio::spawn({
        let retention = keeper.retention();
        async move { retention.check_now().await }
    });
    settle().await;
    keeper.retention().check_now().await.unwrap();
    assert_eq!(storage.held(&s), 2, "as far as is durable, nothing is due");
    assert!(check.await.unwrap().is_ok());
    storage.release(&s, 2);
    assert!(appends.answers().await.iter().all(Result::is_ok));
    let check = tokio::spawn({
        let retention = keeper.retention();
        async move { retention.check_now().await }
    });
    settle().await;
    assert_eq!(storage.held(&s), 1);
    assert_eq!(contents(&keeper, &s).await, "a;b;c;", "not before it is durable");
    assert!(!check.is_finished());
    storage.release(&s, 1);
    check.await.unwrap().unwrap();
    assert_eq!(contents(&keeper, &s).await, "c;");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_a_worker() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    due(&keeper, 3).await;
    storage.script_reads(|_| ReadFault::Wait(Arc::new(Semaphore::new(0))));
    let check = tokio::spawn({
        let retention = keeper.retention();
        async move { retention.check_now().await }
    });
    settle().await;
    assert_eq!(keeper.retention().status().await.unwrap().running.len(), 3);
    let began = tokio::time::Instant::now();
    assert!(keeper.shutdown(Duration::from_secs(60)).await.is_clean());
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(check.await.unwrap(), Err(Unavailable::ShuttingDown));
}
