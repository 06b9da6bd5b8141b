//! Commits that fail while others are in flight: all of them are told so, and retries are safe.

use streamkeeper::{AppendError, Outcome, Unavailable};
use streamkeeper_storage::StorageError;

use crate::kit::*;

#[tokio::test(start_paused = true)]
async fn a_failed_commit_fails_all_that_follow_and_retries_write_once() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    storage.script(|_| Fault::Hold);
    let mut calls = Calls::new();
    for seq in 0..6 {
        calls.add(append(&keeper, &s, produced(format!("{seq}"), "p", 0, seq))).await;
    }
    storage.release(&s, 2);
    settle().await;
    storage.fail_held(&s, StorageError::Unavailable("disk".into()));
    storage.calm();
    let answers = calls.answers().await;
    assert!(answers[..2].iter().all(|answer| answer.is_ok()));
    assert!(answers[2..].iter().all(is_unknown), "{answers:?}");
    assert_eq!(contents(&keeper, &s).await, "01");

    for seq in 0..6 {
        let appended = insist(&keeper, &s, produced(format!("{seq}"), "p", 0, seq)).await;
        let expected = if seq < 2 { Outcome::Duplicate } else { Outcome::Appended };
        assert_eq!(appended.outcome, expected);
    }
    assert_eq!(contents(&keeper, &s).await, "012345");
    let state = storage.state(&s).unwrap();
    assert_eq!((state.tail, state.messages), (6, 6));
}

#[tokio::test(start_paused = true)]
async fn a_lost_acknowledgement_is_made_up_for_by_the_retry() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    storage.script(when("s", "append", Fault::LoseAck(StorageError::Unavailable("net".into()))));
    let lost = keeper.append(&s, produced("a", "p", 0, 0)).await;
    assert!(is_unknown(&lost), "{lost:?}");
    storage.calm();
    let retry = insist(&keeper, &s, produced("a", "p", 0, 0)).await;
    assert_eq!(retry.outcome, Outcome::Duplicate);
    assert_eq!(contents(&keeper, &s).await, "a");
}

#[tokio::test(start_paused = true)]
async fn a_crash_before_and_after_the_write_leaves_no_half() {
    for (fault, retried) in
        [(Fault::Panic, Outcome::Appended), (Fault::PanicAfter, Outcome::Duplicate)]
    {
        let storage = Scripted::new();
        let keeper = keeper(&storage).await;
        let s = name("s");
        keeper.create(&s, stream()).await.unwrap();
        storage.script(when("s", "append", fault));
        let crashed = keeper.append(&s, produced("a", "p", 0, 0)).await;
        assert_eq!(crashed, Err(AppendError::Unavailable(Unavailable::OutcomeUnknown)));
        storage.calm();
        assert_eq!(insist(&keeper, &s, produced("a", "p", 0, 0)).await.outcome, retried);
        assert_eq!(contents(&keeper, &s).await, "a");
    }
}

#[tokio::test(start_paused = true)]
async fn full_is_answered_and_the_stream_lives_on() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    storage.script(when("s", "append", Fault::Refuse(StorageError::Full)));
    let full = AppendError::Unavailable(Unavailable::Storage(StorageError::Full));
    let loads = storage.loads(&s);
    for _ in 0..20 {
        let refused = keeper.append(&s, produced("a", "p", 0, 0)).await;
        assert_eq!(refused, Err(full.clone()));
    }
    assert_eq!(storage.loads(&s), loads, "no restart");
    assert_eq!(contents(&keeper, &s).await, "");
    storage.calm();
    let appended = keeper.append(&s, produced("a", "p", 0, 0)).await.unwrap();
    assert_eq!(appended.outcome, Outcome::Appended, "a refused append leaves no trace");
}

/// "Writes go on once there is space again" ([`StorageError::Full`]), also if storage finds out late.
#[tokio::test(start_paused = true)]
async fn full_found_out_late_does_not_end_the_stream() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    storage.script(when("s", "append", Fault::Fail(StorageError::Full)));
    for _ in 0..20 {
        let refused = keeper.append(&s, message("a")).await;
        assert!(matches!(refused, Err(AppendError::Unavailable(_))), "{refused:?}");
    }
    storage.calm();
    let appended = keeper.append(&s, message("a")).await;
    assert!(appended.is_ok(), "there is space again, and yet: {appended:?}");
}

/// A refusal that is known at once concerns the refused one, not those that are in flight before it.
#[tokio::test(start_paused = true)]
async fn full_is_answered_while_others_are_in_flight() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    let mut commits = 0;
    storage.script(move |_| {
        commits += 1;
        if commits == 2 { Fault::Refuse(StorageError::Full) } else { Fault::Hold }
    });
    let mut calls = Calls::new();
    for body in ["a", "big", "c"] {
        calls.add(append(&keeper, &s, message(body))).await;
    }
    storage.release_all();
    settle().await;
    storage.release_all();
    let answers = calls.answers().await;
    assert!(answers[0].is_ok(), "{answers:?}");
    let full = AppendError::Unavailable(Unavailable::Storage(StorageError::Full));
    assert_eq!(answers[1], Err(full));
    assert!(answers[2].is_ok(), "{:?}", answers[2]);
    storage.calm();
    assert_eq!(contents(&keeper, &s).await, "ac");
}

/// The next start must not decide upon a state that an accepted commit is about to change.
#[tokio::test(start_paused = true)]
async fn commits_that_outlive_their_actor_are_waited_for() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    storage.script(|_| Fault::Hold);
    let mut calls = Calls::new();
    calls.add(append(&keeper, &s, produced("a", "p", 0, 0))).await;
    storage.script(|_| Fault::Panic);
    calls.add(append(&keeper, &s, message("crash"))).await;
    storage.calm();
    assert!(calls.answers().await.iter().all(is_unknown));
    // The first append is still on its way to the disk while its producer tries again.
    for _ in 0..20 {
        let early = keeper.append(&s, produced("a", "p", 0, 0)).await;
        assert_eq!(early, Err(AppendError::Unavailable(Unavailable::Restarting)));
    }
    storage.release_all();
    let retry = keeper.append(&s, produced("a", "p", 0, 0)).await.unwrap();
    assert_eq!(retry.outcome, Outcome::Duplicate);
    assert_eq!(contents(&keeper, &s).await, "a");
}
