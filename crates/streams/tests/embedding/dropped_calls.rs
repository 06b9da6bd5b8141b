//! A client that goes away: its call is dropped at any point, and the system stays consistent.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use streamkeeper::{ReadFrom, Streamkeeper};

use crate::kit::*;

/// Polls a call so many times, as it wakes, and then drops it. Returns whether it came to its end.
async fn leave_after(polls: usize, call: impl Future) -> bool {
    let mut call = pin!(call);
    for _ in 0..polls {
        let done =
            std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_ready()));
        if done.await {
            return true;
        }
        // Others go on meanwhile.
        tokio::task::yield_now().await;
    }
    false
}

/// A stream can still be used in every way, and holds what storage holds.
async fn assert_sound(storage: &Scripted, keeper: &Streamkeeper, text: &str) {
    storage.calm();
    storage.release_all();
    tokio::time::sleep(Duration::from_secs(30)).await;
    let s = name(text);
    let all = keeper.permit(Default::default());
    assert!(all.is_ok());
    match storage.state(&s) {
        Some(state) => {
            let metadata = keeper.metadata(&s).await.unwrap();
            assert_eq!(metadata.id, state.id);
            assert_eq!(metadata.next_offset.position(), state.tail);
            keeper.append(&s, message("z")).await.unwrap();
            assert!(contents(keeper, &s).await.ends_with('z'));
            keeper.delete(&s).await.unwrap();
        }
        None => assert!(keeper.metadata(&s).await.is_err()),
    }
    eventually("the name is free", async || storage.state(&s).is_none()).await;
    assert!(keeper.create(&s, stream()).await.unwrap().fresh);
    assert_eq!(contents(keeper, &s).await, "");
}

const POLLS: usize = 30;

/// Runs a call with every number of polls, upon a storage that is quick, slow, or crashes.
async fn at_any_point<F: Future>(there: bool, call: impl Fn(Streamkeeper) -> F) {
    let mut ended = 0;
    for fault in [Fault::None, Fault::Slow, Fault::Hold, Fault::Panic] {
        for polls in 1..POLLS {
            let storage = Scripted::new();
            let keeper = keeper(&storage).await;
            keeper.create(&name("source"), stream()).await.unwrap();
            keeper.append(&name("source"), message("a")).await.unwrap();
            if there {
                keeper.create(&name("s"), stream()).await.unwrap();
            }
            let fault = fault.clone();
            storage.script(move |_| fault.clone());
            ended += usize::from(leave_after(polls, call(keeper.clone())).await);
            assert_sound(&storage, &keeper, "s").await;
            assert_sound(&storage, &keeper, "source").await;
        }
    }
    assert!((1..4 * (POLLS - 1)).contains(&ended), "some ended and some did not: {ended}");
}

#[tokio::test(start_paused = true)]
async fn a_creation() {
    at_any_point(false, |keeper| async move { keeper.create(&name("s"), stream()).await }).await;
}

#[tokio::test(start_paused = true)]
async fn a_fork() {
    at_any_point(false, |keeper| async move {
        keeper.create(&name("s"), fork_of(&name("source"))).await
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_append() {
    at_any_point(true, |keeper| async move { keeper.append(&name("s"), message("x")).await }).await;
}

#[tokio::test(start_paused = true)]
async fn a_deletion() {
    at_any_point(true, |keeper| async move { keeper.delete(&name("s")).await }).await;
}

#[tokio::test(start_paused = true)]
async fn a_delete_and_a_creation() {
    at_any_point(true, |keeper| async move {
        let _ = keeper.delete(&name("s")).await;
        keeper.create(&name("s"), stream()).await
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn reads_that_wait() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    for polls in 1..20 {
        for _ in 0..50 {
            let hour = Duration::from_secs(3600);
            let waits = keeper.read_live(&s, ReadFrom::Now, ALL, hour);
            assert!(!leave_after(polls, waits).await);
            let follows = async {
                let mut subscription = keeper.subscribe(&s, ReadFrom::Now, ALL).await.unwrap();
                loop {
                    subscription.next().await.unwrap().unwrap();
                }
            };
            assert!(!leave_after(polls, follows).await);
        }
        keeper.append(&s, message("x")).await.unwrap();
    }
    assert_eq!(contents(&keeper, &s).await, "x".repeat(19));
}
