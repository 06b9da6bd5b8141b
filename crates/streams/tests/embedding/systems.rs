//! Several systems in one process share nothing.

use std::time::Duration;

use streamkeeper::{ReadError, ReadFrom, Streamkeeper};

use crate::kit::*;

const DEADLINE: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn equal_names_are_different_streams() {
    let (one, other) = (Scripted::new(), Scripted::new());
    let (a, b) = (keeper(&one).await, keeper(&other).await);
    let s = name("s");
    a.create(&s, stream()).await.unwrap();
    assert_eq!(b.metadata(&s).await, Err(ReadError::NotFound));
    assert!(b.create(&s, stream()).await.unwrap().fresh);
    a.append(&s, message("a")).await.unwrap();
    b.append(&s, message("b")).await.unwrap();
    assert_eq!((contents(&a, &s).await, contents(&b, &s).await), ("a".into(), "b".into()));
    b.delete(&s).await.unwrap();
    assert_eq!(contents(&a, &s).await, "a");
}

#[tokio::test(start_paused = true)]
async fn one_crashes_and_stops_while_the_other_goes_on() {
    let (one, other) = (Scripted::new(), Scripted::new());
    let (a, b) = (keeper(&one).await, keeper(&other).await);
    let s = name("s");
    a.create(&s, stream()).await.unwrap();
    b.create(&s, stream()).await.unwrap();
    let mut subscription = b.subscribe(&s, ReadFrom::Start, ALL).await.unwrap();
    subscription.next().await.unwrap();
    one.script(|_| Fault::Panic);
    for _ in 0..8 {
        assert!(a.append(&s, message("x")).await.is_err());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    b.append(&s, message("b")).await.unwrap();
    assert_eq!(texts(&subscription.next().await.unwrap().unwrap()), ["b"]);
    a.shutdown(DEADLINE).await;
    b.append(&s, message("c")).await.unwrap();
    assert_eq!(texts(&subscription.next().await.unwrap().unwrap()), ["c"]);
    assert!(b.health().is_ok() && a.health().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_come_and_go() {
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..40 {
        tasks.spawn(async move {
            let keeper = Streamkeeper::builder().start().await.unwrap();
            let s = name("s");
            keeper.create(&s, stream()).await.unwrap();
            keeper.append(&s, message(format!("{i}"))).await.unwrap();
            assert_eq!(contents(&keeper, &s).await, format!("{i}"));
            assert!(keeper.shutdown(DEADLINE).await.is_clean());
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn equal_seeds_draw_equal_ids() {
    let clock = TestClock::at(1_000);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let keeper = keeper_at(&Scripted::new(), &clock).await;
        let s = name("s");
        keeper.create(&s, stream()).await.unwrap();
        ids.push(keeper.metadata(&s).await.unwrap().id);
    }
    assert_eq!(ids[0], ids[1]);
}
