//! Actors that crash: they come back from what storage holds, and their siblings do not notice.

use std::time::Duration;

use streamkeeper::supervisor::{Backoff, StandardPolicy};
use streamkeeper::{AppendError, CreateError, ReadError, ReadFrom, Streamkeeper, Unavailable};
use streamkeeper_storage::StorageError;

use crate::kit::*;

const UNKNOWN: AppendError = AppendError::Unavailable(Unavailable::OutcomeUnknown);

#[tokio::test(start_paused = true)]
async fn a_restart_that_cannot_load_is_tried_again() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    keeper.append(&s, message("a")).await.unwrap();
    storage.script(|_| Fault::Panic);
    storage.fail_loads(&s, 3);
    assert_eq!(keeper.append(&s, message("b")).await, Err(UNKNOWN));
    storage.calm();
    assert_eq!(contents(&keeper, &s).await, "a", "a reader waits for the restart");
    assert_eq!(storage.loads(&s), 1 + 3 + 1);
    keeper.append(&s, message("b")).await.unwrap();
    assert_eq!(contents(&keeper, &s).await, "ab");
}

#[tokio::test(start_paused = true)]
async fn a_caller_does_not_wait_for_a_restart_for_ever() {
    let storage = Scripted::new();
    let policy = StandardPolicy::transient().intensity(1_000, Duration::from_secs(60));
    let builder = Streamkeeper::builder().storage(storage.clone()).policy(policy);
    let keeper = builder.start().await.unwrap();
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    storage.script(|_| Fault::Panic);
    storage.fail_loads(&s, 100);
    assert_eq!(keeper.append(&s, message("b")).await, Err(UNKNOWN));
    let began = tokio::time::Instant::now();
    let restarting = Unavailable::Restarting;
    assert_eq!(keeper.metadata(&s).await, Err(ReadError::Unavailable(restarting.clone())));
    assert_eq!(began.elapsed().as_secs(), 5, "the patience is the limit's");
    let append = keeper.append(&s, message("b")).await;
    assert_eq!(append, Err(AppendError::Unavailable(restarting)));
}

