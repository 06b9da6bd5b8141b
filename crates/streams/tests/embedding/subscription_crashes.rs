//! A subscriber gets every message once and in order, wherever the stream's actor crashes.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use streamkeeper::supervisor::{Backoff, StandardPolicy};
use streamkeeper::{ReadFrom, StreamName, Streamkeeper};
use streamkeeper_storage::StorageError;

use crate::kit::*;

const MESSAGES: u64 = 150;

/// Every tenth commit goes wrong, in one way or another.
fn trouble(seed: u64) -> impl FnMut(&streamkeeper_storage::Entry) -> Fault + Send {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut slow = false;
    move |_| {
        // Whether commits are told late changes now and then; a lost one must not overtake those.
        if rng.random_ratio(1, 20) {
            slow = !slow;
        }
        let ready = if slow { Fault::Slow } else { Fault::None };
        match rng.random_range(0..40) {
            0 => Fault::Panic,
            1 => Fault::PanicAfter,
            2 => Fault::Refuse(StorageError::Unavailable("scripted".into())),
            3 => Fault::Refuse(StorageError::Full),
            _ => ready,
        }
    }
}

async fn follow(keeper: Streamkeeper, s: StreamName, seed: u64) -> String {
    let mut rng = StdRng::seed_from_u64(seed);
    let max_bytes = if rng.random() { 16 } else { ALL };
    let mut subscription = keeper.subscribe(&s, ReadFrom::Start, max_bytes).await.unwrap();
    let mut all = String::new();
    while let Some(page) = subscription.next().await.unwrap() {
        assert_eq!(page.start.position(), all.len() as u64, "no gap and no repetition");
        all.push_str(&texts(&page).concat());
        assert_eq!(page.next_offset.position(), all.len() as u64);
        if rng.random_ratio(1, 10) {
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..5))).await;
        }
    }
    all
}

async fn every_message_comes_once(seed: u64) {
    let storage = Scripted::new();
    let policy = StandardPolicy::transient()
        .intensity(1_000_000, Duration::from_secs(60))
        .backoff(Backoff::NONE);
    let builder = Streamkeeper::builder().storage(storage.clone()).policy(policy).seed(seed);
    let keeper = builder.start().await.unwrap();
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    let followers: Vec<_> =
        (0..4).map(|i| tokio::spawn(follow(keeper.clone(), s.clone(), seed + i))).collect();
    storage.script(trouble(seed));
    let mut expected = String::new();
    for seq in 0..MESSAGES {
        let body = format!("{seq};");
        expected.push_str(&body);
        insist(&keeper, &s, produced(body, "p", 0, seq)).await;
    }
    storage.calm();
    insist(&keeper, &s, closing()).await;
    assert_eq!(contents(&keeper, &s).await, expected, "seed {seed}");
    for follower in followers {
        let all = tokio::time::timeout(Duration::from_secs(60), follower).await;
        assert_eq!(all.expect("it ends").unwrap(), expected, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn on_one_thread() {
    for seed in 0..15 {
        every_message_comes_once(seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_many_threads() {
    for seed in 100..104 {
        every_message_comes_once(seed).await;
    }
}
