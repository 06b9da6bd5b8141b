//! Readers and the cut: a reader gets whole messages without a gap, or is told where to begin.

use std::sync::Arc;
use std::time::Duration;

use streamkeeper::{Limits, Offset, Page, ReadError, ReadFrom, StreamName, Streamkeeper};
use streamkeeper_protocol::stream::Trimmed;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::kit::*;

const HOUR: Duration = Duration::from_secs(3600);

fn at(position: u64) -> ReadFrom {
    ReadFrom::At(Offset::new(position))
}

fn trimmed(earliest: u64) -> ReadError {
    ReadError::Trimmed(Trimmed { earliest: Offset::new(earliest) })
}

/// A stream that keeps two of five messages of two bytes, in a system whose readers have but the last
/// one at hand.
async fn five_messages() -> (Arc<Scripted>, Streamkeeper, StreamName) {
    let (storage, s) = (Scripted::new(), name("s"));
    let limits = Limits { recent_bytes_per_stream: 0, ..Default::default() };
    let keeper = keeper_with(&storage, &TestClock::at(0), limits).await;
    keeper.create(&s, keeping(2)).await.unwrap();
    append_all(&keeper, &s, (0..5).map(|i| format!("{i};"))).await;
    (storage, keeper, s)
}

/// Starts a read that has taken its view and is held up before storage answers. The reads of others,
/// a worker's among them, are done at once.
async fn held_up<T: Send + 'static>(
    storage: &Scripted,
    read: impl Future<Output = T> + Send + 'static,
) -> (Arc<Semaphore>, JoinHandle<T>) {
    let gate = Arc::new(Semaphore::new(0));
    let mut first = Some(gate.clone());
    storage.script_reads(move |_| first.take().map_or(ReadFault::None, ReadFault::Wait));
    let read = tokio::spawn(read);
    settle().await;
    assert!(!read.is_finished());
    (gate, read)
}

