//! Shutdown: what was accepted is answered, what comes later is told so, live readers end.

use std::time::Duration;

use streamkeeper::{
    AppendError, CreateError, DeleteError, ReadError, ReadFrom, Unavailable::ShuttingDown,
};

use crate::kit::*;

const DEADLINE: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn later_calls_are_told_at_once() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let (open, cold) = (name("open"), name("cold"));
    keeper.create(&open, stream()).await.unwrap();
    let report = keeper.shutdown(DEADLINE).await;
    assert!(report.is_clean(), "{report:?}");
    for s in [&open, &cold] {
        let create = keeper.create(s, stream()).await;
        assert_eq!(create, Err(CreateError::Unavailable(ShuttingDown)), "{s}");
        let fork = keeper.create(&name("fork"), fork_of(s)).await;
        assert!(fork.is_err());
    }
    let append = keeper.append(&open, message("late")).await;
    assert_eq!(append, Err(AppendError::Unavailable(ShuttingDown)));
    assert_eq!(keeper.delete(&open).await, Err(DeleteError::Unavailable(ShuttingDown)));
    assert_eq!(keeper.metadata(&open).await.unwrap_err(), ReadError::Unavailable(ShuttingDown));
    assert_eq!(keeper.health(), Err(ShuttingDown));
    assert!(keeper.shutdown(DEADLINE).await.is_clean(), "twice does no harm");
}

#[tokio::test(start_paused = true)]
async fn what_was_accepted_is_answered() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    storage.script(|_| Fault::Hold);
    let mut calls = Calls::new();
    for body in ["a", "b", "c"] {
        calls.add(append(&keeper, &s, message(body))).await;
    }
    let mut shutdown = Calls::new();
    let k = keeper.clone();
    shutdown.add(async move { k.shutdown(DEADLINE).await }).await;
    storage.release_all();
    let answers = calls.answers().await;
    assert!(answers.iter().all(|answer| answer.is_ok()), "{answers:?}");
    assert!(shutdown.answers().await[0].is_clean());
    assert_eq!(storage.state(&s).unwrap().tail, 3);
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_hangs_does_not_hold_the_shutdown_up_for_ever() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    storage.script(|_| Fault::Hold);
    let mut calls = Calls::new();
    calls.add(append(&keeper, &s, message("a"))).await;
    let shutdown = tokio::time::timeout(4 * DEADLINE, keeper.shutdown(DEADLINE)).await;
    assert!(shutdown.is_ok());
    let answers = tokio::time::timeout(DEADLINE, calls.answers()).await;
    assert!(answers.is_ok_and(|answers| is_unknown(&answers[0])), "its caller waits no longer");
}

#[tokio::test(start_paused = true)]
async fn waiters_get_what_there_is_and_subscribers_end() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    keeper.append(&s, message("a")).await.unwrap();
    let waiting = {
        let (keeper, s) = (keeper.clone(), s.clone());
        let hour = Duration::from_secs(3600);
        tokio::spawn(async move { keeper.read_live(&s, ReadFrom::Now, ALL, hour).await })
    };
    let mut waiting_subscriber = keeper.subscribe(&s, ReadFrom::Now, ALL).await.unwrap();
    let mut idle_subscriber = keeper.subscribe(&s, ReadFrom::Start, ALL).await.unwrap();
    assert!(waiting_subscriber.next().await.unwrap().unwrap().chunks.is_empty());
    let ended = tokio::spawn(async move { waiting_subscriber.next().await });
    settle().await;

    let began = tokio::time::Instant::now();
    keeper.shutdown(DEADLINE).await;
    let page = waiting.await.unwrap().unwrap();
    assert!(page.chunks.is_empty() && page.next_offset.position() == 1);
    assert!(began.elapsed() < DEADLINE);
    assert!(ended.await.unwrap().unwrap().is_none());
    // One who was busy elsewhere gets what it has not read, and then the end.
    assert_eq!(texts(&idle_subscriber.next().await.unwrap().unwrap()), ["a"]);
    let last = idle_subscriber.next().await;
    assert!(matches!(last, Ok(None)), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn another_system_takes_up_where_this_one_stopped() {
    let storage = Scripted::new();
    let s = name("s");
    let first = keeper(&storage).await;
    first.create(&s, stream()).await.unwrap();
    first.append(&s, produced("a", "p", 0, 0)).await.unwrap();
    first.shutdown(DEADLINE).await;
    let second = keeper(&storage).await;
    assert_eq!(contents(&second, &s).await, "a");
    let retry = second.append(&s, produced("a", "p", 0, 0)).await.unwrap();
    assert_eq!(retry.outcome, streamkeeper::Outcome::Duplicate);
    second.append(&s, produced("b", "p", 0, 1)).await.unwrap();
    assert_eq!(contents(&second, &s).await, "ab");
}
