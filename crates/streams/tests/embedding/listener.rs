//! The listener: every message once and in order, whatever happens to the stream's actor.

use std::num::NonZeroU64;
use std::time::Duration;

use futures::StreamExt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use streamkeeper::supervisor::{Backoff, StandardPolicy};
use streamkeeper::{
    CreateRequest, Limits, Listener, ListenerStatus, Offset, ReadError, ReadFrom, Retention,
    Streamkeeper, Unavailable, Update,
};
use tokio::time::timeout;

use crate::kit::*;

use ListenerStatus::{Connecting, Disconnected, Idle, Streaming};

/// The updates until none comes for a moment. With paused time only.
async fn updates(listener: &mut Listener) -> Vec<Update> {
    let mut updates = Vec::new();
    while let Ok(Some(update)) = timeout(Duration::from_millis(1), listener.next()).await {
        updates.push(update);
    }
    updates
}

/// The messages among updates.
fn data(updates: &[Update]) -> String {
    let messages = updates.iter().filter_map(|update| match update {
        Update::Data(messages) => Some(messages),
        _ => None,
    });
    messages.flatten().map(|message| message.text()).collect()
}

#[tokio::test(start_paused = true)]
async fn it_tells_what_there_is_what_comes_and_the_end() {
    let keeper = keeper(&Scripted::new()).await;
    let s = name("s");
    keeper.create(&s, CreateRequest::text().body("a")).await.unwrap();
    let mut listener = keeper.listener();
    assert_eq!((listener.status(), listener.stream(), listener.offset()), (Idle, None, None));
    assert_eq!(listener.next().await, None, "it listens to nothing");

    listener.listen(&s, ReadFrom::Start);
    assert_eq!(listener.status(), Connecting);
    let told = updates(&mut listener).await;
    assert_eq!(told[..2], [Update::Status(Connecting), Update::Status(Streaming)]);
    assert_eq!(data(&told), "a");
    assert_eq!((listener.status(), listener.stream()), (Streaming, Some(&s)));
    assert_eq!(listener.offset(), Some(Offset::new(1)));

    keeper.append(&s, message("b")).await.unwrap();
    assert_eq!(data(&updates(&mut listener).await), "b");
    keeper.append(&s, message("c").and_close()).await.unwrap();
    let told = updates(&mut listener).await;
    assert_eq!(data(&told), "c");
    assert_eq!(told.last(), Some(&Update::Complete));
    assert_eq!((listener.status(), listener.offset()), (Idle, Some(Offset::new(3))));
    assert_eq!(listener.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn from_now_on_it_tells_only_what_comes() {
    let keeper = keeper(&Scripted::new()).await;
    let s = name("s");
    keeper.create(&s, CreateRequest::text().body("before")).await.unwrap();
    let mut listener = keeper.listener();
    listener.listen(&s, ReadFrom::Now);
    assert_eq!(data(&updates(&mut listener).await), "");
    assert_eq!(listener.offset(), Some(Offset::new(6)));
    keeper.append(&s, message("x")).await.unwrap();
    assert_eq!(data(&updates(&mut listener).await), "x");
    keeper.close(&s).await.unwrap();
    assert_eq!(updates(&mut listener).await, [Update::Complete]);
}

#[tokio::test(start_paused = true)]
async fn it_stops_goes_on_and_forgets() {
    let keeper = keeper(&Scripted::new()).await;
    let (s, other) = (name("s"), name("other"));
    keeper.create(&s, CreateRequest::text().body("a")).await.unwrap();
    keeper.create(&other, CreateRequest::text().body("o")).await.unwrap();
    let mut listener = keeper.listener();
    listener.listen(&s, ReadFrom::Start);
    assert_eq!(data(&updates(&mut listener).await), "a");
    listener.stop();
    keeper.append(&s, message("b")).await.unwrap();
    assert_eq!(updates(&mut listener).await, [Update::Status(Idle)]);
    assert_eq!((listener.stream(), listener.offset()), (Some(&s), Some(Offset::new(1))));

    listener.listen(&s, ReadFrom::At(listener.offset().unwrap()));
    assert_eq!(data(&updates(&mut listener).await), "b");
    listener.listen(&other, ReadFrom::Start);
    assert_eq!(data(&updates(&mut listener).await), "o");
    assert_eq!(listener.stream(), Some(&other));

    listener.reset();
    assert_eq!((listener.status(), listener.stream(), listener.offset()), (Idle, None, None));
    assert_eq!(updates(&mut listener).await, [Update::Status(Idle)]);
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_there_is_nothing_to_follow() {
    let keeper = keeper(&Scripted::new()).await;
    let s = name("s");
    let mut listener = keeper.listener();
    listener.listen(&s, ReadFrom::Start);
    let told = updates(&mut listener).await;
    assert_eq!(told, [Update::Status(Connecting), Update::Error(ReadError::NotFound)]);
    assert_eq!(listener.status(), Idle);

    keeper.create(&s, stream()).await.unwrap();
    listener.listen(&s, ReadFrom::Start);
    updates(&mut listener).await;
    keeper.delete(&s).await.unwrap();
    assert_eq!(updates(&mut listener).await, [Update::Error(ReadError::NotFound)]);

    // Another life under the old name is another stream.
    keeper.create(&s, stream()).await.unwrap();
    keeper.create(&name("fork"), fork_of(&s)).await.unwrap();
    listener.listen(&s, ReadFrom::Start);
    updates(&mut listener).await;
    keeper.delete(&s).await.unwrap();
    assert_eq!(updates(&mut listener).await, [Update::Error(ReadError::Gone)]);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_system_is_told() {
    let keeper = keeper(&Scripted::new()).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    let mut listener = keeper.listener();
    listener.listen(&s, ReadFrom::Start);
    updates(&mut listener).await;
    keeper.shutdown(Duration::from_secs(5)).await;
    let last = [Update::Error(ReadError::Unavailable(Unavailable::ShuttingDown))];
    assert_eq!(updates(&mut listener).await, last);
}

#[tokio::test(start_paused = true)]
async fn while_the_stream_is_kept_down_it_tells_what_is_durable_and_tries_again() {
    let storage = Scripted::new();
    let none = StandardPolicy::transient().intensity(0, Duration::from_secs(60));
    let builder = Streamkeeper::builder().storage(storage.clone()).policy(none);
    let keeper = builder.start().await.unwrap();
    let s = name("s");
    keeper.create(&s, CreateRequest::text().body("a")).await.unwrap();
    let mut listener = keeper.listener();
    listener.listen(&s, ReadFrom::Start);
    assert_eq!(data(&updates(&mut listener).await), "a");

    storage.script(|_| Fault::PanicAfter);
    assert!(keeper.append(&s, message("b")).await.is_err());
    storage.calm();
    let told = updates(&mut listener).await;
    assert_eq!(data(&told), "b", "it was durable when the stream crashed");
    assert_eq!(told.first(), Some(&Update::Status(Disconnected)));
    let mut second = keeper.listener();
    second.listen(&s, ReadFrom::Start);
    assert_eq!(data(&updates(&mut second).await), "ab");

    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(updates(&mut listener).await, [], "it is told of a status once");
    keeper.lift_quarantine(&s).await.unwrap();
    keeper.append(&s, message("c")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let told = updates(&mut listener).await;
    assert_eq!(told.first(), Some(&Update::Status(Streaming)));
    assert_eq!(data(&told), "c");
}

#[tokio::test(start_paused = true)]
async fn it_goes_on_behind_a_dormant_stream() {
    let limits = Limits { dormant_after: Duration::from_secs(4), ..Limits::default() };
    let keeper = Streamkeeper::builder().limits(limits).start().await.unwrap();
    let s = name("s");
    keeper.create(&s, CreateRequest::text().body("a")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(keeper.streams(None, 10).streams, [], "it sleeps");
    let mut listener = keeper.listener();
    listener.listen(&s, ReadFrom::Start);
    assert_eq!(data(&updates(&mut listener).await), "a");
    tokio::time::sleep(Duration::from_secs(60)).await;
    keeper.append(&s, message("b")).await.unwrap();
    assert_eq!(data(&updates(&mut listener).await), "b");
}

/// A stream that crashes over and over, before and after what it was told is durable.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_storm_of_crashes_neither_loses_nor_repeats_a_message() {
    let storage = Scripted::new();
    let mut rng = StdRng::seed_from_u64(7);
    storage.script(move |_| match rng.random_range(0..10) {
        0 => Fault::Panic,
        1 => Fault::PanicAfter,
        2 => Fault::Slow,
        _ => Fault::None,
    });
    let policy = StandardPolicy::transient().intensity(1_000_000, Duration::from_secs(60));
    let policy = policy.backoff(Backoff::NONE);
    let builder = Streamkeeper::builder().storage(storage.clone()).policy(policy).seed(7);
    let keeper = builder.start().await.unwrap();
    let s = name("s");
    while keeper.create(&s, stream()).await.is_err() {}
    let readers: Vec<_> = (0..20)
        .map(|i| {
            let mut listener = keeper.listener().page_bytes(1 << (i % 10));
            listener.listen(&s, ReadFrom::Start);
            tokio::spawn(async move {
                let mut said = String::new();
                let mut offset = Offset::default();
                loop {
                    match listener.next().await {
                        Some(Update::Data(messages)) => {
                            for message in messages {
                                assert_eq!(message.start, offset, "a gap, or a repetition");
                                offset = message.offset;
                                said.push_str(&message.text());
                            }
                            assert_eq!(listener.offset(), Some(offset));
                        }
                        Some(Update::Status(_)) => {}
                        Some(Update::Complete) => return said,
                        other => panic!("{other:?}"),
                    }
                }
            })
        })
        .collect();
    let mut expected = String::new();
    for i in 0..300 {
        let text = format!("{i};");
        expected.push_str(&text);
        insist(&keeper, &s, produced(text, "p", 0, i)).await;
    }
    storage.calm();
    insist(&keeper, &s, closing()).await;
    for reader in readers {
        let said = timeout(Duration::from_secs(60), reader).await.unwrap().unwrap();
        assert_eq!(said, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn what_retention_has_dropped_ends_it() {
    let keeper = keeper(&Scripted::new()).await;
    let s = name("s");
    let retention = Retention { max_messages: NonZeroU64::new(1), ..Default::default() };
    let request = CreateRequest::text().retention(retention);
    keeper.create(&s, request).await.unwrap();
    for text in ["a", "b", "c"] {
        keeper.append(&s, message(text)).await.unwrap();
    }
    keeper.retention().check_now().await.unwrap();
    settle().await;
    let earliest = keeper.metadata(&s).await.unwrap().earliest_offset;
    assert!(earliest.position() > 0, "something was dropped");

    let mut listener = keeper.listener();
    listener.listen(&s, ReadFrom::At(Offset::new(0)));
    let told = updates(&mut listener).await;
    assert!(
        matches!(&told[1], Update::Error(ReadError::Trimmed(trimmed)) if trimmed.earliest == earliest),
        "{told:?}"
    );
    listener.listen(&s, ReadFrom::Start);
    assert_eq!(data(&updates(&mut listener).await), "c");
}
