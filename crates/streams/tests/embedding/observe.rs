//! The tree and the streams as data.

use std::time::Duration;

use streamkeeper::supervisor::{ChildState, StandardPolicy};
use streamkeeper::{ReadFrom, StreamActivity, StreamInfo, StreamName, Streamkeeper};

use crate::kit::*;

fn info(keeper: &Streamkeeper, s: &StreamName) -> StreamInfo {
    let page = keeper.streams(None, 100);
    page.streams.into_iter().find(|stream| stream.name == *s).expect("the stream is there")
}

#[tokio::test(start_paused = true)]
async fn the_tree_tells_its_processes_and_counts_the_streams() {
    let storage = Scripted::new();
    let none = StandardPolicy::transient().intensity(0, Duration::from_secs(60));
    let builder = Streamkeeper::builder().storage(storage.clone()).policy_for("bad", none);
    let keeper = builder.start().await.unwrap();
    for s in ["bad", "good", "better"] {
        keeper.create(&name(s), stream()).await.unwrap();
    }
    storage.script(when("bad", "append", Fault::Panic));
    assert!(keeper.append(&name("bad"), message("x")).await.is_err());
    settle().await;
    let tree = keeper.tree().await;
    assert_eq!(tree.processes[0].name, "stream_supervisor");
    assert!(tree.processes.iter().all(|process| process.state == ChildState::Running));
    assert!(tree.processes.iter().all(|process| process.restarts == 0));
    let streams = tree.streams;
    assert_eq!((streams.total, streams.running, streams.quarantined), (3, 2, 1));

    keeper.shutdown(Duration::from_secs(5)).await;
    let tree = keeper.tree().await;
    assert!(tree.processes.is_empty());
    assert_eq!(tree.streams.total, 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_tells_who_waits_for_it_and_what_it_waits_for() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    keeper.append(&s, message("abc")).await.unwrap();
    let idle = info(&keeper, &s);
    assert_eq!(idle.state, StreamActivity::Running);
    assert_eq!((idle.mailbox, idle.pending_commits, idle.waiters, idle.subscribers), (0, 0, 0, 0));
    assert_eq!((idle.bytes, idle.restarts, idle.last_crash), (Some(3), 0, None));

    let subscription = keeper.subscribe(&s, ReadFrom::Now, ALL).await.unwrap();
    let waiting = {
        let (keeper, s) = (keeper.clone(), s.clone());
        let hour = Duration::from_secs(3600);
        tokio::spawn(async move { keeper.read_live(&s, ReadFrom::Now, ALL, hour).await })
    };
    storage.script(|_| Fault::Hold);
    let mut calls = Calls::new();
    calls.add(append(&keeper, &s, message("d"))).await;
    calls.add(append(&keeper, &s, message("e"))).await;
    let busy = info(&keeper, &s);
    assert_eq!((busy.mailbox, busy.pending_commits, busy.waiters, busy.subscribers), (0, 2, 1, 1));

    storage.release_all();
    storage.calm();
    assert!(calls.answers().await.iter().all(|answer| answer.is_ok()));
    waiting.await.unwrap().unwrap();
    drop(subscription);
    settle().await;
    let idle = info(&keeper, &s);
    assert_eq!((idle.mailbox, idle.pending_commits, idle.waiters, idle.subscribers), (0, 0, 0, 0));
    assert_eq!(idle.bytes, Some(5));
}

/// Requests that are sent and not taken yet: on one thread nobody takes them before a caller waits.
#[tokio::test(start_paused = true)]
async fn a_mailbox_tells_its_depth() {
    let keeper = keeper(&Scripted::new()).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    let calls: Vec<_> = (0..5).map(|_| append(&keeper, &s, message("x"))).collect();
    let mut calls: Vec<_> = calls.into_iter().map(Box::pin).collect();
    for call in &mut calls {
        assert!(futures::poll!(call).is_pending());
    }
    assert_eq!(info(&keeper, &s).mailbox, 5);
    futures::future::join_all(calls).await;
    assert_eq!(info(&keeper, &s).mailbox, 0);
}

#[tokio::test(start_paused = true)]
async fn crashes_are_remembered_and_states_are_told() {
    let storage = Scripted::new();
    let policy = StandardPolicy::transient().intensity(2, Duration::from_secs(3600));
    let builder = Streamkeeper::builder().storage(storage.clone()).policy(policy);
    let keeper = builder.start().await.unwrap();
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    storage.script(|_| Fault::Panic);
    for restarts in 1..=2 {
        assert!(keeper.append(&s, message("x")).await.is_err());
        tokio::time::sleep(Duration::from_secs(60)).await;
        let again = info(&keeper, &s);
        assert_eq!((again.state, again.restarts), (StreamActivity::Running, restarts));
        assert_eq!(again.last_crash.unwrap().kind(), "panicked");
    }
    assert!(keeper.append(&s, message("x")).await.is_err());
    settle().await;
    let down = info(&keeper, &s);
    assert!(matches!(down.state, StreamActivity::Quarantined { .. }), "{down:?}");
    assert_eq!((down.bytes, down.restarts), (None, 2));
}

#[tokio::test(start_paused = true)]
async fn pages_tell_every_stream_once_and_in_order() {
    let keeper = keeper(&Scripted::new()).await;
    let mut expected: Vec<String> = (0..100).map(|i| format!("{i}")).collect();
    for s in &expected {
        keeper.create(&name(s), stream()).await.unwrap();
    }
    expected.sort();
    for limit in [1, 33, 100, 1000] {
        let mut names = Vec::new();
        let mut after: Option<StreamName> = None;
        loop {
            let page = keeper.streams(after.as_ref(), limit);
            assert!(page.streams.len() <= limit);
            names.extend(page.streams.iter().map(|stream| stream.name.as_str().to_owned()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(names, expected, "{limit}");
    }
}