fn read(
    keeper: &Streamkeeper,
    s: &StreamName,
    from: ReadFrom,
    max_bytes: u64,
) -> impl Future<Output = Result<Page, ReadError>> + Send + 'static {
    let (keeper, s) = (keeper.clone(), s.clone());
    async move { keeper.read(&s, from, max_bytes).await }
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_under_way_is_told_or_begins_later() {
    for (from, expected) in [
        (at(0), Err(trimmed(6))),
        (at(4), Err(trimmed(6))),
        (at(5), Err(trimmed(6))),
        (at(6), Ok((6, "3;4;"))),
        (ReadFrom::Start, Ok((6, "3;4;"))),
    ] {
        let (storage, keeper, s) = five_messages().await;
        let (gate, read) = held_up(&storage, read(&keeper, &s, from, ALL)).await;
        assert_eq!(compacted(&keeper).await.dropped_messages, 3);
        gate.add_permits(1);
        let page = read.await.unwrap();
        let page = page.map(|page| (page.start.position(), texts(&page).concat()));
        assert_eq!(page, expected.map(|(start, text)| (start, text.to_owned())), "{from:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_whose_whole_page_went_is_told() {
    let (storage, keeper, s) = five_messages().await;
    let (gate, read) = held_up(&storage, read(&keeper, &s, at(0), ALL)).await;
    append_all(&keeper, &s, ["5;".into(), "6;".into(), "7;".into()]).await;
    compacted(&keeper).await;
    gate.add_permits(1);
    // As far as its view went there is nothing; the next read tells the rest.
    assert_eq!(read.await.unwrap().unwrap_err(), trimmed(10));
    assert_eq!(keeper.read(&s, at(10), ALL).await.unwrap_err(), trimmed(12));
    assert_eq!(contents(&keeper, &s).await, "6;7;");
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_that_is_under_way_is_told() {
    let (storage, keeper, s) = five_messages().await;
    let poll = {
        let (keeper, s) = (keeper.clone(), s.clone());
        async move { keeper.read_live(&s, at(2), ALL, HOUR).await }
    };
    let (gate, poll) = held_up(&storage, poll).await;
    compacted(&keeper).await;
    gate.add_permits(1);
    assert_eq!(poll.await.unwrap().unwrap_err(), trimmed(6));
}

#[tokio::test(start_paused = true)]
async fn a_waiting_long_poll_gets_what_comes_after_a_cut() {
    let (_, keeper, s) = five_messages().await;
    let poll = {
        let (keeper, s) = (keeper.clone(), s.clone());
        tokio::spawn(async move { keeper.read_live(&s, ReadFrom::Now, ALL, HOUR).await })
    };
    settle().await;
    compacted(&keeper).await;
    settle().await;
    assert!(!poll.is_finished(), "what was dropped is no news to it");
    append_all(&keeper, &s, ["5;".into()]).await;
    assert_eq!(texts(&poll.await.unwrap().unwrap()), ["5;"]);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_fell_behind_is_told_where_to_begin() {
    for recent in [0, Limits::default().recent_bytes_per_stream] {
        let (storage, s) = (Scripted::new(), name("s"));
        let limits = Limits { recent_bytes_per_stream: recent, ..Default::default() };
        let keeper = keeper_with(&storage, &TestClock::at(0), limits).await;
        keeper.create(&s, keeping(2)).await.unwrap();
        append_all(&keeper, &s, (0..5).map(|i| format!("{i};"))).await;
        let mut behind = keeper.subscribe(&s, ReadFrom::Start, 2).await.unwrap();
        let mut ahead = keeper.subscribe(&s, ReadFrom::Now, 2).await.unwrap();
        assert_eq!(texts(&behind.next().await.unwrap().unwrap()), ["0;"]);
        assert!(ahead.next().await.unwrap().unwrap().chunks.is_empty());
        compacted(&keeper).await;
        assert_eq!(behind.next().await.unwrap_err(), trimmed(6));
        append_all(&keeper, &s, ["5;".into()]).await;
        assert_eq!(texts(&ahead.next().await.unwrap().unwrap()), ["5;"]);
        let mut again = keeper.subscribe(&s, at(6), ALL).await.unwrap();
        assert_eq!(texts(&again.next().await.unwrap().unwrap()), ["3;", "4;", "5;"]);
    }
}

/// Reads numbered messages to the end of the stream; begins anew where it is told to.
async fn follow(keeper: Streamkeeper, s: StreamName, max_bytes: u64) -> (u64, u64) {
    let (mut last, mut read, mut cuts) = (None, 0, 0);
    let mut from = ReadFrom::Start;
    'anew: loop {
        let subscription = keeper.subscribe(&s, from, max_bytes).await;
        let mut after_a_cut = true;
        let mut subscription = match subscription {
            Ok(subscription) => subscription,
            Err(ReadError::Trimmed(trimmed)) => {
                from = ReadFrom::At(trimmed.earliest);
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        loop {
            match subscription.next().await {
                Ok(None) => return (read, cuts),
                Ok(Some(page)) => {
                    for text in texts(&page) {
                        let number: u64 = text.strip_suffix(';').unwrap().parse().unwrap();
                        let follows = last.map_or(number == 0, |last| number == last + 1);
                        let later = after_a_cut && last.is_none_or(|last| number > last);
                        assert!(follows || later, "{number} after {last:?}");
                        (last, read, after_a_cut) = (Some(number), read + 1, false);
                    }
                }
                Err(ReadError::Trimmed(trimmed)) => {
                    cuts += 1;
                    from = ReadFrom::At(trimmed.earliest);
                    continue 'anew;
                }
                Err(error) => panic!("{error}"),
            }
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_see_every_message_whole_and_in_order_while_retention_works() {
    const MESSAGES: u64 = 3_000;
    let (storage, s) = (Scripted::new(), name("s"));
    let limits = Limits { recent_bytes_per_stream: 64, ..Default::default() };
    let keeper = keeper_with(&storage, &TestClock::at(0), limits).await;
    keeper.create(&s, keeping(20)).await.unwrap();
    let readers: Vec<_> = [1, 7, 100, ALL]
        .into_iter()
        .map(|max_bytes| tokio::spawn(follow(keeper.clone(), s.clone(), max_bytes)))
        .collect();
    let checks = tokio::spawn({
        let keeper = keeper.clone();
        async move {
            loop {
                compacted(&keeper).await;
                tokio::task::yield_now().await;
            }
        }
    });
    for i in 0..MESSAGES {
        keeper.append(&s, message(format!("{i};"))).await.unwrap();
    }
    keeper.append(&s, closing()).await.unwrap();
    for reader in readers {
        let (read, cuts) = reader.await.unwrap();
        assert!(read > 0 && (cuts > 0 || read <= MESSAGES));
    }
    checks.abort();
    // An aborted check is one that nobody waits for; the work goes on.
    let status = compacted(&keeper).await;
    assert_eq!((status.dropped_messages, status.failures), (MESSAGES - 20, 0));
    let rest: String = (MESSAGES - 20..MESSAGES).map(|i| format!("{i};")).collect();
    assert_eq!(contents(&keeper, &s).await, rest);
}
