//! No wake-up is lost: a writer, many readers that wait at the tail, and threads that race.

use std::time::Duration;

use streamkeeper::{ReadFrom, StreamName, Streamkeeper};

use crate::kit::*;

const WAITERS: usize = 50;
const MESSAGES: usize = 2_000;

/// Reads to the end of the stream, from its tail on each time.
async fn read_to_the_end(keeper: Streamkeeper, s: StreamName) -> (String, usize) {
    let (mut all, mut pages) = (String::new(), 0);
    let mut from = ReadFrom::Start;
    loop {
        // Longer than the test may take: a wake-up that is lost is never made up for by a timeout.
        let hour = Duration::from_secs(3600);
        let page = keeper.read_live(&s, from, ALL, hour).await.unwrap();
        assert!(page.closed || !page.chunks.is_empty());
        all.push_str(&texts(&page).concat());
        pages += 1;
        if page.closed {
            return (all, pages);
        }
        from = ReadFrom::At(page.next_offset);
    }
}

async fn no_wake_up_is_lost(slow: bool) {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    let readers: Vec<_> =
        (0..WAITERS).map(|_| tokio::spawn(read_to_the_end(keeper.clone(), s.clone()))).collect();
    if slow {
        storage.script(|_| Fault::Slow);
    }
    let mut expected = String::new();
    let mut appends = tokio::task::JoinSet::new();
    for i in 0..MESSAGES {
        let body = format!("{i};");
        expected.push_str(&body);
        if slow && i % 10 != 0 {
            // In flight together; the order among them is whatever it is.
            appends.spawn(append(&keeper, &s, message(body)));
        } else {
            keeper.append(&s, message(body)).await.unwrap();
        }
        if i % 7 == 0 {
            tokio::task::yield_now().await;
        }
    }
    while let Some(answer) = appends.join_next().await {
        answer.unwrap().unwrap();
    }
    keeper.append(&s, closing()).await.unwrap();
    let written = contents(&keeper, &s).await;
    assert_eq!(written.len(), expected.len());
    if !slow {
        assert_eq!(written, expected);
    }
    let mut pages = 0;
    for reader in readers {
        let reader = tokio::time::timeout(Duration::from_secs(60), reader).await;
        let (all, read) = reader.expect("a wake-up is lost").unwrap();
        assert_eq!(all, written);
        pages += read;
    }
    assert!(pages > 2 * WAITERS, "the readers have waited: {pages} pages");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_a_quick_storage() {
    no_wake_up_is_lost(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_a_slow_storage() {
    no_wake_up_is_lost(true).await;
}
