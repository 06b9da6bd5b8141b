//! Racing calls for one name: one creation wins, and racing openers share one start.

use std::sync::Arc;

use streamkeeper::{CreateRequest, Expiry, ReadFrom, Streamkeeper};
use tokio::sync::Barrier;

use crate::kit::*;

/// Runs one call of each number at the same time.
async fn at_once<T, F>(count: usize, call: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(count));
    let tasks: Vec<_> = (0..count)
        .map(|i| {
            let (barrier, call) = (barrier.clone(), call(i));
            tokio::spawn(async move {
                barrier.wait().await;
                call.await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_equal_creations_is_fresh() {
    for slow in [false, true] {
        let storage = Scripted::new();
        if slow {
            storage.script(|_| Fault::Slow);
        }
        let keeper = keeper(&storage).await;
        for round in 0..20 {
            let s = name(&format!("s{round}"));
            let answers = at_once(64, |_| create(&keeper, &s, stream())).await;
            let fresh = answers.iter().filter(|answer| answer.as_ref().unwrap().fresh).count();
            assert_eq!(fresh, 1);
            assert_eq!(storage.loads(&s), 1, "they share one start");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_different_creations_one_wins_and_its_equals_agree() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    for round in 0..20 {
        let s = name(&format!("s{round}"));
        let request = |i: usize| CreateRequest {
            expiry: [None, ttl(101), ttl(102), ttl(103)][i % 4],
            body: format!("body {i}").into(),
            ..stream()
        };
        let answers = at_once(64, |i| create(&keeper, &s, request(i))).await;
        let expiry = keeper.metadata(&s).await.unwrap().expiry;
        let mut fresh = Vec::new();
        for (i, answer) in answers.iter().enumerate() {
            let same = request(i).expiry.unwrap_or(Expiry::Never) == expiry;
            assert_eq!(answer.is_ok(), same, "{answer:?}");
            if answer.as_ref().is_ok_and(|created| created.fresh) {
                fresh.push(i);
            }
        }
        assert_eq!(fresh.len(), 1);
        assert_eq!(contents(&keeper, &s).await, format!("body {}", fresh[0]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_openers_of_a_cold_stream_share_one_start() {
    let storage = Scripted::new();
    let first = keeper(&storage).await;
    for round in 0..20 {
        let s = name(&format!("s{round}"));
        first.create(&s, stream()).await.unwrap();
        first.append(&s, message("a")).await.unwrap();
    }
    first.shutdown(std::time::Duration::from_secs(5)).await;
    let keeper: Streamkeeper = keeper(&storage).await;
    for round in 0..20 {
        let s = name(&format!("s{round}"));
        let before = storage.loads(&s);
        let answers = at_once(64, |i| {
            let (keeper, s) = (keeper.clone(), s.clone());
            async move {
                match i % 2 {
                    0 => keeper.append(&s, message("b")).await.is_ok(),
                    _ => keeper.read(&s, ReadFrom::Start, ALL).await.is_ok(),
                }
            }
        })
        .await;
        assert!(answers.iter().all(|ok| *ok));
        assert_eq!(storage.loads(&s), before + 1);
        assert_eq!(contents(&keeper, &s).await, format!("a{}", "b".repeat(32)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_name_changes_hands_cleanly() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    for round in 0..100 {
        let body = format!("life {round}");
        let request = CreateRequest { body: body.clone().into(), ..stream() };
        assert!(keeper.create(&s, request).await.unwrap().fresh);
        assert_eq!(contents(&keeper, &s).await, body);
        let answers = at_once(8, |_| {
            let (keeper, s) = (keeper.clone(), s.clone());
            async move { keeper.delete(&s).await }
        })
        .await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        assert!(keeper.metadata(&s).await.is_err());
    }
}
