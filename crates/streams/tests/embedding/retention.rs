//! Retention: what a policy lets go is dropped, soon and no more than that.

use std::num::NonZeroU64;
use std::time::Duration;

use streamkeeper::{
    CreateRequest, Limits, Offset, ReadError, ReadFrom, Retention, StreamName, Streamkeeper,
    Timestamp, Unavailable,
};
use streamkeeper_protocol::Ttl;
use streamkeeper_protocol::stream::Trimmed;

use crate::kit::*;

const SECOND: Duration = Duration::from_secs(1);

/// A policy of seconds, messages and bytes; zero is no limit.
fn policy(age: u64, messages: u64, bytes: u64) -> Retention {
    Retention {
        max_age: (age > 0).then(|| Ttl::new(age).unwrap()),
        max_messages: NonZeroU64::new(messages),
        max_bytes: NonZeroU64::new(bytes),
    }
}

fn kept_by(retention: Retention) -> CreateRequest {
    CreateRequest { retention: Some(retention), ..stream() }
}

/// Ten messages of ten bytes, one a second from second 0 on; then it is second 9.
async fn ten_seconds_of_messages(
    keeper: &Streamkeeper,
    clock: &TestClock,
    s: &StreamName,
    retention: Retention,
) {
    keeper.create(s, kept_by(retention)).await.unwrap();
    for i in 0..10 {
        clock.set(1_000 * i);
        keeper.append(s, message(format!("message-{i};"))).await.unwrap();
    }
}

async fn earliest(keeper: &Streamkeeper, s: &StreamName) -> u64 {
    keeper.metadata(s).await.unwrap().earliest_offset.position()
}

#[tokio::test(start_paused = true)]
async fn whichever_limit_comes_first() {
    for (retention, kept) in [
        (policy(5, 0, 0), 5),
        (policy(0, 3, 0), 3),
        (policy(0, 0, 35), 3),
        (policy(0, 0, 30), 3),
        (policy(0, 0, 9), 0),
        (policy(5, 7, 35), 3),
        (policy(2, 7, 35), 2),
        (policy(5, 4, 80), 4),
        (policy(10, 10, 100), 10),
        (policy(0, 0, 0), 10),
    ] {
        let (storage, clock) = (Scripted::new(), TestClock::at(0));
        let keeper = keeper_at(&storage, &clock).await;
        let s = name("s");
        ten_seconds_of_messages(&keeper, &clock, &s, retention).await;
        let status = compacted(&keeper).await;

        let first = 10 * (10 - kept);
        let metadata = keeper.metadata(&s).await.unwrap();
        let offsets = (metadata.earliest_offset.position(), metadata.next_offset.position());
        assert_eq!(offsets, (first, 100), "{retention:?}");
        let rest: String = (10 - kept..10).map(|i| format!("message-{i};")).collect();
        assert_eq!(contents(&keeper, &s).await, rest, "{retention:?}");
        let trimmed = ReadError::Trimmed(Trimmed { earliest: Offset::new(first) });
        for dropped in 0..first {
            let read = keeper.read(&s, ReadFrom::At(Offset::new(dropped)), ALL).await;
            assert_eq!(read.unwrap_err(), trimmed, "{retention:?} at {dropped}");
        }
        let page = keeper.read(&s, ReadFrom::At(Offset::new(first)), ALL).await.unwrap();
        assert_eq!(texts(&page).concat(), rest);
        assert_eq!((status.dropped_messages, status.dropped_bytes), (10 - kept, first));
        assert_eq!(status.compactions, u64::from(kept < 10));
        assert_eq!((status.failures, status.due), (0, 0));

        let next = keeper.append(&s, message("next")).await.unwrap();
        assert_eq!(next.next_offset.position(), 104, "offsets go on");
    }
}

