//! Shutdown: what was accepted is answered, what comes later is told so, live readers end.

use std::time::Duration;

use streamkeeper::supervisor::{Backoff, StandardPolicy};
use streamkeeper::{
    AppendError, CreateError, DeleteError, ReadError, ReadFrom, Streamkeeper, SupervisionEvent,
    Unavailable::ShuttingDown,
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

/// The deadline holds for all, and the report tells who missed it: the streams whose storage hangs.
#[tokio::test(start_paused = true)]
async fn the_report_tells_who_did_not_stop_in_time() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let names: Vec<_> = ["idle", "stuck/1", "stuck/2"].into_iter().map(name).collect();
    for s in &names {
        keeper.create(s, stream()).await.unwrap();
    }
    storage.script(|_| Fault::Hold);
    let mut calls = Calls::new();
    for s in &names[1..] {
        calls.add(append(&keeper, s, message("a"))).await;
    }
    let mut events = keeper.events();
    let began = tokio::time::Instant::now();
    let mut report = keeper.shutdown(DEADLINE).await;
    // A second to stop and a second to be killed, for the streams and for the tree above them.
    assert!(began.elapsed() <= 2 * DEADLINE, "{:?}", began.elapsed());
    report.killed.sort();
    assert_eq!((report.drained, report.killed), (1, vec!["stuck/1".into(), "stuck/2".into()]));
    assert!(report.stopped.is_empty());
    assert!(calls.answers().await.iter().all(is_unknown));

    let mut crashed = Vec::new();
    while let Some(event) = futures::StreamExt::next(&mut events).await {
        if let SupervisionEvent::Crashed { name, cause } = event {
            crashed.push((name, cause.kind()));
        }
    }
    crashed.sort();
    assert_eq!(crashed, [(name("stuck/1"), "killed"), (name("stuck/2"), "killed")]);
}

/// As OTP has it: what others need is started before them, and stopped after them.
#[tokio::test(start_paused = true)]
async fn processes_start_in_the_order_of_the_list_and_none_is_left() {
    let keeper = keeper(&Scripted::new()).await;
    let before = keeper.tree().await.processes;
    assert_eq!(before[0].name, "stream_supervisor", "everybody else uses streams");
    keeper.create(&name("s"), stream()).await.unwrap();
    keeper.shutdown(DEADLINE).await;
    let after = keeper.tree().await;
    assert!(after.processes.is_empty() && after.streams.total == 0, "{after:?}");
}

/// Shutdown in the middle of a backoff, of a start and of a quarantine: nobody comes back.
#[tokio::test(start_paused = true)]
async fn what_is_down_stays_down() {
    let storage = Scripted::new();
    let slow = Backoff { initial: Duration::from_secs(60), ..Backoff::default() };
    let keeper = Streamkeeper::builder()
        .storage(storage.clone())
        .policy(StandardPolicy::transient().backoff(slow))
        .policy_for("kept-down", StandardPolicy::transient().intensity(0, DEADLINE))
        .start()
        .await
        .unwrap();
    for s in ["restarting", "kept-down"] {
        keeper.create(&name(s), stream()).await.unwrap();
    }
    storage.script(|_| Fault::Panic);
    for s in ["restarting", "kept-down"] {
        assert!(keeper.append(&name(s), message("x")).await.is_err());
    }
    settle().await;
    let began = tokio::time::Instant::now();
    assert!(keeper.shutdown(DEADLINE).await.is_clean());
    assert!(began.elapsed() < DEADLINE, "a backoff is not waited for");
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(keeper.streams(None, 10).streams, []);
}
