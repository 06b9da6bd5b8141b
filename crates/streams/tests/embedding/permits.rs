//! Permits: too much at once is refused, and every path gives them back.

use std::time::Duration;

use streamkeeper::{
    AppendError, CreateError, CreateRequest, Limits, Streamkeeper, Unavailable,
    Unavailable::Overloaded,
};
use streamkeeper_storage::StorageError;

use crate::kit::*;

/// Four small requests in the system, two at a stream.
const LIMIT: usize = 4 * 1024;

async fn small(storage: &std::sync::Arc<Scripted>) -> Streamkeeper {
    let limits =
        Limits { pending_bytes: LIMIT, pending_bytes_per_stream: LIMIT / 2, ..Default::default() };
    let builder = Streamkeeper::builder().storage(storage.clone()).limits(limits);
    builder.start().await.unwrap()
}

/// All of the system's permits are there.
fn assert_idle(keeper: &Streamkeeper) {
    let all = keeper.permit(LIMIT - streamkeeper::REQUEST_OVERHEAD);
    assert!(all.is_ok(), "some permits were not given back");
}

const REFUSED: AppendError = AppendError::Unavailable(Overloaded);

#[tokio::test(start_paused = true)]
async fn overload_is_refused_and_passes() {
    let storage = Scripted::new();
    let keeper = small(&storage).await;
    let [s, other] = ["s", "other"].map(name);
    keeper.create(&s, stream()).await.unwrap();
    keeper.create(&other, stream()).await.unwrap();
    storage.script(|_| Fault::Hold);
    let mut calls = Calls::new();
    for _ in 0..2 {
        calls.add(append(&keeper, &s, message(""))).await;
        calls.add(append(&keeper, &s, closing())).await;
    }
    assert_eq!(storage.held(&s), 1, "empty appends and second closings wait for the first");
    assert_eq!(keeper.append(&s, message("x")).await, Err(REFUSED));
    storage.release_all();
    settle().await;
    assert_idle(&keeper);
}

#[tokio::test(start_paused = true)]
async fn one_busy_stream_leaves_room_for_another() {
    let storage = Scripted::new();
    let keeper = small(&storage).await;
    let [s, other] = ["s", "other"].map(name);
    keeper.create(&s, stream()).await.unwrap();
    keeper.create(&other, stream()).await.unwrap();
    storage.script(|entry| match entry.name.as_str() {
        "s" => Fault::Hold,
        _ => Fault::None,
    });
    let mut calls = Calls::new();
    for _ in 0..2 {
        calls.add(append(&keeper, &s, closing())).await;
    }
    for _ in 0..10 {
        assert_eq!(keeper.append(&s, closing()).await, Err(REFUSED));
        keeper.append(&other, message("x")).await.unwrap();
    }
    let huge = message("x".repeat(LIMIT));
    assert_eq!(keeper.append(&other, huge).await, Err(REFUSED));
    storage.release_all();
    settle().await;
    keeper.append(&s, closing()).await.unwrap();
    assert_idle(&keeper);
}

#[tokio::test(start_paused = true)]
async fn every_path_gives_them_back() {
    let storage = Scripted::new();
    let keeper = small(&storage).await;
    let [s, fork, absent] = ["s", "fork", "absent"].map(name);
    let full = || Fault::Refuse(StorageError::Full);
    for round in 0..300 {
        let created = keeper.create(&s, stream()).await.unwrap();
        assert!(created.fresh, "round {round}");
        keeper.create(&s, stream()).await.unwrap();
        let conflict = CreateRequest { closed: true, ..stream() };
        keeper.create(&s, conflict).await.unwrap_err();
        keeper.append(&s, produced("a", "p", 0, 0)).await.unwrap();
        keeper.append(&s, produced("a", "p", 0, 0)).await.unwrap();
        keeper.append(&s, produced("a", "p", 0, 7)).await.unwrap_err();
        keeper.append(&s, message("")).await.unwrap_err();
        keeper.append(&absent, message("x")).await.unwrap_err();
        let request = streamkeeper::AppendRequest { content_type: json(), ..message("{") };
        keeper.append(&s, request).await.unwrap_err();
        let request = CreateRequest { content_type: json(), body: "{".into(), ..stream() };
        keeper.create(&absent, request).await.unwrap_err();
        storage.script(move |_| full());
        keeper.append(&s, message("x")).await.unwrap_err();
        keeper.create(&absent, stream()).await.unwrap_err();
        storage.calm();
        keeper.create(&fork, fork_of(&s)).await.unwrap();
        keeper.create(&fork, fork_of(&s)).await.unwrap();
        keeper.create(&fork, fork_of(&absent)).await.unwrap_err();
        keeper.create(&absent, fork_at(&s, 99, 0)).await.unwrap_err();
        keeper.delete(&s).await.unwrap();
        keeper.append(&s, message("x")).await.unwrap_err();
        keeper.create(&s, stream()).await.unwrap_err();
        keeper.delete(&fork).await.unwrap();
        eventually("the source is gone", async || storage.state(&s).is_none()).await;
        settle().await;
        assert_idle(&keeper);
    }
}

#[tokio::test(start_paused = true)]
async fn crashes_and_leaving_callers_give_them_back() {
    let storage = Scripted::new();
    let keeper = small(&storage).await;
    for round in 0..100 {
        let s = name(&format!("s{round}"));
        keeper.create(&s, stream()).await.unwrap();
        storage.script(|_| Fault::Hold);
        let mut calls = Calls::new();
        calls.add(append(&keeper, &s, message("a"))).await;
        let leaving = tokio::spawn(append(&keeper, &s, message("b")));
        settle().await;
        leaving.abort();
        if round % 2 == 0 {
            storage.fail_held(&s, StorageError::Unavailable("scripted".into()));
        } else {
            storage.release_all();
        }
        settle().await;
        storage.script(|_| Fault::Panic);
        assert!(keeper.append(&s, message("c")).await.is_err());
        storage.calm();
        drop(calls);
        settle().await;
        assert_idle(&keeper);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn thousands_of_racing_requests_give_them_back() {
    let storage = Scripted::new();
    storage.script(|_| Fault::Slow);
    let keeper = small(&storage).await;
    let s = name("s");
    keeper.create(&s, stream()).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..16 {
        let (keeper, s) = (keeper.clone(), s.clone());
        tasks.spawn(async move {
            let (mut done, mut refused) = (0, 0);
            while done < 20 {
                match keeper.append(&s, message(format!("{worker};"))).await {
                    Ok(_) => done += 1,
                    Err(AppendError::Unavailable(Overloaded)) => {
                        refused += 1;
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            refused
        });
    }
    let mut refused = 0;
    while let Some(task) = tasks.join_next().await {
        refused += task.unwrap();
    }
    assert!(refused > 0, "it was never too much");
    assert_eq!(storage.state(&s).unwrap().messages, 16 * 20);
    eventually("all permits are back", async || {
        keeper.permit(LIMIT - streamkeeper::REQUEST_OVERHEAD).is_ok()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_is_refused_leaves_nothing_behind() {
    let storage = Scripted::new();
    let keeper = small(&storage).await;
    let request = CreateRequest { body: "x".repeat(LIMIT / 2).into(), ..stream() };
    let s = name("s");
    let refused = keeper.create(&s, request).await;
    assert_eq!(refused, Err(CreateError::Unavailable(Unavailable::Overloaded)));
    assert!(keeper.metadata(&s).await.is_err());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(keeper.create(&s, stream()).await.unwrap().fresh);
    assert_idle(&keeper);
}