#[tokio::test(start_paused = true)]
async fn a_first_load_that_fails_is_the_callers_to_repeat() {
    let storage = Scripted::new();
    let first = keeper(&storage).await;
    let s = name("s");
    first.create(&s, stream()).await.unwrap();
    first.shutdown(Duration::from_secs(1)).await;
    let keeper = keeper(&storage).await;
    storage.fail_loads(&s, 2);
    for _ in 0..2 {
        let failed = keeper.read(&s, ReadFrom::Start, ALL).await.unwrap_err();
        let storage = Unavailable::Storage(StorageError::Unavailable("scripted".into()));
        assert_eq!(failed, ReadError::Unavailable(storage));
    }
    assert_eq!(contents(&keeper, &s).await, "");
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_crashes_is_repeated() {
    for (fault, fresh) in [(Fault::Panic, true), (Fault::PanicAfter, false)] {
        let storage = Scripted::new();
        let keeper = keeper(&storage).await;
        let s = name("s");
        storage.script(move |_| fault.clone());
        let crashed = keeper.create(&s, stream()).await;
        assert_eq!(crashed, Err(CreateError::Unavailable(Unavailable::OutcomeUnknown)));
        storage.calm();
        assert_eq!(keeper.metadata(&s).await.is_err(), fresh);
        assert_eq!(keeper.create(&s, stream()).await.unwrap().fresh, fresh);
        keeper.append(&s, message("a")).await.unwrap();
        assert_eq!(contents(&keeper, &s).await, "a");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_crashes_is_over_or_was_never() {
    for (fault, left) in [(Fault::Panic, true), (Fault::PanicAfter, false)] {
        let storage = Scripted::new();
        let keeper = keeper(&storage).await;
        let s = name("s");
        keeper.create(&s, stream()).await.unwrap();
        storage.script(when("s", "delete", fault));
        assert!(keeper.delete(&s).await.is_err());
        storage.calm();
        assert_eq!(keeper.metadata(&s).await.is_ok(), left);
        assert_eq!(keeper.delete(&s).await.is_ok(), left);
        assert!(keeper.create(&s, stream()).await.unwrap().fresh);
    }
}

#[tokio::test(start_paused = true)]
async fn siblings_do_not_notice() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let (poor, lucky) = (name("poor"), name("lucky"));
    keeper.create(&poor, stream()).await.unwrap();
    keeper.create(&lucky, stream()).await.unwrap();
    storage.script(|entry| match entry.name.as_str() {
        "poor" => Fault::Panic,
        _ => Fault::Hold,
    });
    // The sibling has a commit in flight, a waiter and a subscriber all the while.
    let mut calls = Calls::new();
    calls.add(append(&keeper, &lucky, message("a"))).await;
    let mut subscription = keeper.subscribe(&lucky, ReadFrom::Now, ALL).await.unwrap();
    subscription.next().await.unwrap();
    let waiter = tokio::spawn({
        let (keeper, lucky) = (keeper.clone(), lucky.clone());
        let hour = Duration::from_secs(3600);
        async move { keeper.read_live(&lucky, ReadFrom::Start, ALL, hour).await }
    });
    for _ in 0..10 {
        assert!(keeper.append(&poor, message("x")).await.is_err());
        settle().await;
    }
    storage.release_all();
    assert!(calls.answers().await[0].is_ok());
    assert_eq!(texts(&waiter.await.unwrap().unwrap()), ["a"]);
    assert_eq!(texts(&subscription.next().await.unwrap().unwrap()), ["a"]);
    assert_eq!(storage.loads(&lucky), 1, "it was never restarted");
}

/// A policy that lets a crashed stream go opens it anew for the next call. The call that crashed it
/// must not be one of them: its append may be written already.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_append_is_never_sent_twice() {
    let storage = Scripted::new();
    let policy = StandardPolicy::temporary().backoff(Backoff::NONE);
    let builder = Streamkeeper::builder().storage(storage.clone()).policy(policy);
    let keeper = builder.start().await.unwrap();
    for round in 0..300 {
        let s = name(&format!("s{round}"));
        keeper.create(&s, stream()).await.unwrap();
        let mut crashed = false;
        storage.script(move |_| match std::mem::replace(&mut crashed, true) {
            false => Fault::PanicAfter,
            true => Fault::None,
        });
        let answer = keeper.append(&s, message("a")).await;
        storage.calm();
        let state = storage.state(&s).unwrap();
        assert_eq!(state.messages, 1, "round {round}: appended twice, answered {answer:?}");
        assert_eq!(answer, Err(UNKNOWN), "round {round}");
    }
}

/// A permanent stream is started again whenever it ends, but a stream that was deleted has nothing to
/// come back to.
#[tokio::test(start_paused = true)]
async fn a_permanent_policy_does_not_bring_back_what_was_deleted() {
    let storage = Scripted::new();
    let builder = Streamkeeper::builder().storage(storage.clone());
    let keeper = builder.policy(StandardPolicy::permanent()).start().await.unwrap();
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    keeper.delete(&s).await.unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(storage.loads(&s), 1, "its actor was restarted in vain");
    assert!(keeper.create(&s, stream()).await.unwrap().fresh);
    keeper.append(&s, message("a")).await.unwrap();
    assert_eq!(contents(&keeper, &s).await, "a");
}

#[tokio::test(start_paused = true)]
async fn a_killed_actor_loses_what_is_in_its_hands_and_comes_back() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    assert!(!keeper.kill(&s), "there is nothing to kill");
    keeper.create(&s, stream()).await.unwrap();
    storage.script(|_| Fault::Hold);
    let mut calls = Calls::new();
    calls.add(append(&keeper, &s, message("a"))).await;
    assert!(keeper.kill(&s));
    settle().await;
    storage.calm();
    storage.release_all();
    assert_eq!(calls.answers().await, [Err(UNKNOWN)]);
    // What was accepted became durable all the same.
    keeper.append(&s, message("b")).await.unwrap();
    assert_eq!(contents(&keeper, &s).await, "ab");
}
