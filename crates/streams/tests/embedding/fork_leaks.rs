//! References of forks: none is leaked, and none is lost, whatever goes wrong on the way.

use std::sync::Arc;
use std::time::Duration;

use streamkeeper::{AppendRequest, CreateRequest, Expiry, StreamName, Streamkeeper};
use streamkeeper_storage::StorageError;

use crate::kit::*;

/// A source of two messages.
async fn source(keeper: &Streamkeeper) -> StreamName {
    let s = name("source");
    keeper.create(&s, stream()).await.unwrap();
    keeper.append(&s, message("ab")).await.unwrap();
    keeper.append(&s, message("cd")).await.unwrap();
    s
}

/// The source goes as soon as it is deleted: nothing holds it.
async fn assert_free(storage: &Arc<Scripted>, keeper: &Streamkeeper, s: &StreamName) {
    eventually("no fork holds the source", async || {
        storage.state(s).is_none_or(|state| state.forks.is_empty())
    })
    .await;
    let _ = keeper.delete(s).await;
    eventually("the source is gone", async || storage.state(s).is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn a_rejected_fork_leaks_nothing() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = source(&keeper).await;
    let taken = name("taken");
    keeper.create(&taken, stream()).await.unwrap();
    let fork = name("fork");
    let past = fork_at(&s, 99, 0);
    let misaligned = fork_at(&s, 1, 0);
    let overshoot = fork_at(&s, 0, 3);
    let other_type = CreateRequest { content_type: json(), ..fork_of(&s) };
    for request in [past, misaligned, overshoot, other_type] {
        assert!(keeper.create(&fork, request).await.is_err());
    }
    assert!(keeper.create(&taken, fork_of(&s)).await.is_err());
    assert!(keeper.create(&s, fork_of(&s)).await.is_err());
    assert!(keeper.create(&fork, fork_of(&fork)).await.is_err());
    assert!(storage.state(&fork).is_none());
    assert_free(&storage, &keeper, &s).await;
}

#[tokio::test(start_paused = true)]
async fn a_fork_with_a_body_that_is_not_json_leaks_nothing() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("source");
    keeper.create(&s, CreateRequest { content_type: json(), ..stream() }).await.unwrap();
    let request = AppendRequest { content_type: json(), ..message("[1,2]") };
    keeper.append(&s, request).await.unwrap();
    let request = CreateRequest { body: "{".into(), ..fork_of(&s) };
    assert!(keeper.create(&name("fork"), request).await.is_err());
    assert_free(&storage, &keeper, &s).await;
}

#[tokio::test(start_paused = true)]
async fn a_fork_that_storage_refuses_leaks_nothing() {
    let unavailable = || StorageError::Unavailable("scripted".into());
    for fault in [
        Fault::Refuse(StorageError::Full),
        Fault::Refuse(unavailable()),
        Fault::Fail(StorageError::Full),
        Fault::Fail(unavailable()),
        Fault::Panic,
    ] {
        let storage = Scripted::new();
        let keeper = keeper(&storage).await;
        let s = source(&keeper).await;
        storage.script(when("fork", "create", fault.clone()));
        let request = CreateRequest { body: "own".into(), ..fork_of(&s) };
        assert!(keeper.create(&name("fork"), request).await.is_err());
        storage.calm();
        if fault == Fault::Panic {
            // The outcome is unknown until the source is started again.
            keeper.shutdown(Duration::from_secs(1)).await;
            let next = crate::kit::keeper(&storage).await;
            next.metadata(&s).await.unwrap();
            assert_free(&storage, &next, &s).await;
        } else {
            assert_free(&storage, &keeper, &s).await;
        }
    }
}

/// The reference may be written though storage, or a crash, denies it; the fork never was.
#[tokio::test(start_paused = true)]
async fn a_reference_that_was_not_acknowledged_is_let_go_of() {
    for fault in [
        Fault::LoseAck(StorageError::Unavailable("scripted".into())),
        Fault::Fail(StorageError::Unavailable("scripted".into())),
        Fault::Panic,
        Fault::PanicAfter,
    ] {
        let storage = Scripted::new();
        let keeper = keeper(&storage).await;
        let s = source(&keeper).await;
        storage.script(when("source", "fork", fault.clone()));
        assert!(keeper.create(&name("fork"), fork_of(&s)).await.is_err());
        storage.calm();
        assert!(storage.state(&name("fork")).is_none());
        // Started again, at the latest by the next use, the source finds out.
        keeper.metadata(&s).await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        let held = storage.state(&s).unwrap().forks.len();
        assert_eq!(held, 0, "{fault:?}: the source is held for a fork that never was");
        assert_free(&storage, &keeper, &s).await;
    }
}

