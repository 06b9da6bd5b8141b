//! Subscriptions: a stream from an offset to its end, page by page, at the reader's own pace.

use std::time::Duration;

use streamkeeper::{Offset, ReadError, ReadFrom, Subscription};

use crate::kit::*;

/// The messages that come until the stream ends, or fails.
async fn rest(subscription: &mut Subscription) -> Result<String, ReadError> {
    let mut all = String::new();
    while let Some(page) = subscription.next().await? {
        all.push_str(&texts(&page).concat());
    }
    Ok(all)
}

#[tokio::test(start_paused = true)]
async fn the_first_page_comes_at_once() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    keeper.append(&s, message("abc")).await.unwrap();
    for (from, begin, expected) in [
        (ReadFrom::Start, 0, "abc"),
        (ReadFrom::Now, 3, ""),
        (ReadFrom::At(Offset::new(1)), 0, "abc"),
        (ReadFrom::At(Offset::new(3)), 3, ""),
        (ReadFrom::At(Offset::new(99)), 3, ""),
    ] {
        let mut subscription = keeper.subscribe(&s, from, ALL).await.unwrap();
        assert_eq!(subscription.next_offset().position(), begin);
        let page = subscription.next().await.unwrap().unwrap();
        assert_eq!((texts(&page).concat().as_str(), page.up_to_date), (expected, true));
        assert_eq!(subscription.next_offset().position(), 3);
    }
    let absent = keeper.subscribe(&name("absent"), ReadFrom::Now, ALL).await;
    assert_eq!(absent.unwrap_err(), ReadError::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_slow_subscriber_catches_up_and_ends_with_all_data() {
    let storage = Scripted::new();
    let limits = streamkeeper::Limits { recent_bytes_per_stream: 10, ..Default::default() };
    let builder = streamkeeper::Streamkeeper::builder().storage(storage.clone()).limits(limits);
    let keeper = builder.start().await.unwrap();
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    let mut small = keeper.subscribe(&s, ReadFrom::Start, 3).await.unwrap();
    let mut large = keeper.subscribe(&s, ReadFrom::Start, ALL).await.unwrap();
    let mut expected = String::new();
    for i in 0..500 {
        let body = format!("{i};");
        expected.push_str(&body);
        keeper.append(&s, message(body)).await.unwrap();
    }
    let request = streamkeeper::AppendRequest { close: true, ..message("last") };
    keeper.append(&s, request).await.unwrap();
    expected.push_str("last");
    assert_eq!(rest(&mut small).await.unwrap(), expected);
    assert_eq!(rest(&mut large).await.unwrap(), expected);
    for subscription in [&mut small, &mut large] {
        assert!(subscription.next().await.unwrap().is_none(), "it stays ended");
    }
}

#[tokio::test(start_paused = true)]
async fn a_mere_closing_is_told_and_ends_it() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    let mut subscription = keeper.subscribe(&s, ReadFrom::Now, ALL).await.unwrap();
    assert!(!subscription.next().await.unwrap().unwrap().closed);
    keeper.append(&s, closing()).await.unwrap();
    let last = subscription.next().await.unwrap().unwrap();
    assert!(last.closed && last.chunks.is_empty());
    assert!(subscription.next().await.unwrap().is_none());
    // And one that comes later sees it in its first page.
    let mut late = keeper.subscribe(&s, ReadFrom::Now, ALL).await.unwrap();
    assert!(late.next().await.unwrap().unwrap().closed);
    assert!(late.next().await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_deletion_fails_it() {
    for (forked, expected) in [(false, ReadError::NotFound), (true, ReadError::Gone)] {
        let storage = Scripted::new();
        let keeper = keeper(&storage).await;
        let s = name("s");
        keeper.create(&s, stream()).await.unwrap();
        if forked {
            keeper.create(&name("fork"), fork_of(&s)).await.unwrap();
        }
        let mut waiting = keeper.subscribe(&s, ReadFrom::Now, ALL).await.unwrap();
        let mut late = keeper.subscribe(&s, ReadFrom::Now, ALL).await.unwrap();
        waiting.next().await.unwrap();
        late.next().await.unwrap();
        let waiting = tokio::spawn(async move { waiting.next().await });
        settle().await;
        keeper.delete(&s).await.unwrap();
        assert_eq!(waiting.await.unwrap().unwrap_err(), expected);
        // Long after, when there is no actor any more.
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(late.next().await.unwrap_err(), expected);
        assert_eq!(late.next().await.unwrap_err(), expected, "and again");
    }
}

#[tokio::test(start_paused = true)]
async fn another_life_of_the_name_is_not_followed() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    keeper.append(&s, message("old")).await.unwrap();
    let mut subscription = keeper.subscribe(&s, ReadFrom::Start, ALL).await.unwrap();
    assert_eq!(texts(&subscription.next().await.unwrap().unwrap()), ["old"]);
    keeper.delete(&s).await.unwrap();
    keeper.create(&s, stream()).await.unwrap();
    keeper.append(&s, message("another's")).await.unwrap();
    for _ in 0..2 {
        assert_eq!(subscription.next().await.unwrap_err(), ReadError::NotFound);
    }
    let mut new = keeper.subscribe(&s, ReadFrom::Start, ALL).await.unwrap();
    assert_eq!(texts(&new.next().await.unwrap().unwrap()), ["another's"]);
}

#[tokio::test(start_paused = true)]
async fn it_is_cancel_safe() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    let mut subscription = keeper.subscribe(&s, ReadFrom::Start, ALL).await.unwrap();
    let mut all = String::new();
    let mut expected = String::new();
    for i in 0..100 {
        let body = format!("{i};");
        expected.push_str(&body);
        let mut appending = std::pin::pin!(append(&keeper, &s, message(body)));
        let mut appended = false;
        while !appended || all.len() < expected.len() {
            // Whichever is ready first; the other's future is dropped or goes on.
            tokio::select! {
                biased;
                answer = &mut appending, if !appended => { answer.unwrap(); appended = true; }
                page = subscription.next() => {
                    all.push_str(&texts(&page.unwrap().unwrap()).concat());
                }
            }
        }
    }
    assert_eq!(all, expected);
}

/// Live reads end while their readers come, wait and read: none may miss it, and none is answered late.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_subscriber_misses_that_live_reads_end() {
    for _ in 0..50 {
        let storage = Scripted::new();
        let keeper = keeper(&storage).await;
        let s = name("s");
        keeper.create(&s, stream()).await.unwrap();
        let mut readers = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let (keeper, s) = (keeper.clone(), s.clone());
            readers.spawn(async move {
                let mut subscription = keeper.subscribe(&s, ReadFrom::Start, ALL).await.unwrap();
                rest(&mut subscription).await
            });
        }
        keeper.append(&s, message("abc")).await.unwrap();
        keeper.end_live_reads();
        let all = tokio::time::timeout(Duration::from_secs(30), readers.join_all()).await;
        let all = all.expect("every subscriber ends");
        assert!(all.iter().all(|told| matches!(told.as_deref(), Ok("" | "abc"))), "{all:?}");
    }
}
