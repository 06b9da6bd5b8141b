//! Long-poll: a reader at the tail waits, and is answered by whatever happens to the stream.

use std::time::Duration;

use streamkeeper::{Page, ReadError, ReadFrom, StreamName, Streamkeeper};
use streamkeeper_storage::StorageError;
use tokio::task::JoinHandle;

use crate::kit::*;

const HOUR: Duration = Duration::from_secs(3600);

/// A reader that waits at the tail.
async fn waiter(keeper: &Streamkeeper, s: &StreamName) -> JoinHandle<Result<Page, ReadError>> {
    let (keeper, s) = (keeper.clone(), s.clone());
    let waiter = tokio::spawn(async move { keeper.read_live(&s, ReadFrom::Now, ALL, HOUR).await });
    settle().await;
    assert!(!waiter.is_finished());
    waiter
}

#[tokio::test(start_paused = true)]
async fn what_there_is_comes_at_once() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    keeper.append(&s, message("a")).await.unwrap();
    let page = keeper.read_live(&s, ReadFrom::Start, ALL, HOUR).await.unwrap();
    assert_eq!(texts(&page), ["a"]);
    keeper.append(&s, closing()).await.unwrap();
    let page = keeper.read_live(&s, ReadFrom::Now, ALL, HOUR).await.unwrap();
    assert!(page.closed && page.chunks.is_empty());
    let absent = keeper.read_live(&name("absent"), ReadFrom::Now, ALL, HOUR).await;
    assert_eq!(absent.unwrap_err(), ReadError::NotFound);
}

#[tokio::test(start_paused = true)]
async fn an_append_wakes_every_waiter() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    keeper.append(&s, message("a")).await.unwrap();
    let mut waiters = Vec::new();
    for _ in 0..40 {
        waiters.push(waiter(&keeper, &s).await);
    }
    // Some give up; the others must not notice.
    for gone in waiters.drain(..10) {
        gone.abort();
    }
    storage.script(|_| Fault::Hold);
    let mut appends = Calls::new();
    appends.add(append(&keeper, &s, message("b"))).await;
    assert!(waiters.iter().all(|waiter| !waiter.is_finished()), "it is not durable yet");
    storage.release_all();
    for waiter in waiters {
        let page = waiter.await.unwrap().unwrap();
        assert_eq!(texts(&page), ["b"]);
        assert_eq!((page.next_offset.position(), page.up_to_date, page.closed), (2, true, false));
    }
}

#[tokio::test(start_paused = true)]
async fn a_closing_wakes_with_the_last_messages_or_without_any() {
    for (request, expected) in [
        (closing(), &[][..]),
        (streamkeeper::AppendRequest { close: true, ..message("last") }, &["last"][..]),
    ] {
        let storage = Scripted::new();
        let keeper = keeper(&storage).await;
        let s = name("s");
        keeper.create(&s, stream()).await.unwrap();
        let waiter = waiter(&keeper, &s).await;
        keeper.append(&s, request).await.unwrap();
        let page = waiter.await.unwrap().unwrap();
        assert!(page.closed && page.up_to_date);
        assert_eq!(texts(&page), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deletion_wakes_with_its_kind() {
    for (forked, expected) in [(false, ReadError::NotFound), (true, ReadError::Gone)] {
        let storage = Scripted::new();
        let keeper = keeper(&storage).await;
        let s = name("s");
        keeper.create(&s, stream()).await.unwrap();
        if forked {
            keeper.create(&name("fork"), fork_of(&s)).await.unwrap();
        }
        let waiter = waiter(&keeper, &s).await;
        keeper.delete(&s).await.unwrap();
        assert_eq!(waiter.await.unwrap().unwrap_err(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn another_life_of_the_name_is_not_followed() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    let waiter = waiter(&keeper, &s).await;
    storage.script(|_| Fault::Hold);
    let deletion = tokio::spawn({
        let (keeper, s) = (keeper.clone(), s.clone());
        async move { keeper.delete(&s).await }
    });
    settle().await;
    let creation = tokio::spawn(create(&keeper, &s, stream()));
    settle().await;
    let request = message("another's");
    let appending = tokio::spawn(append(&keeper, &s, request));
    settle().await;
    // All of it becomes durable before the waiter has a chance to look.
    storage.release_all();
    deletion.await.unwrap().unwrap();
    assert!(creation.await.unwrap().unwrap().fresh);
    appending.await.unwrap().unwrap();
    assert_eq!(waiter.await.unwrap().unwrap_err(), ReadError::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_survives_a_crash() {
    for fault in [Fault::Panic, Fault::PanicAfter, Fault::Fail(StorageError::Conflict)] {
        let storage = Scripted::new();
        let keeper = keeper(&storage).await;
        let s = name("s");
        keeper.create(&s, stream()).await.unwrap();
        let waiter = waiter(&keeper, &s).await;
        storage.script(when("s", "append", fault));
        assert!(keeper.append(&s, produced("a", "p", 0, 0)).await.is_err());
        storage.calm();
        insist(&keeper, &s, produced("a", "p", 0, 0)).await;
        assert_eq!(texts(&waiter.await.unwrap().unwrap()), ["a"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiter_learns_of_a_deletion_that_a_crash_has_hidden() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    let waiter = waiter(&keeper, &s).await;
    storage.script(when("s", "delete", Fault::PanicAfter));
    assert!(keeper.delete(&s).await.is_err());
    assert_eq!(waiter.await.unwrap().unwrap_err(), ReadError::NotFound);
}

#[tokio::test(start_paused = true)]
async fn after_the_timeout_the_page_is_empty_and_tells_the_tail() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    keeper.append(&s, message("abc")).await.unwrap();
    for from in [ReadFrom::Now, ReadFrom::At(streamkeeper::Offset::new(99))] {
        let began = tokio::time::Instant::now();
        let page = keeper.read_live(&s, from, ALL, Duration::from_secs(7)).await.unwrap();
        assert_eq!(began.elapsed().as_secs(), 7);
        assert!(page.chunks.is_empty() && page.up_to_date && !page.closed);
        assert_eq!(page.next_offset.position(), 3);
    }
}