/// A commit that storage says has failed may be there all the same: its acknowledgement was lost, or a
/// sync failed whose data is found at the next opening. Such a fork must not lose its source.
#[tokio::test(start_paused = true)]
async fn a_fork_whose_creation_was_not_acknowledged_keeps_its_source() {
    let unavailable = StorageError::Unavailable("scripted".into());
    for fault in [Fault::LoseAck(unavailable), Fault::PanicAfter] {
        let storage = Scripted::new();
        let keeper = keeper(&storage).await;
        let (s, fork) = (source(&keeper).await, name("fork"));
        storage.script(when("fork", "create", fault.clone()));
        assert!(keeper.create(&fork, fork_of(&s)).await.is_err());
        storage.calm();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(storage.state(&fork).is_some(), "the fork is there");
        assert!(!keeper.create(&fork, fork_of(&s)).await.unwrap().fresh, "and is confirmed");
        keeper.delete(&s).await.unwrap();
        let read = read_all(&keeper, &fork, ALL).await;
        assert_eq!(read.as_deref(), Ok("abcd"), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_is_repeated_until_it_holds() {
    for fault in [
        Fault::Refuse(StorageError::Unavailable("scripted".into())),
        Fault::Panic,
        Fault::PanicAfter,
        Fault::LoseAck(StorageError::Unavailable("scripted".into())),
    ] {
        let storage = Scripted::new();
        let keeper = keeper(&storage).await;
        let (s, fork) = (source(&keeper).await, name("fork"));
        keeper.create(&fork, fork_of(&s)).await.unwrap();
        let mut left = 3;
        storage.script(move |entry| {
            let hit = kind(&entry.record) == "release" && left > 0;
            left -= i32::from(hit);
            if hit { fault.clone() } else { Fault::None }
        });
        keeper.delete(&fork).await.unwrap();
        assert_free(&storage, &keeper, &s).await;
    }
}

/// The process died between the end of a fork and its letting go of the source.
#[tokio::test(start_paused = true)]
async fn the_next_start_lets_go_of_forks_that_are_not_there() {
    let storage = Scripted::new();
    let first = keeper(&storage).await;
    let (s, fork) = (source(&first).await, name("fork"));
    first.create(&fork, fork_of(&s)).await.unwrap();
    first.delete(&s).await.unwrap();
    storage.script(|entry| match kind(&entry.record) {
        "release" => Fault::Panic,
        _ => Fault::None,
    });
    first.delete(&fork).await.unwrap();
    first.shutdown(Duration::from_secs(1)).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    storage.calm();
    assert!(storage.state(&s).is_some(), "still held");
    let next = keeper(&storage).await;
    eventually("the name is free", async || next.create(&s, stream()).await.is_ok()).await;
}

#[tokio::test(start_paused = true)]
async fn an_expired_fork_lets_go() {
    let (storage, clock) = (Scripted::new(), TestClock::at(0));
    let keeper = keeper_at(&storage, &clock).await;
    let (s, fork) = (source(&keeper).await, name("fork"));
    keeper.create(&fork, CreateRequest { expiry: ttl(10), ..fork_of(&s) }).await.unwrap();
    let never = CreateRequest { expiry: Some(Expiry::Never), ..fork_of(&fork) };
    keeper.create(&name("grandchild"), never).await.unwrap();
    keeper.delete(&s).await.unwrap();
    clock.pass(Duration::from_secs(11)).await;
    assert_eq!(contents(&keeper, &name("grandchild")).await, "abcd", "it holds its source");
    assert!(storage.state(&s).is_some() && storage.state(&fork).is_some());
    keeper.delete(&name("grandchild")).await.unwrap();
    for gone in [&fork, &s] {
        eventually("the chain is gone", async || storage.state(gone).is_none()).await;
    }
}

/// Whoever asked for the fork leaves, after the n-th commit of its creation has begun.
#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_in_the_middle_leaks_nothing() {
    for stage in ["fork", "create"] {
        for succeeds in [true, false] {
            let storage = Scripted::new();
            let keeper = keeper(&storage).await;
            let (s, fork) = (source(&keeper).await, name("fork"));
            let hold = move |entry: &streamkeeper_storage::Entry| match kind(&entry.record) {
                kind if kind == stage => Fault::Hold,
                _ => Fault::None,
            };
            storage.script(hold);
            let call = tokio::spawn(create(&keeper, &fork, fork_of(&s)));
            settle().await;
            let held = if stage == "fork" { &s } else { &fork };
            assert_eq!(storage.held(held), 1);
            call.abort();
            assert!(call.await.unwrap_err().is_cancelled());
            storage.calm();
            match succeeds {
                true => storage.release_all(),
                false => storage.fail_held(held, StorageError::Full),
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
            if succeeds {
                assert_eq!(contents(&keeper, &fork).await, "abcd", "it was done without them");
                keeper.delete(&fork).await.unwrap();
            } else {
                assert!(storage.state(&fork).is_none());
            }
            assert_free(&storage, &keeper, &s).await;
        }
    }
}
