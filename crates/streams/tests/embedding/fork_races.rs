//! Forks race the deletion of their source: whoever got a fork has its data, and nothing is leaked.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use streamkeeper::supervisor::{Backoff, StandardPolicy};
use streamkeeper::{AppendError, CreateRequest, DeleteError, ReadError, StreamName, Streamkeeper};
use tokio::sync::Barrier;

use crate::kit::*;

const FORKERS: usize = 6;

async fn one_round(storage: &Arc<Scripted>, keeper: &Streamkeeper, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let source = name(&format!("{seed}/source"));
    let request = CreateRequest { body: "inherited;".into(), ..stream() };
    keeper.create(&source, request).await.unwrap();

    // Some fork the source, some the first fork, and two delete; all at once, or nearly so.
    let barrier = Arc::new(Barrier::new(FORKERS + 2));
    let mut pauses = || rng.random_range(0..6);
    let mut forkers = Vec::new();
    for i in 0..FORKERS {
        let fork = name(&format!("{seed}/{i}"));
        let of = if i < 4 { source.clone() } else { name(&format!("{seed}/0")) };
        let (keeper, barrier, pauses) = (keeper.clone(), barrier.clone(), pauses());
        forkers.push(tokio::spawn(async move {
            barrier.wait().await;
            pause(pauses).await;
            let created = keeper.create(&fork, fork_of(&of)).await;
            (fork, created.is_ok_and(|created| created.fresh))
        }));
    }
    let mut deleters = Vec::new();
    for victim in [source.clone(), name(&format!("{seed}/0"))] {
        let (keeper, barrier, pauses) = (keeper.clone(), barrier.clone(), pauses());
        deleters.push(tokio::spawn(async move {
            barrier.wait().await;
            pause(pauses).await;
            keeper.delete(&victim).await.is_ok()
        }));
    }
    let deleted = [deleters.remove(0).await.unwrap(), deleters.remove(0).await.unwrap()];
    assert!(deleted[0], "the source was there");
    let mut answers = Vec::new();
    for forker in forkers {
        answers.push(forker.await.unwrap());
    }
    let mut forks: Vec<StreamName> = Vec::new();
    for (fork, created) in answers {
        let first = fork.as_str().ends_with("/0");
        if created && !(first && deleted[1]) {
            let read = read_all(keeper, &fork, 3).await;
            assert_eq!(read.as_deref(), Ok("inherited;"), "seed {seed}: {fork} lost its source");
            keeper.append(&fork, message("own")).await.unwrap();
            assert_eq!(contents(keeper, &fork).await, "inherited;own");
            forks.push(fork);
        }
    }
    for fork in &forks {
        keeper.delete(fork).await.unwrap();
    }
    eventually("every reference is let go of", async || {
        let mut names = (0..FORKERS).map(|i| name(&format!("{seed}/{i}"))).chain([source.clone()]);
        names.all(|s| storage.state(&s).is_none())
    })
    .await;
}

async fn pause(yields: u32) {
    for _ in 0..yields {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_a_quick_storage() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    for seed in 0..300 {
        one_round(&storage, &keeper, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_a_slow_storage() {
    let storage = Scripted::new();
    let mut rng = StdRng::seed_from_u64(7);
    storage.script(move |_| if rng.random() { Fault::Slow } else { Fault::None });
    let keeper = keeper(&storage).await;
    for seed in 0..60 {
        one_round(&storage, &keeper, seed).await;
    }
}

/// Deletes, over and over while the stream is being restarted.
async fn insist_on_deleting(keeper: &Streamkeeper, s: &StreamName) {
    while let Err(DeleteError::Unavailable(_)) = keeper.delete(s).await {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until the stream's actor is up, if there is a stream. A reader does not: what nobody was told of
/// may be hidden from it until the actor that crashed is started again.
async fn settle_down(keeper: &Streamkeeper, s: &StreamName) {
    while let Err(AppendError::Unavailable(_)) = keeper.append(s, message("")).await {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Reads, over and over while the stream is being restarted.
async fn insist_on_reading(keeper: &Streamkeeper, s: &StreamName) -> Result<String, ReadError> {
    loop {
        match read_all(keeper, s, ALL).await {
            Err(ReadError::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(2)).await,
            read => return read,
        }
    }
}

/// Everything crashes now and then. A fork that is there has its data, whoever was told what; and when
/// the system has started again, nothing is held for forks that are not.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_crashes() {
    for seed in 0..40 {
        let storage = Scripted::new();
        let policy = StandardPolicy::transient()
            .intensity(1_000_000, Duration::from_secs(60))
            .backoff(Backoff::NONE);
        let builder = Streamkeeper::builder().storage(storage.clone()).policy(policy);
        let keeper = builder.start().await.unwrap();
        let source = name("source");
        let request = CreateRequest { body: "inherited;".into(), ..stream() };
        keeper.create(&source, request).await.unwrap();
        let mut rng = StdRng::seed_from_u64(seed);
        storage.script(move |_| match rng.random_range(0..12) {
            0 => Fault::Panic,
            1 => Fault::PanicAfter,
            2 | 3 => Fault::Slow,
            _ => Fault::None,
        });
        let fork = |i: usize| name(&format!("fork{i}"));
        let mut tasks = tokio::task::JoinSet::new();
        for i in 0..FORKERS {
            tasks.spawn(create(&keeper, &fork(i), fork_of(&source)));
        }
        while let Some(created) = tasks.join_next().await {
            let _ = created.unwrap();
        }
        insist_on_deleting(&keeper, &source).await;
        storage.calm();
        for i in 0..FORKERS {
            settle_down(&keeper, &fork(i)).await;
            match insist_on_reading(&keeper, &fork(i)).await {
                Ok(read) => {
                    assert_eq!(read, "inherited;", "seed {seed}");
                    insist_on_deleting(&keeper, &fork(i)).await;
                }
                Err(error) => assert_eq!(error, ReadError::NotFound, "seed {seed}: fork {i}"),
            }
        }
        keeper.shutdown(Duration::from_secs(5)).await;
        let next = crate::kit::keeper(&storage).await;
        eventually("nothing is held", async || {
            let _ = next.metadata(&source).await;
            storage.state(&source).is_none()
        })
        .await;
    }
}
