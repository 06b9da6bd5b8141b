//! The commit pipeline: many writes in flight, answered in order, and nothing seen before its time.

use streamkeeper::{AppendError, CreateError, DeleteError, Outcome, ReadError, ReadFrom};
use streamkeeper_protocol::stream::{AppendRejection, DeleteRejection};

use crate::kit::*;

#[tokio::test(start_paused = true)]
async fn appends_are_in_flight_together_and_answered_in_order() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    storage.script(|_| Fault::Hold);

    let mut calls = Calls::new();
    for i in 0..5 {
        calls.add(append(&keeper, &s, message(format!("m{i};")))).await;
    }
    assert_eq!(storage.held(&s), 5, "none waits for another");
    for durable in 1..=5 {
        assert_eq!(storage.release(&s, 1), 1);
        settle().await;
        let answered = calls.answered().iter().filter(|answered| **answered).count();
        assert_eq!(answered, durable);
        assert!(calls.answered()[..durable].iter().all(|answered| *answered));
        let seen: String = (0..durable).map(|i| format!("m{i};")).collect();
        assert_eq!(contents(&keeper, &s).await, seen);
    }
    let offsets: Vec<u64> =
        calls.answers().await.into_iter().map(|a| a.unwrap().next_offset.position()).collect();
    assert_eq!(offsets, [3, 6, 9, 12, 15]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_seen_before_it_is_durable() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    storage.script(|_| Fault::Hold);
    let mut creation = Calls::new();
    creation.add(create(&keeper, &s, stream())).await;
    assert_eq!(keeper.metadata(&s).await, Err(ReadError::NotFound));
    storage.release_all();
    settle().await;
    assert!(creation.answers().await[0].as_ref().unwrap().fresh);

    let mut appends = Calls::new();
    appends.add(append(&keeper, &s, message("a"))).await;
    let request = streamkeeper::AppendRequest { close: true, ..message("b") };
    appends.add(append(&keeper, &s, request)).await;
    let page = keeper.read(&s, ReadFrom::Start, ALL).await.unwrap();
    assert!(page.chunks.is_empty() && page.up_to_date && !page.closed);
    storage.release(&s, 1);
    settle().await;
    let page = keeper.read(&s, ReadFrom::Start, ALL).await.unwrap();
    assert_eq!((texts(&page).concat().as_str(), page.closed), ("a", false));
    storage.release(&s, 1);
    settle().await;
    let page = keeper.read(&s, ReadFrom::Start, ALL).await.unwrap();
    assert_eq!((texts(&page).concat().as_str(), page.closed), ("ab", true));

    let mut deletion = Calls::new();
    let (k, n) = (keeper.clone(), s.clone());
    deletion.add(async move { k.delete(&n).await }).await;
    assert_eq!(contents(&keeper, &s).await, "ab", "readable until it is durably gone");
    storage.release_all();
    assert_eq!(deletion.answers().await, [Ok(())]);
    assert_eq!(keeper.metadata(&s).await, Err(ReadError::NotFound));
}

#[tokio::test(start_paused = true)]
async fn duplicates_and_rejections_wait_for_what_they_were_decided_upon() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    storage.script(|_| Fault::Hold);

    let mut calls = Calls::new();
    calls.add(append(&keeper, &s, produced("a", "p", 0, 0))).await;
    calls.add(append(&keeper, &s, produced("a", "p", 0, 0))).await;
    calls.add(append(&keeper, &s, produced("c", "p", 0, 2))).await;
    calls.add(append(&keeper, &s, closing())).await;
    calls.add(append(&keeper, &s, closing())).await;
    calls.add(append(&keeper, &s, message("late"))).await;
    assert_eq!(storage.held(&s), 2);
    assert!(calls.answered().iter().all(|answered| !answered));
    storage.release(&s, 1);
    settle().await;
    assert_eq!(calls.answered(), [true, true, true, false, false, false]);
    storage.release(&s, 1);
    settle().await;
    let answers = calls.answers().await;
    let outcomes: Vec<_> = answers.iter().map(|a| a.as_ref().map(|a| a.outcome)).collect();
    assert_eq!(outcomes[0], Ok(Outcome::Appended));
    assert_eq!(outcomes[1], Ok(Outcome::Duplicate));
    let gap = AppendRejection::SequenceGap { expected: 1, received: 2 };
    assert_eq!(outcomes[2], Err(&AppendError::Rejected(gap)));
    assert_eq!(outcomes[3], Ok(Outcome::Closed));
    assert_eq!(outcomes[4], Ok(Outcome::Closed));
    let closed = AppendRejection::Closed { next_offset: streamkeeper::Offset::new(1) };
    assert_eq!(outcomes[5], Err(&AppendError::Rejected(closed)));
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_deleted_and_created_anew_in_one_flight() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    keeper.append(&s, message("old")).await.unwrap();
    let old = keeper.metadata(&s).await.unwrap().id;
    storage.script(|_| Fault::Hold);

    let mut before = Calls::new();
    before.add(append(&keeper, &s, message("er"))).await;
    let mut deletions = Calls::new();
    for _ in 0..2 {
        let (k, n) = (keeper.clone(), s.clone());
        deletions.add(async move { k.delete(&n).await }).await;
    }
    let mut creations = Calls::new();
    creations.add(create(&keeper, &s, stream())).await;
    creations.add(create(&keeper, &s, stream())).await;
    let closed = streamkeeper::CreateRequest { closed: true, ..stream() };
    creations.add(create(&keeper, &s, closed)).await;
    let mut after = Calls::new();
    after.add(append(&keeper, &s, message("new"))).await;
    assert_eq!(storage.held(&s), 4, "append, delete, create, append");
    assert_eq!(contents(&keeper, &s).await, "old");

    storage.release(&s, 1);
    settle().await;
    assert_eq!(contents(&keeper, &s).await, "older");
    storage.release(&s, 1);
    settle().await;
    assert_eq!(keeper.metadata(&s).await, Err(ReadError::NotFound));
    assert_eq!(deletions.answered(), [true, true]);
    assert_eq!(creations.answered(), [false; 3]);
    storage.release(&s, 1);
    settle().await;
    assert_eq!(contents(&keeper, &s).await, "");
    assert_eq!(after.answered(), [false]);
    storage.release(&s, 1);
    settle().await;

    assert!(before.answers().await[0].is_ok());
    let not_found = DeleteError::Rejected(DeleteRejection::NotFound);
    assert_eq!(deletions.answers().await, [Ok(()), Err(not_found)]);
    let creations = creations.answers().await;
    assert!(creations[0].as_ref().unwrap().fresh && !creations[1].as_ref().unwrap().fresh);
    assert!(matches!(creations[2], Err(CreateError::Rejected(_))));
    assert_eq!(after.answers().await[0].as_ref().unwrap().next_offset.position(), 3);
    assert_eq!(contents(&keeper, &s).await, "new");
    assert_ne!(keeper.metadata(&s).await.unwrap().id, old);
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_delete_in_flight_finds_no_stream() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    storage.script(|_| Fault::Hold);
    let mut deletion = Calls::new();
    let (k, n) = (keeper.clone(), s.clone());
    deletion.add(async move { k.delete(&n).await }).await;
    let mut late = Calls::new();
    late.add(append(&keeper, &s, message("late"))).await;
    assert_eq!(late.answered(), [false], "the deletion may fail yet");
    storage.release_all();
    assert_eq!(deletion.answers().await, [Ok(())]);
    let not_found = AppendError::Rejected(AppendRejection::NotFound);
    assert_eq!(late.answers().await, [Err(not_found)]);
}
