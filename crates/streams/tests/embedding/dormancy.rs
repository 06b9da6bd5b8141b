//! Dormancy: an idle stream gives up its actor, and nobody can tell.

use std::sync::Arc;
use std::time::Duration;

use streamkeeper::storage::StorageError;
use streamkeeper::supervisor::StandardPolicy;
use streamkeeper::{
    AppendRequest, Clock, CreateRequest, Limits, ReadError, ReadFrom, Streamkeeper, Timestamp,
};
use tokio::time::sleep;

use crate::kit::*;

const SECOND: Duration = Duration::from_secs(1);

/// A clock that tokio's paused time moves, so that timers and deadlines agree.
struct Tokio(tokio::time::Instant);

impl Clock for Tokio {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(i64::try_from(self.0.elapsed().as_millis()).unwrap())
    }
}

async fn drowsy(storage: &Arc<Scripted>) -> Streamkeeper {
    with_limits(storage, Limits { dormant_after: 8 * SECOND, ..Default::default() }).await
}

async fn with_limits(storage: &Arc<Scripted>, limits: Limits) -> Streamkeeper {
    let clock = Tokio(tokio::time::Instant::now());
    let builder = Streamkeeper::builder().storage(storage.clone()).clock(clock).limits(limits);
    builder.seed(7).start().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_idle_stream_sleeps_and_wakes_as_it_was() {
    let storage = Scripted::new();
    let keeper = drowsy(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    keeper.append(&s, produced("a", "p", 3, 0)).await.unwrap();
    let loads = storage.loads(&s);
    sleep(20 * SECOND).await;
    assert_eq!(storage.loads(&s), loads, "nobody wakes it");
    let again = keeper.append(&s, produced("a", "p", 3, 0)).await.unwrap();
    assert_eq!(again.outcome, streamkeeper::Outcome::Duplicate);
    assert_eq!(storage.loads(&s), loads + 1, "it was asleep");
    keeper.append(&s, produced("b", "p", 3, 1)).await.unwrap();
    assert_eq!(contents(&keeper, &s).await, "ab");
}

#[tokio::test(start_paused = true)]
async fn a_stream_in_use_stays_awake() {
    let storage = Scripted::new();
    let keeper = drowsy(&storage).await;
    let (written, read, waited, followed) = (name("w"), name("r"), name("p"), name("f"));
    for s in [&written, &read, &waited, &followed] {
        keeper.create(s, stream()).await.unwrap();
    }
    let loads = |s| storage.loads(s);
    let before = [loads(&written), loads(&read), loads(&waited), loads(&followed)];
    let poll = tokio::spawn({
        let (keeper, s) = (keeper.clone(), waited.clone());
        async move { keeper.read_live(&s, ReadFrom::Start, ALL, 100 * SECOND).await }
    });
    let mut following = keeper.subscribe(&followed, ReadFrom::Start, ALL).await.unwrap();
    for _ in 0..40 {
        sleep(SECOND).await;
        keeper.append(&written, message("x")).await.unwrap();
        keeper.read(&read, ReadFrom::Start, ALL).await.unwrap();
    }
    keeper.append(&waited, message("news")).await.unwrap();
    assert_eq!(texts(&poll.await.unwrap().unwrap()), ["news"]);
    assert!(following.next().await.unwrap().unwrap().chunks.is_empty());
    keeper.append(&followed, message("news")).await.unwrap();
    assert_eq!(texts(&following.next().await.unwrap().unwrap()), ["news"]);
    assert_eq!(before, [loads(&written), loads(&read), loads(&waited), loads(&followed)]);
}

#[tokio::test(start_paused = true)]
async fn a_dormant_stream_expires_on_time_and_lets_go_of_its_space() {
    let storage = Scripted::new();
    let keeper = drowsy(&storage).await;
    let s = name("s");
    keeper.create(&s, CreateRequest { expiry: ttl(60), ..stream() }).await.unwrap();
    sleep(50 * SECOND).await;
    keeper.read(&s, ReadFrom::Start, ALL).await.unwrap();
    sleep(59 * SECOND).await;
    assert!(storage.state(&s).is_some(), "the read has moved its deadline");
    sleep(3 * SECOND).await;
    assert!(storage.state(&s).is_none(), "it has ended though nobody looked");
    assert_eq!(keeper.metadata(&s).await.unwrap_err(), ReadError::NotFound);
}

#[tokio::test(start_paused = true)]
async fn to_look_at_a_stream_that_was_dormant_does_not_prolong_its_life() {
    let storage = Scripted::new();
    let keeper = drowsy(&storage).await;
    let s = name("s");
    keeper.create(&s, CreateRequest { expiry: ttl(100), ..stream() }).await.unwrap();
    for _ in 0..4 {
        sleep(24 * SECOND).await;
        keeper.metadata(&s).await.unwrap();
    }
    sleep(4 * SECOND).await;
    assert_eq!(keeper.metadata(&s).await.unwrap_err(), ReadError::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_system_that_begins_knows_the_deadlines_of_dormant_streams() {
    let storage = Scripted::new();
    let keeper = drowsy(&storage).await;
    let (s, kept) = (name("s"), name("kept"));
    keeper.create(&s, CreateRequest { expiry: ttl(60), ..stream() }).await.unwrap();
    keeper.create(&kept, stream()).await.unwrap();
    keeper.shutdown(SECOND).await;
    // Its clock begins at zero again; the stream was used at zero, too.
    let keeper = drowsy(&storage).await;
    sleep(50 * SECOND).await;
    assert!(storage.state(&s).is_some());
    // A restart adds what might not have been recorded: two tenths of the TTL at most.
    sleep(24 * SECOND).await;
    assert!(storage.state(&s).is_none());
    assert!(storage.state(&kept).is_some());
    drop(keeper);
}

/// A policy may keep a stream down after a crash; its time comes all the same.
#[tokio::test(start_paused = true)]
async fn a_stream_that_its_policy_keeps_down_expires() {
    let storage = Scripted::new();
    let clock = Tokio(tokio::time::Instant::now());
    let builder = Streamkeeper::builder().storage(storage.clone()).clock(clock);
    let keeper = builder.policy(StandardPolicy::temporary()).start().await.unwrap();
    let s = name("s");
    keeper.create(&s, CreateRequest { expiry: ttl(60), ..stream() }).await.unwrap();
    storage.script(|_| Fault::Fail(StorageError::Unavailable("gone".into())));
    assert!(keeper.append(&s, message("x")).await.is_err());
    storage.calm();
    sleep(80 * SECOND).await;
    assert!(storage.state(&s).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_dormant_fork_that_expires_lets_go_of_its_source() {
    let storage = Scripted::new();
    let keeper = drowsy(&storage).await;
    let (source, fork) = (name("source"), name("fork"));
    keeper.create(&source, stream()).await.unwrap();
    keeper.create(&fork, CreateRequest { expiry: ttl(60), ..fork_of(&source) }).await.unwrap();
    keeper.delete(&source).await.unwrap();
    sleep(40 * SECOND).await;
    assert!(storage.state(&source).is_some_and(|state| state.soft_deleted));
    sleep(25 * SECOND).await;
    assert!(storage.state(&fork).is_none());
    assert!(storage.state(&source).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_created_anew_has_its_own_deadline() {
    let storage = Scripted::new();
    let keeper = drowsy(&storage).await;
    let s = name("s");
    keeper.create(&s, CreateRequest { expiry: ttl(30), ..stream() }).await.unwrap();
    sleep(20 * SECOND).await;
    keeper.delete(&s).await.unwrap();
    keeper.create(&s, CreateRequest { expiry: ttl(300), ..stream() }).await.unwrap();
    sleep(200 * SECOND).await;
    assert!(storage.state(&s).is_some());
    sleep(101 * SECOND).await;
    assert!(storage.state(&s).is_none());
}

/// Every acknowledged append is there once, whatever the stream did in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn falling_asleep_races_with_everything() {
    let storage = Scripted::new();
    let limits =
        Limits { dormant_after: Duration::from_millis(4), awake_streams: 8, ..Default::default() };
    let keeper = with_limits(&storage, limits).await;
    let mut writers = Vec::new();
    for writer in 0..32_u64 {
        let keeper = keeper.clone();
        writers.push(tokio::spawn(async move {
            let s = name(&format!("s/{}", writer / 2));
            keeper.create(&s, stream()).await.unwrap();
            for i in 0..150 {
                let body = format!("{writer}:{i};");
                let append =
                    AppendRequest { content_type: text(), body: body.into(), ..Default::default() };
                keeper.append(&s, append).await.unwrap();
                if i % 3 == 0 {
                    keeper.read(&s, ReadFrom::Start, 64).await.unwrap();
                }
                if i % 10 == writer % 10 {
                    sleep(Duration::from_millis(6)).await;
                }
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    for s in 0..16_u64 {
        let all = contents(&keeper, &name(&format!("s/{s}"))).await;
        for writer in [2 * s, 2 * s + 1] {
            let prefix = format!("{writer}:");
            let own: Vec<&str> = all.split(';').filter(|text| text.starts_with(&prefix)).collect();
            let expected: Vec<String> = (0..150).map(|i| format!("{writer}:{i}")).collect();
            assert_eq!(own, expected);
        }
    }
    let loads: u64 = (0..16).map(|s| storage.loads(&name(&format!("s/{s}")))).sum();
    assert!(loads > 100, "they slept: {loads}");
}

/// Subscribers and long-polls of streams that fall asleep between messages miss none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_readers_miss_nothing_of_a_drowsy_stream() {
    let storage = Scripted::new();
    let limits = Limits { dormant_after: Duration::from_millis(4), ..Default::default() };
    let keeper = with_limits(&storage, limits).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    let poller = tokio::spawn({
        let (keeper, s) = (keeper.clone(), s.clone());
        async move {
            let (mut from, mut read) = (ReadFrom::Start, Vec::new());
            while read.len() < 60 {
                let page = keeper.read_live(&s, from, ALL, Duration::from_millis(9)).await.unwrap();
                read.extend(texts(&page));
                from = ReadFrom::At(page.next_offset);
                sleep(Duration::from_millis(7)).await;
            }
            read
        }
    });
    for i in 0..60 {
        keeper.append(&s, message(format!("{i};"))).await.unwrap();
        sleep(Duration::from_millis(if i % 4 == 0 { 12 } else { 1 })).await;
    }
    let read = poller.await.unwrap().concat();
    assert_eq!(read, (0..60).map(|i| format!("{i};")).collect::<String>());
}

#[tokio::test(start_paused = true)]
async fn a_crowd_goes_dormant_without_being_idle_for_long() {
    let storage = Scripted::new();
    let limits = Limits { dormant_after: 3600 * SECOND, awake_streams: 100, ..Default::default() };
    let keeper = with_limits(&storage, limits).await;
    let names: Vec<_> = (0..1000).map(|i| name(&format!("s/{i}"))).collect();
    for s in &names {
        keeper.create(s, stream()).await.unwrap();
        sleep(Duration::from_millis(2)).await;
    }
    let before: Vec<u64> = names.iter().map(|s| storage.loads(s)).collect();
    for s in &names {
        keeper.metadata(s).await.unwrap();
    }
    let woken = names.iter().zip(before).filter(|(s, before)| storage.loads(s) > *before).count();
    assert!(woken >= 850, "only {woken} of 1000 were dormant");
}