#[tokio::test(start_paused = true)]
async fn time_alone_lets_messages_go() {
    let (storage, clock) = (Scripted::new(), TestClock::at(0));
    let keeper = keeper_at(&storage, &clock).await;
    let s = name("s");
    keeper.create(&s, kept_by(policy(60, 0, 0))).await.unwrap();
    append_all(&keeper, &s, ["old;".to_owned()]).await;
    clock.pass(40 * SECOND).await;
    append_all(&keeper, &s, ["new;".to_owned()]).await;
    assert_eq!(contents(&keeper, &s).await, "old;new;");
    // Due at second 60; the scheduler looks every 30 seconds.
    clock.pass(51 * SECOND).await;
    assert_eq!(contents(&keeper, &s).await, "new;");
    clock.pass(40 * SECOND).await;
    assert_eq!((earliest(&keeper, &s).await, contents(&keeper, &s).await), (8, String::new()));
    let status = keeper.retention().status().await.unwrap();
    assert_eq!(status.interval, 30 * SECOND);
    assert_eq!(status.last_run.map(Timestamp::as_millis), Some(131_000), "as this clock tells it");
    assert_eq!((status.compactions, status.dropped_messages), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn the_interval_is_an_option() {
    let (storage, clock) = (Scripted::new(), TestClock::at(0));
    let limits = Limits { retention_interval: 2 * SECOND, ..Default::default() };
    let keeper = keeper_with(&storage, &clock, limits).await;
    let s = name("s");
    keeper.create(&s, keeping(1)).await.unwrap();
    append_all(&keeper, &s, ["a".into(), "b".into()]).await;
    clock.pass(SECOND).await;
    assert_eq!(contents(&keeper, &s).await, "ab");
    clock.pass(2 * SECOND).await;
    assert_eq!(contents(&keeper, &s).await, "b");
    assert_eq!(keeper.retention().status().await.unwrap().interval, 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn messages_of_one_append_are_dropped_one_by_one() {
    let (storage, clock) = (Scripted::new(), TestClock::at(0));
    let keeper = keeper_at(&storage, &clock).await;
    let s = name("s");
    let retention = keeping(3).retention;
    let request = CreateRequest { content_type: json(), retention, ..Default::default() };
    keeper.create(&s, request).await.unwrap();
    let array = format!("[{}]", (0..50).map(|i| i.to_string()).collect::<Vec<_>>().join(","));
    let append = streamkeeper::AppendRequest { content_type: json(), ..message(array) };
    keeper.append(&s, append).await.unwrap();
    assert_eq!(compacted(&keeper).await.dropped_messages, 47);
    assert_eq!(contents(&keeper, &s).await, "47,48,49,");
}

#[tokio::test(start_paused = true)]
async fn many_rounds_drop_each_message_once() {
    let (storage, clock) = (Scripted::new(), TestClock::at(0));
    let keeper = keeper_at(&storage, &clock).await;
    let s = name("s");
    keeper.create(&s, kept_by(policy(0, 100, 2_000))).await.unwrap();
    let mut all = Vec::new();
    for round in 0..30 {
        for i in 0..40 {
            all.push(format!("{round}/{i};"));
            keeper.append(&s, message(all.last().unwrap())).await.unwrap();
        }
        let status = compacted(&keeper).await;
        let kept = &all[all.len().saturating_sub(100)..];
        assert_eq!(contents(&keeper, &s).await, kept.concat());
        assert_eq!(status.dropped_messages, (all.len() - kept.len()) as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn a_closed_stream_is_compacted_too() {
    let (storage, clock) = (Scripted::new(), TestClock::at(0));
    let keeper = keeper_at(&storage, &clock).await;
    let s = name("s");
    ten_seconds_of_messages(&keeper, &clock, &s, policy(5, 0, 0)).await;
    keeper.append(&s, closing()).await.unwrap();
    clock.set(60_000);
    compacted(&keeper).await;
    let page = keeper.read(&s, ReadFrom::Start, ALL).await.unwrap();
    assert!(page.closed && page.chunks.is_empty());
    assert_eq!(page.next_offset.position(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_ttl_goes_on_undisturbed() {
    let (storage, clock) = (Scripted::new(), TestClock::at(0));
    let keeper = keeper_at(&storage, &clock).await;
    let s = name("s");
    keeper.create(&s, CreateRequest { expiry: ttl(10), ..keeping(1) }).await.unwrap();
    append_all(&keeper, &s, ["a".into(), "b".into(), "c".into()]).await;
    clock.set(9_000);
    assert_eq!(compacted(&keeper).await.dropped_messages, 2);
    clock.set(9_999);
    assert_eq!(earliest(&keeper, &s).await, 2);
    clock.set(10_000);
    assert_eq!(keeper.metadata(&s).await.unwrap_err(), ReadError::NotFound);
    assert!(keeper.create(&s, keeping(1)).await.unwrap().fresh);
}

/// What has expired is not compacted: it ends, whoever finds it.
#[tokio::test(start_paused = true)]
async fn an_expired_stream_ends_instead() {
    let (storage, clock) = (Scripted::new(), TestClock::at(0));
    let keeper = keeper_at(&storage, &clock).await;
    let s = name("s");
    keeper.create(&s, CreateRequest { expiry: ttl(10), ..keeping(1) }).await.unwrap();
    append_all(&keeper, &s, ["a".into(), "b".into()]).await;
    clock.jump(11 * SECOND);
    let status = compacted(&keeper).await;
    assert_eq!((status.compactions, status.failures), (0, 0));
    settle().await;
    assert!(storage.state(&s).is_none());
    assert_eq!(compacted(&keeper).await.streams, 0);
}

#[tokio::test(start_paused = true)]
async fn the_agenda_holds_the_streams_that_have_a_policy() {
    let (storage, clock) = (Scripted::new(), TestClock::at(0));
    let keeper = keeper_at(&storage, &clock).await;
    let (a, b, c) = (name("a"), name("b"), name("c"));
    let streams = async || keeper.retention().status().await.unwrap().streams;
    keeper.create(&a, keeping(5)).await.unwrap();
    keeper.create(&b, stream()).await.unwrap();
    keeper.create(&c, keeping(5)).await.unwrap();
    assert_eq!(streams().await, 2);
    keeper.delete(&a).await.unwrap();
    assert_eq!(streams().await, 1);
    keeper.create(&a, stream()).await.unwrap();
    assert_eq!(streams().await, 1, "another life has another policy");
    keeper.delete(&c).await.unwrap();
    keeper.create(&c, keeping(1)).await.unwrap();
    append_all(&keeper, &c, ["x".into(), "y".into()]).await;
    assert_eq!(compacted(&keeper).await.dropped_messages, 1);
    assert_eq!(streams().await, 1);
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_policies_go_on() {
    let (storage, clock) = (Scripted::new(), TestClock::at(0));
    let keeper = keeper_at(&storage, &clock).await;
    let (aging, counted, asleep, free) = (name("aging"), name("counted"), name("x"), name("free"));
    keeper.create(&aging, kept_by(policy(60, 0, 0))).await.unwrap();
    keeper.create(&counted, keeping(1)).await.unwrap();
    keeper.create(&asleep, kept_by(policy(3600, 0, 0))).await.unwrap();
    keeper.create(&free, stream()).await.unwrap();
    for s in [&aging, &counted, &asleep, &free] {
        append_all(&keeper, s, ["old;".into(), "new;".into()]).await;
    }
    keeper.shutdown(SECOND).await;

    let keeper = keeper_at(&storage, &clock).await;
    let retention = keeper.retention();
    let streams = async || retention.status().await.unwrap().streams == 3;
    eventually("the agenda is refilled", streams).await;
    let loads = |s: &StreamName| storage.loads(s);
    let before = [&aging, &counted, &asleep, &free].map(loads);
    clock.pass(31 * SECOND).await;
    let after = [&aging, &counted, &asleep, &free].map(loads);
    let opened: Vec<u64> = after.iter().zip(before).map(|(after, before)| after - before).collect();
    assert_eq!(opened, [0, 1, 0, 0], "only the one that is due is opened");
    clock.pass(60 * SECOND).await;
    assert_eq!(loads(&asleep), before[2]);
    assert_eq!(contents(&keeper, &counted).await, "new;");
    assert_eq!(contents(&keeper, &aging).await, "");
    assert_eq!(contents(&keeper, &asleep).await, "old;new;");
    assert_eq!(contents(&keeper, &free).await, "old;new;");
}

#[tokio::test(start_paused = true)]
async fn after_the_shutdown_the_scheduler_says_so() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let retention = keeper.retention();
    keeper.shutdown(SECOND).await;
    assert_eq!(retention.check_now().await, Err(Unavailable::ShuttingDown));
    assert_eq!(retention.status().await.unwrap_err(), Unavailable::ShuttingDown);
}
